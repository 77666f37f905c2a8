"""Fills gaps: hands a service the facts that it should have heard and never did.

A service has heard what its inbox names or what it keeps with a reason. Everything else that its publishers' logs hold
for it is missing: still on its way, or lost with a broker. It is handled as if it came from the bus, once: should it
still come, the inbox drops it. What the handlers then say and intend is said and called for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from deploy.ops.replay.logs import Heard, Stores, Wanted, read, read_order
from shared.kernel import clock
from shared.messaging import consumer as door
from shared.messaging.consumer import Consumer
from shared.messaging.housekeeping import INBOX_DAYS
from shared.runtime.service import Service
from shared.storage import inspect, trust
from shared.storage.unit_of_work import Node

BATCH = 50
MARGIN = timedelta(days=1)


@dataclass(frozen=True)
class Gaps:
    """`missing` facts, in the order in which to hear them; `too_old` ones nobody can say anything about: their inbox
    marks would have been removed by now."""

    missing: list[Heard]
    too_old: int


@dataclass(frozen=True)
class Filled:
    """`kept` facts could not be handled (now); they wait with a reason among the dead letters."""

    handled: int
    kept: int
    too_old: int


def gaps(node: Node, service: Service, stores: Stores, wanted: Wanted = Wanted()) -> Gaps:  # noqa: B008  (frozen)
    """What the service never heard. With a wanted fact come the missing ones before it of the same aggregate."""
    keys = service.on.bindings()
    found = read_order(stores, keys, wanted.order_no) if wanted.order_no else read(stores, keys)
    horizon = clock.machine_now() - timedelta(days=INBOX_DAYS) + MARGIN
    missing: list[Heard] = []
    too_old, page = 0, list[Heard]()
    for one in found:
        if one.said < horizon:
            too_old += wanted.has(one.fact)
            continue
        page.append(one)
        if len(page) == inspect.SOME:
            missing += _unheard(node, service, page)
            page = []
    missing += _unheard(node, service, page)
    last = {(one.publisher, one.fact.agg): one.fact.pos for one in missing if wanted.has(one.fact)}
    needed = [one for one in missing if one.fact.pos <= last.get((one.publisher, one.fact.agg), 0)]
    return Gaps(needed, too_old)


def fill(node: Node, service: Service, found: Gaps, actor: str, why: str) -> Filled:
    """Hand the missing facts to the service's own handlers, on its own store. Safe to repeat, and while it works."""
    consumer = Consumer(node, service.on)
    if found.missing:  # noted first: what dies half-way was begun
        thing = f"{len(found.missing)} from {found.missing[0].fact.event_id}"
        node.run(lambda tx: trust.note_change(tx, actor, "replay.fill", thing, "", why))
    for start in range(0, len(found.missing), BATCH):
        consumer.handle([door.read(one.fact.body) for one in found.missing[start : start + BATCH]])
    handled = inspect.heard(node.database, service.on.consumer, [one.fact.event_id for one in found.missing])
    return Filled(len(handled), len(found.missing) - len(handled), found.too_old)


def _unheard(node: Node, service: Service, page: Sequence[Heard]) -> list[Heard]:
    ids = [one.fact.event_id for one in page]
    known = set(inspect.heard(node.database, service.on.consumer, ids))
    known |= inspect.kept(node.database, service.on.consumer, ids)
    return [one for one in page if one.fact.event_id not in known]
