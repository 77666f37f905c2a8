"""The invariants over a running platform, where a store may have moved on before the next is read.

A breach counts when two looks find it in the same words: what was only under way has passed by then. What changed of
late can be looked at alone, as often as one likes (see `deploy.ops.invariants.changed` for what that does not see).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

import msgspec
import sqlalchemy as sa

from deploy.ops.invariants import Stores, Verdict, recompute
from deploy.ops.invariants.changed import recompute_changed
from deploy.ops.platform import Platform
from deploy.ops.timeline import NothingTold
from shared.kernel import clock
from shared.storage.database import Database
from shared.storage.types import event_log
from shared.telemetry import metrics

MOST_WATCHED = 50_000
"""Groups of orders; of more, everything is recomputed only when somebody asks."""
SECOND_LOOK = 2.0
"""Seconds between the two."""


def live(platform: Platform, number: str = "", span: timedelta | None = None) -> list[Verdict]:
    """All verdicts, of everything or of what has to do with one order or group.

    With a span of time only of what changed within it, and of what the last look at this platform found broken: the
    metric shows a breach until it is mended.
    """
    stores, also = platform.stores, platform.broken

    def look() -> list[Verdict]:
        return recompute(stores) if span is None else recompute_changed(stores, span, also)

    found = _concerning(stores, number, look())
    if any(verdict.breaches for verdict in found):
        clock.pause(SECOND_LOOK)
        again = {verdict.number: set(verdict.breaches) for verdict in look()}
        found = [_kept(verdict, again[verdict.number]) for verdict in found]
    if not number:
        platform.broken = _named(found)
        for verdict in found:
            metrics.invariant_breaches.labels(verdict.number).set(len(verdict.breaches))
    return found


_GROUP = re.compile(r"G\d+")


def _named(found: list[Verdict]) -> frozenset[str]:
    """What breaches name: every word in them, and the group of an order; words that are no names find nothing."""
    words = {word.strip(":,;") for one in found for breach in one.breaches for word in re.split(r"[\s@/]", breach)}
    return frozenset(words | {group for word in words for group in _GROUP.findall(word)})


def is_small(stores: Stores) -> bool:
    """Whether recomputing everything is nothing to think twice about: it reads every order and payment there is."""
    some = sa.text("SELECT 1 FROM order_group LIMIT 1 OFFSET :most")
    with stores["order"].read() as connection:
        return connection.execute(some, {"most": MOST_WATCHED}).first() is None


def _kept(verdict: Verdict, lasting: set[str]) -> Verdict:
    return Verdict(
        verdict.number, verdict.promise, verdict.checked, [one for one in verdict.breaches if one in lasting]
    )


def _concerning(stores: Mapping[str, Database], number: str, verdicts: list[Verdict]) -> list[Verdict]:
    """The breaches that name the group, or one of its things."""
    if not number:
        return verdicts
    names = _names(stores, number.partition("-")[0])

    def named(text: str) -> bool:
        return any(name in text for name in names)

    return [Verdict(one.number, one.promise, one.checked, list(filter(named, one.breaches))) for one in verdicts]


def _names(stores: Mapping[str, Database], group_no: str) -> set[str]:
    """Its number, what its facts are about, and its goods. Raises NothingTold."""
    found: set[str] = set()
    for database in stores.values():
        with database.read() as connection:
            found |= set(
                connection.execute(sa.select(event_log.c.agg_id).where(event_log.c.partition_key == group_no)).scalars()
            )
    if not found:
        raise NothingTold()
    return found | {group_no} | {f"{sku}@" for sku in _goods(stores["order"], group_no)}


def _goods(database: Database, group_no: str) -> set[str]:
    wanted = sa.text("SELECT body FROM order_group WHERE group_no = :group_no")
    with database.read() as connection:
        bodies = connection.execute(wanted, {"group_no": group_no}).scalars().all()
    groups = [msgspec.json.decode(bytes(body)) for body in bodies]
    return {line["sku"] for group in groups for order in group["orders"] for line in order["lines"]}
