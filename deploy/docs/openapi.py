"""One OpenAPI document of the whole platform, merged from the services' own."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from typing import Any

from deploy import fleet
from deploy.fleet import FLEET, Member
from deploy.gateway.problems import BadGateway, GatewayTimeout
from shared.kernel.errors import TooManyRequests, Unavailable
from shared.web.documents import document_of

Json = dict[str, Any]
_GATEWAY = (TooManyRequests, BadGateway, Unavailable, GatewayTimeout)


class Contradiction(ValueError):
    """Two services document the same operation."""


@functools.cache
def merged(members: tuple[Member, ...] = FLEET) -> Json:
    """Every documented operation. A schema's name is a service's own where two services use it differently."""
    answering = fleet.answering(members)
    documents = {name: document_of(service) for name, service in answering.items()}
    ours = _commons()
    shared = _agreed(documents.values())
    known = Counter(name for document in documents.values() for name in _operation_ids(document))
    paths: Json = {}
    schemas: Json = {}
    parts: dict[str, Json] = {}
    for name, document in [*documents.items(), ("commons", ours)]:
        components = document.get("components", {})
        own = {one for one in components.get("schemas", {}) if one not in shared}
        renamed = {one: f"{name.capitalize()}{one}" for one in own}
        document = _renamed(
            document, {f"#/components/schemas/{a}": f"#/components/schemas/{b}" for a, b in renamed.items()}
        )
        _tell_apart(document, name, {one for one, times in known.items() if times > 1})
        schemas |= {
            renamed.get(one, one): schema for one, schema in document.get("components", {}).get("schemas", {}).items()
        }
        for kind, found in document.get("components", {}).items():
            if kind != "schemas":
                parts.setdefault(kind, {}).update(found)
        for path, item in document["paths"].items():
            here = paths.setdefault(path, {})
            for method, operation in item.items():
                if method == "parameters":
                    continue
                if method in here:
                    raise Contradiction(f"{method.upper()} {path} is documented twice")
                asked = [*item.get("parameters", []), *operation.get("parameters", [])]
                here[method] = operation | {"tags": [name]} | ({"parameters": asked} if asked else {})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Caravan",
            "version": "v1",
            "description": "Errors are RFC 9457 problem documents with a stable `code`; lists are pages of `items` and"
            " `next`; times are RFC 3339, money is a whole number of minor units with an ISO 4217 code.\n\nThe gateway"
            " itself may answer any operation with "
            + ", ".join(f"{one.status} `{one.code}`" for one in _GATEWAY)
            + ", each with Retry-After.",
        },
        "tags": [{"name": name, "description": service.owns} for name, service in answering.items()],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))} | dict(sorted(parts.items())),
    }


def _operation_ids(part: Any) -> set[str]:
    """Every operation that a document names, in links too."""
    if isinstance(part, list):
        return set().union(*map(_operation_ids, part))
    if not isinstance(part, dict):
        return set()
    own = {part["operationId"]} if isinstance(part.get("operationId"), str) else set()
    return own.union(*map(_operation_ids, part.values()))


def _tell_apart(part: Any, service: str, doubled: set[str]) -> None:
    """Put the service before the names of operations that another service uses too."""
    if isinstance(part, list):
        for one in part:
            _tell_apart(one, service, doubled)
    elif isinstance(part, dict):
        if part.get("operationId") in doubled:
            part["operationId"] = f"{service}_{part['operationId']}"
        for one in part.values():
            _tell_apart(one, service, doubled)


def _agreed(documents: Iterable[Json]) -> set[str]:
    """Names of schemas that are the same wherever they occur."""
    found: dict[str, Any] = {}
    differs: set[str] = set()
    for document in documents:
        for name, schema in document.get("components", {}).get("schemas", {}).items():
            if found.setdefault(name, schema) != schema:
                differs.add(name)
    return found.keys() - differs


def _renamed(thing: Any, references: dict[str, str]) -> Any:
    """The same document with its schemas under their new names, references included."""
    names = {old.rsplit("/", 1)[1]: new.rsplit("/", 1)[1] for old, new in references.items()}

    def walk(part: Any, key: str = "") -> Any:
        if isinstance(part, dict):
            return {names.get(k, k) if key == "schemas" else k: walk(v, k) for k, v in part.items()}
        if isinstance(part, list):
            return [walk(one) for one in part]
        return references.get(part, part) if key == "$ref" else part

    return walk(thing)


def _commons() -> Json:
    """What `deploy.commons` answers; the sandbox is left out, as it is in production."""

    def get(summary: str, *, parameter: str = "") -> Json:
        operation: Json = {
            "summary": summary,
            "x-authz": ["anyone"],
            "responses": {
                "200": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}}
            },
        }
        if parameter:
            operation["parameters"] = [
                {"in": "path", "name": parameter, "required": True, "schema": {"type": "string", "minLength": 1}}
            ]
            operation["responses"]["default"] = {
                "description": "A refusal",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemView"}}},
            }
        return {"get": operation}

    return {
        "paths": {
            "/v1/openapi.json": get("This document."),
            "/v1/events/catalog": get(
                "Every fact: who says it, who hears it, its key, its personal fields, its schema."
            ),
            "/v1/events/catalog/{kind}": get("One fact, with the JSON Schema of its data.", parameter="kind"),
        }
    }
