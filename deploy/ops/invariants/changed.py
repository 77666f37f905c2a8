"""What may have broken a promise of late, so that looking at it often costs as much as what happens, not as what there
is: everything that facts were said about, and every order, refund and payout that waits without a deadline.

A change that says no fact (somebody's own hand in a store) is seen only by looking at everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from deploy.ops.invariants import CHECKS, Scope, Stores, Verdict, recompute
from deploy.ops.invariants.seeing import ON_THE_WAY, TERMINAL
from shared.kernel import clock
from shared.storage.database import Database
from shared.storage.types import event_log

LATE = timedelta(minutes=5)
"""A fact appears when its transaction commits, under the time at which it was said; longer than any may take."""
AT_ONCE = 2_000
"""So many things are looked at together, which bounds what is held in memory."""


def recompute_changed(stores: Stores, span: timedelta, also: Iterable[str] = ()) -> list[Verdict]:
    """All verdicts on what has changed within the span of time until now, and on the things `also` named."""
    things = touched(stores, clock.machine_now() - span - LATE) | set(also)
    names = sorted(things)
    starts = range(0, max(1, len(names)), AT_ONCE)
    several = [recompute(stores, Scope(frozenset(names[start : start + AT_ONCE]))) for start in starts]
    return [
        Verdict(
            number, promise, sum(part.checked for part in parts),
            list(dict.fromkeys(breach for part in parts for breach in part.breaches)),
        )
        for (number, promise, _), parts in zip(CHECKS, zip(*several, strict=True), strict=True)
    ]  # fmt: skip


def touched(stores: Stores, since: datetime) -> set[str]:
    """Groups, SKUs, payouts and so on, that a fact was said about since, or that wait without a deadline."""
    found = set(_idle_groups(stores)) | set(_idle_money(stores))
    for database in stores.values():
        with database.read() as connection:
            said = sa.select(event_log.c.partition_key, event_log.c.agg_id).distinct()
            for pair in connection.execute(said.where(event_log.c.pos > position(connection, since))):
                found.update(pair)
    return found


def position(connection: sa.Connection, moment: datetime) -> int:
    """The last position in a log before a moment, found without reading the log: positions grow with time."""
    low, high = 0, connection.execute(sa.select(sa.func.max(event_log.c.pos))).scalar() or 0
    while low < high:
        middle = (low + high + 1) // 2
        first = (
            sa.select(event_log.c.pos, event_log.c.created_at).where(event_log.c.pos >= middle).order_by("pos").limit(1)
        )
        pos, said_at = connection.execute(first).one()
        if said_at < moment:
            low = min(pos, high)
        else:
            high = middle - 1
    return low


def _idle_groups(stores: Stores) -> Iterator[str]:
    """Groups with an order that is not over and has no deadline, of its own or of its parcels."""
    waiting = (
        "SELECT o.group_no, o.order_no FROM order_index o WHERE o.state NOT IN :over"
        " AND NOT EXISTS (SELECT 1 FROM timer t WHERE t.aggregate = o.order_no)"
        " AND NOT EXISTS (SELECT 1 FROM timer t WHERE t.aggregate = o.group_no)"
    )
    parcels = (
        "SELECT s.order_no FROM shipment s JOIN timer t ON t.aggregate = s.shipment_id WHERE s.state IN :moving"
        " UNION SELECT aggregate FROM timer"
    )
    sent = {order_no for (order_no,) in _rows(stores["shipping"], parcels, moving=ON_THE_WAY)}
    for group_no, order_no in _rows(stores["order"], waiting, over=TERMINAL):
        if order_no not in sent:
            yield group_no


def _idle_money(stores: Stores) -> Iterator[str]:
    """Groups with a refund under way, and payouts under way: few, and some wait for a call rather than a deadline."""
    refunds = (
        "SELECT DISTINCT p.group_no FROM refund_index r JOIN payment p ON p.payment_id = r.payment_id"
        " WHERE r.state IN :states"
    )
    payouts = "SELECT payout_id FROM payout WHERE state IN :states"
    for statement, states in ((refunds, ("INITIATED", "FAILED")), (payouts, ("REQUESTED",))):
        for (name,) in _rows(stores["payment"], statement, states=states):
            yield name


def _rows(database: Database, statement: str, **lists: tuple[str, ...]) -> list[Any]:
    text = sa.text(statement).bindparams(
        *(sa.bindparam(name, list(one), type_=sa.String, expanding=True) for name, one in lists.items())
    )
    with database.read() as connection:
        return list(connection.execute(text))
