"""Values that mean something to whoever takes them for more than a text, put into every text that anybody may send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from tests.doors.operations import Operation, resolved

MARK = "q7injected"
VALUES = {
    "SQL": f"{MARK}'; DROP TABLE account; --\" OR 1=1 --",
    "a header": f"{MARK}\r\nSet-Cookie: {MARK}=1\r\n\r\n<html>",
    "a line of a log": f'{MARK}\n{{"level":"error","event":"{MARK}"}}\x1b[31m\x1b]0;{MARK}\x07',
    "a template": f"{MARK}{{{{7*7}}}}${{7*7}}<%= 7*7 %>{{0.__class__}}%s%(x)s",
    "a path": f"../../../../{MARK}/etc/passwd",
    "a NUL": f"{MARK}\x00.txt",
    "letters that turn around": f"{MARK}\u202egpj.exe\u2066\u200b\ufeff",
    "half a character": f"{MARK}\ud800",
    "a formula and a script": f"=cmd|'/c {MARK}'!A1<script>{MARK}</script>",
    "no end": MARK + "a" * 20_000,
}
LOOKED_UP = ("SQL", "a header", "a line of a log", "a path", "half a character")
"""What is put into paths, which are all looked up alike."""
STAYS = {"email", "password", "present"}
"""What costs a slow hash to be looked at: a few values are enough."""
CHEAP = ("SQL", "a NUL", "half a character")


class Injected:
    """One request: `where` names it; `raw` is the body's bytes."""

    def __init__(self, one: Operation, where: str, ids: dict[str, str], raw: bytes | None, query: str = "") -> None:
        self.one, self.where, self.raw = one, where, raw
        self.path = one.path(ids) + (f"?{query}" if query else "")

    def __str__(self) -> str:
        return f"{self.one}: {self.where}"


def requests_to(one: Operation, ids: dict[str, str], body: Any) -> Iterator[Injected]:
    """Everything that can be put into this operation's path, query and body, a value at a time."""
    raw = None if body is None else json.dumps(body).encode()
    for what, value in VALUES.items():
        text = quote(value, safe="", errors="surrogatepass")
        short = text[:6_000]  # longer addresses are the gateway's own refusal
        for name in one.arguments if what in LOOKED_UP else ():
            yield Injected(one, f"{what} as {name} of the path", ids | {name: short}, raw)
        for name, schema in one.query.items():
            if "string" in _kinds(schema) or what == "SQL":
                yield Injected(one, f"{what} as {name}", ids, raw, f"{name}={short}")
        for where, changed in _places(one.body, body, value) if one.body else ():
            if where.rpartition(".")[2] not in STAYS or what in CHEAP:
                yield Injected(one, f"{what} as {where} of the body", ids, json.dumps(changed).encode())


def _kinds(schema: dict[str, Any]) -> set[str]:
    kind = resolved(schema).get("type", "string")
    return {kind} if isinstance(kind, str) else set(kind)


def _places(schema: dict[str, Any], given: Any, value: str, where: str = "") -> Iterator[tuple[str, Any]]:
    """The body once for each text in it, with `value` there; fields that were left out are put in."""
    schema = resolved(schema)
    if "properties" in schema and isinstance(given, dict):
        for name, part in schema["properties"].items():
            for place, changed in _places(part, given.get(name), value, f"{where}.{name}".lstrip(".")):
                yield place, given | {name: changed}
        return
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) and "object" in _kinds(schema):
        yield f"{where}.*", {value[:60]: value}
    if "items" in schema:
        first = given[0] if given else {}
        for place, changed in _places(schema["items"], first, value, where):
            yield place, [changed]
    elif "string" in _kinds(schema):
        yield where, value
