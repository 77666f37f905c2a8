"""Every operation of every service, read from the declarations of the doors, and a body each of them can read."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from deploy.docs.openapi import merged
from deploy.fleet import answering, operations_of

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


class Operation(NamedTuple):
    """`arguments`: the names in its path; `body` and `query`: JSON Schemas, or None; `stream`: answers without end."""

    service: str
    method: str
    rule: str
    who: frozenset[str]
    arguments: tuple[str, ...]
    body: dict[str, Any] | None
    query: dict[str, Any]
    stream: bool

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"

    def path(self, ids: dict[str, str]) -> str:
        return _ARGUMENT.sub(lambda found: ids[found[1]], self.rule)


@functools.cache
def operations() -> tuple[Operation, ...]:
    """All of them; what removes things comes last."""
    found = []
    for name, service in answering().items():
        for made in operations_of(service):
            said = merged()["paths"][_ARGUMENT.sub(r"{\1}", made.rule)][made.method.lower()]
            content = said.get("requestBody", {}).get("content", {})
            answers = {kind for answer in said["responses"].values() for kind in answer.get("content", {})}
            query = {asked["name"]: asked["schema"] for asked in said.get("parameters", []) if asked["in"] == "query"}
            found.append(
                Operation(
                    name, made.method, made.rule, made.who, tuple(_ARGUMENT.findall(made.rule)),
                    content.get("application/json", {}).get("schema"), query, "text/event-stream" in answers,
                )
            )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (removes(one), one.rule, one.method)))


def removes(one: Operation) -> bool:
    """Whether what it was asked about is gone afterwards."""
    return one.method == "DELETE" or one.rule.endswith("/discard")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, where it is a reference."""
    if "$ref" in schema:
        found: dict[str, Any] = merged()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def body_for(schema: dict[str, Any] | None, known: dict[str, Any]) -> Any:
    """A body with what the schema requires: `known` values by name, the document's examples, else the least."""
    return None if schema is None else _least(schema, "", known)


def objects_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema of every object in a body."""
    schema = resolved(schema)
    if "properties" in schema:
        yield schema
    for part in (*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])):
        yield from objects_in(part)


def fields_of(schema: dict[str, Any]) -> set[str]:
    """The names of all fields of a body, however deep."""
    return {name for one in objects_in(schema) for name in one["properties"]}


def _least(schema: dict[str, Any], name: str, known: dict[str, Any]) -> Any:
    schema = resolved(schema)
    if name in known:
        return known[name]
    if "examples" in schema:
        return schema["examples"][0]
    for word in ("const", "default"):
        if schema.get(word) is not None:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type", "object")
    return _LEAST[kinds if isinstance(kinds, str) else kinds[0]](schema, name, known)


def _object(schema: dict[str, Any], _name: str, known: dict[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    found = {one: _least(part, one, known) for one, part in schema.get("properties", {}).items() if one in required}
    if not found and schema.get("minProperties"):
        found["en"] = _least(schema["additionalProperties"], "", known)
    return found


_LEAST: dict[str, Any] = {
    "object": _object,
    "array": lambda schema, name, known: (
        [_least(schema["items"], name.removesuffix("s"), known)] * schema.get("minItems", 0)
    ),
    "string": lambda schema, name, known: "a" * max(schema.get("minLength", 0), 1),
    "integer": lambda schema, name, known: schema.get("minimum", 1),
    "number": lambda schema, name, known: schema.get("minimum", 1),
    "boolean": lambda schema, name, known: True,
}
