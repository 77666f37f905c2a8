"""The publishers' logs, read as one."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.storage import inspect
from shared.storage.database import Database
from shared.storage.inspect import Logged

Stores = Mapping[str, Database]

OVERLAP = 10_000
"""A transaction may commit after one that took a higher position: so far back a reader looks again."""


class Heard(NamedTuple):
    """One fact of one publisher's log; sorts by when it was said."""

    said: datetime
    publisher: str
    fact: Logged


@dataclass(frozen=True)
class Wanted:
    """Which facts: of an order (or its group), of these types, said between two moments (machine time)."""

    order_no: str = ""
    types: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def has(self, fact: Logged) -> bool:
        return (
            (not self.types or fact.routing_key.split(".")[1] in self.types)
            and (self.since is None or fact.said >= self.since)
            and (self.until is None or fact.said <= self.until)
        )


def read(stores: Stores, keys: Iterable[str], after: Mapping[str, int] | None = None) -> Iterator[Heard]:
    """All facts of these routing keys, those of one publisher in order, page by page."""
    mine: dict[str, list[str]] = {}
    for key in keys:
        mine.setdefault(key.split(".")[0], []).append(key)
    logs = (_log(stores[name], name, sorted(some), (after or {}).get(name, 0)) for name, some in sorted(mine.items()))
    return heapq.merge(*logs, key=lambda one: one.said)


def read_order(stores: Stores, keys: Iterable[str], order_no: str) -> list[Heard]:
    """The same, of one order's group."""
    wanted = frozenset(keys)
    found = [
        Heard(fact.said, name, fact)
        for name, database in stores.items()
        for fact in inspect.said_in(database, [order_no.partition("-")[0]])
        if fact.routing_key in wanted
    ]
    return sorted(found, key=lambda one: one.said)


def _log(database: Database, name: str, keys: list[str], after: int) -> Iterator[Heard]:
    while page := inspect.said_as(database, keys, after):
        for fact in page:
            yield Heard(fact.said, name, fact)
        after = page[-1].pos
