"""Which service answers a request: a table of methods and path patterns, the most specific pattern first.

A pattern is Flask's (``/v1/orders/<order_no>``). Segment by segment from the left, a literal beats a typed
placeholder, that beats a plain one, and that a ``<path:…>``; so the choice never depends on the order of declaration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

_PLACEHOLDER = re.compile(r"<(?:(\w+)(?:\([^>]*\))?:)?\w+>")
_KINDS = {"string": "[^/]+", "": "[^/]+", "int": r"\d+", "uuid": "[0-9A-Fa-f-]{36}", "path": ".+"}
_SAMPLES = {"int": "0", "uuid": "00000000-0000-0000-0000-000000000000"}
_WAITS_FOR = re.compile(r"(?:^|&)wait_for=[^&]", re.IGNORECASE)
_PREFERS = re.compile(r"(?:^|[,;\s])wait\s*=", re.IGNORECASE)


@dataclass(frozen=True)
class Route:
    """One operation. `live`: a stream; `waits`: a GET that may be asked to wait; `machine`: a signed callback; `slow`:
    may take minutes."""

    rule: str
    method: str
    upstream: str
    live: bool = False
    waits: bool = False
    machine: bool = False
    slow: bool = False

    @cached_property
    def regex(self) -> str:
        """The pattern as a regular expression that nginx (PCRE) and Python read alike; without anchors."""
        text, last = "", 0
        for found in _PLACEHOLDER.finditer(self.rule):
            text += re.escape(self.rule[last : found.start()]) + _KINDS[found[1] or ""]
            last = found.end()
        return text + re.escape(self.rule[last:])

    @property
    def sample(self) -> str:
        """A path that fits this pattern and, where it can, no more specific one."""
        return _PLACEHOLDER.sub(lambda found: _SAMPLES.get(found[1] or "", "\x7f"), self.rule)

    @property
    def literal(self) -> bool:
        return "<" not in self.rule

    @property
    def rank(self) -> tuple[tuple[int, str], ...]:
        """Sorts the most specific pattern first."""
        return tuple((_weight(segment), segment) for segment in self.rule.split("/"))


def _weight(segment: str) -> int:
    """0 literal, 1 typed or with literal text around it, 2 a plain placeholder, 3 the rest of the path."""
    found = _PLACEHOLDER.search(segment)
    if found is None:
        return 0
    if found[1] == "path":
        return 3
    return 2 if found[0] == segment and found[1] in (None, "string") else 1


class Ambiguous(Exception):
    """Two services claim the same method and pattern."""


class Table:
    """All routes. `find` and `allowed` together decide: a route, 405 with Allow, or 404."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = sorted(routes, key=lambda route: (route.rank, route.method))
        claimed: dict[tuple[str, str], Route] = {}
        for route in self.routes:
            other = claimed.setdefault((route.method, route.regex), route)
            if other is not route:
                raise Ambiguous(f"{route.method} {route.rule}: {other.upstream} and {route.upstream}")
        self._exact = {(route.method, route.rule): route for route in self.routes if route.literal}
        self._patterns = [(route, re.compile(route.regex)) for route in self.routes if not route.literal]

    def find(self, method: str, path: str) -> Route | None:
        """The route of a request; HEAD goes where GET goes."""
        method = "GET" if method == "HEAD" else method
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        fits = (route for route, regex in self._patterns if route.method == method and regex.fullmatch(path))
        return next(fits, None)

    def allowed(self, path: str) -> list[str]:
        """The methods this path answers, for the Allow header; empty when it is unknown."""
        found = {method for method, rule in self._exact if rule == path}
        found |= {route.method for route, regex in self._patterns if regex.fullmatch(path)}
        return sorted(found | ({"HEAD"} if "GET" in found else set()))


def asks_to_wait(query: str, prefer: str) -> bool:
    """Whether a GET asks to be held until something moves: ``?wait_for=…`` or ``Prefer: wait=N``."""
    return bool(_WAITS_FOR.search(query) or _PREFERS.search(prefer))
