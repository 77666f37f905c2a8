"""The catalogue of facts: who says each, who hears it, what it is about, what of it is personal, its schema."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from typing import Any

from deploy.fleet import FLEET, Member, subscribers
from shared.contracts.event import REGISTRY, Fact, routing_key, schema

Json = dict[str, Any]
MOMENT = "2026-11-22T08:00:00Z"


@functools.cache
def catalogue(members: tuple[Member, ...] = FLEET) -> dict[str, Json]:
    """By type (``caravan.order.OrderPlaced.v1``), in the order of publishers and declarations."""
    hears = subscribers(members)
    found: dict[str, Json] = {}
    for (publisher, name, version), fact in REGISTRY.items():
        if publisher not in {one.name for one in members}:
            continue
        kind = f"caravan.{publisher}.{name}.v{version}"
        found[kind] = {
            "type": kind,
            "name": name,
            "version": version,
            "publisher": publisher,
            "subscribers": sorted(hears.get(routing_key(publisher, fact), [])),
            "summary": inspect.cleandoc(fact.__doc__ or ""),
            "subject": f"{fact.aggregate}/{{{fact.id_field}}}",
            "partition_key": fact.key_field,
            "personal": [field.name for field in dataclasses.fields(fact) if "Sealed" in str(field.type)],  # type: ignore[arg-type]
            "schema": schema(fact),
            "example": example(fact),
        }
    return found


def example(fact: type[Fact]) -> Json:
    """Data that the fact's schema accepts, the same every time."""
    whole = schema(fact)
    made: Json = _sample(whole, whole.get("$defs", {}), fact.id_field)
    return made


def _sample(part: Json, defs: Json, name: str) -> Any:
    if "$ref" in part:
        return _sample(defs[part["$ref"].rsplit("/", 1)[1]], defs, name)
    if "anyOf" in part:
        return _sample(next(one for one in part["anyOf"] if one.get("type") != "null"), defs, name)
    if "enum" in part:
        return part["enum"][0]
    if "const" in part:
        return part["const"]
    kind = part.get("type")
    if kind == "object":
        if "properties" in part:
            return {key: _sample(one, defs, key) for key, one in part["properties"].items()}
        return {"key": _sample(part["additionalProperties"], defs, name)} if part.get("additionalProperties") else {}
    if kind == "array":
        return [_sample(part["items"], defs, name)] if isinstance(part.get("items"), dict) else []
    if kind in ("integer", "number"):
        return max(1, part.get("minimum", 1))
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    return _word(part, name)


def _word(part: Json, name: str) -> str:
    if part.get("format") == "date-time":
        return MOMENT
    if "pattern" in part:
        return "CNY" if name.endswith("currency") else "CN-ZJ"
    return {"group_no": "G0000000000000000", "order_no": "G0000000000000000-1"}.get(name, f"{name}-1")


def page(members: tuple[Member, ...] = FLEET) -> str:
    """docs/events.md."""
    lines = [
        "# Facts",
        "",
        "Made from `shared/contracts` and the services' handlers by `make docs`. Each travels as a structured",
        "CloudEvents 1.0 document; `GET /v1/events/catalog/{type}` answers the JSON Schema of its data.",
        "",
    ]
    found = catalogue(members)
    for one in members:
        mine = [entry for entry in found.values() if entry["publisher"] == one.name]
        lines += [f"## {one.name}", "", one.service.owns + ".", ""]
        lines += ["| Fact | Heard by | About | Partition key |", "|---|---|---|---|"]
        for entry in mine:
            heard = ", ".join(entry["subscribers"]) or "nobody yet"
            link = f"[{entry['name']}](#{_anchor(entry)})"
            lines.append(f"| {link} | {heard} | `{entry['subject']}` | `{entry['partition_key']}` |")
        lines.append("")
        for entry in mine:
            lines += [f"### {entry['publisher']}.{entry['name']} v{entry['version']}", "", entry["summary"], ""]
            if entry["personal"]:
                sealed = ", ".join(f"`{field}`" for field in entry["personal"])
                lines += [f"Sealed, because personal: {sealed}.", ""]
            lines += [f"Schema: `/v1/events/catalog/{entry['type']}`", ""]
            lines += ["```json", json.dumps(entry["example"], indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _anchor(entry: Json) -> str:
    return f"{entry['publisher']}{entry['name']}-v{entry['version']}".lower()
