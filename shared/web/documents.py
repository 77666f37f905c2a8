"""A service's OpenAPI document: what the doors declare, in the words of JSON Schema, with links from an answer to the
operations that its ids open.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask
from flask_smorest import Api

if TYPE_CHECKING:
    from shared.runtime.service import Service

Json = dict[str, Any]
_KEY = re.compile(r"(_id|_no|_token)$|^sku$")
_ARGUMENT = re.compile(r"\{(\w+)\}")
_METHODS = ("get", "post", "put", "patch", "delete")


class _Described(Api):  # type: ignore[misc]
    """Refusals are declared by the door, with the content type they have."""

    DEFAULT_ERROR_RESPONSE_NAME = None


def document_of(service: Service) -> Json:
    """The whole document, links included.

    Made on an application that nobody asks: describing takes longer than all else before a service's first answer.
    """
    app = Flask(service.name, static_folder=None)
    app.config.update(API_TITLE=f"Caravan {service.name}", API_VERSION="v1", OPENAPI_VERSION="3.1.0")
    api = _Described(app)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    for door in service.doors:
        api.register_blueprint(door)
    document: Json = copy.deepcopy(api.spec.to_dict())
    for path in document["paths"].values():
        for method in _METHODS:
            path.get(method, {}).get("responses", {}).pop("422", None)  # "default" says what a refusal looks like
    components = document.get("components", {})
    components.pop("responses", None)
    components.get("schemas", {}).pop("Error", None)
    _speak_json_schema(components.get("schemas", {}))
    _speak_json_schema(document["paths"])
    for one in _operations(document):
        if "requestBody" in one.said:
            schema = one.said["requestBody"]["content"]["application/json"]["schema"]
            one.said["requestBody"]["required"] = bool(resolved(document, schema).get("required"))
    add_links(document)
    return document


def _speak_json_schema(part: Any) -> None:
    """Regular expressions end in `$` there, and objects have properties, not a length."""
    if isinstance(part, list):
        for one in part:
            _speak_json_schema(one)
    if not isinstance(part, dict):
        return
    if isinstance(part.get("pattern"), str):
        part["pattern"] = part["pattern"].replace(r"\Z", "$")
    if part.get("type") == "object":
        for word in ("minLength", "maxLength"):
            if word in part:
                part[word.replace("Length", "Properties")] = part.pop(word)
    for one in part.values():
        _speak_json_schema(one)


# --- links ----------------------------------------------------------------------------------------------------------


class _Operation(NamedTuple):
    path: str
    said: Json

    @property
    def arguments(self) -> list[str]:
        return _ARGUMENT.findall(self.path)


def add_links(document: Json) -> None:
    """From every operation that makes or lists things to those that are asked with their keys, in path or body."""
    operations = list(_operations(document))
    for one in operations:
        if one.arguments or "operationId" not in one.said:
            continue
        for status, answer in one.said["responses"].items():
            schema = answer.get("content", {}).get("application/json", {}).get("schema")
            if status.startswith("2") and schema is not None:
                others = [other for other in operations if other.path != one.path and _may_follow(one.said, other.said)]
                links = dict(_links(document, _keys(document, schema), others))
                if links:
                    answer["links"] = links


def _links(document: Json, keys: dict[str, str], operations: list[_Operation]) -> Iterator[tuple[str, Json]]:
    for other in operations:
        name = other.said.get("operationId")
        if name is None:
            continue
        link: Json = {"operationId": name}
        if other.arguments:
            if not keys.keys() >= set(other.arguments):
                continue
            link["parameters"] = {argument: keys[argument] for argument in other.arguments}
        else:
            asked = _required(document, other.said) & keys.keys()
            if not asked:
                continue
            link["requestBody"] = {field: keys[field] for field in sorted(asked)}
        yield name, link


def _may_follow(first: Json, second: Json) -> bool:
    """Whether somebody may do both."""
    one, other = (set(said.get("x-authz", ())) for said in (first, second))
    return not one.isdisjoint(other) or "anyone" in one | other


def _operations(document: Json) -> Iterator[_Operation]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _Operation(path, item[method])


def _keys(document: Json, schema: Json) -> dict[str, str]:
    """By name, where an answer holds the key of a thing: at its top, or in the first item of a list."""
    found = resolved(document, schema).get("properties", {})
    where = "$response.body#/"
    if set(found) <= {"items", "next"} and "items" in found:
        found, where = resolved(document, found["items"]["items"]).get("properties", {}), "$response.body#/items/0/"
    return {name: f"{where}{name}" for name in found if _KEY.search(name)}


def _required(document: Json, said: Json) -> set[str]:
    """The keys a body must have."""
    schema = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return {name for name in resolved(document, schema).get("required", ()) if _KEY.search(name)}


def resolved(document: Json, schema: Json) -> Json:
    """The schema itself, where it is a reference."""
    if "$ref" in schema:
        found: Json = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema
