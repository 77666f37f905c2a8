"""The relay: publishes what was committed, in order per partition key, until it is confirmed; then forgets the pointer.

It reads the pointers that are still there, never "ids above the last one": under concurrency a lower position can
become visible after a higher one, and a watermark would lose it. Dying anywhere here publishes a fact twice at most,
with the same id, and the inbox drops the second.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from random import uniform
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from shared.kernel import clock
from shared.messaging.broker import Outgoing, Publisher
from shared.storage.hot import Hot
from shared.storage.locks import SessionLock
from shared.storage.types import event_log, outbox
from shared.storage.unit_of_work import Node
from shared.telemetry import logs, metrics
from shared.telemetry.faults import crash_point

WINDOW = 200

LOOK_AHEAD = 10 * WINDOW
"""Pointers looked at to fill a window: a partition key with a long queue must not keep the others waiting."""


class _Pointer(NamedTuple):
    pos: int
    attempts: int
    partition_key: str
    event_id: str
    routing_key: str
    body: bytes


def _pending(one_per_key: bool) -> sa.Select[Any]:
    """The next window. A key whose first fact waits for its next try waits as a whole, so that nothing overtakes it."""
    waiting = sa.select(outbox.c.partition_key).where(outbox.c.next_at > sa.bindparam("now"))
    pointers = (
        sa.select(outbox.c.pos, outbox.c.attempts, outbox.c.partition_key)
        .where(outbox.c.partition_key.not_in(waiting))
        .order_by(outbox.c.pos)
        .limit(LOOK_AHEAD if one_per_key else WINDOW)
        .subquery()
    )
    if one_per_key:
        turn = sa.func.row_number().over(partition_by=pointers.c.partition_key, order_by=pointers.c.pos).label("turn")
        ranked = sa.select(pointers, turn).subquery()
        pointers = sa.select(ranked).where(ranked.c.turn == 1).order_by(ranked.c.pos).limit(WINDOW).subquery()
    mine, log = pointers.c, event_log.c
    return (
        sa.select(mine.pos, mine.attempts, mine.partition_key, log.event_id, log.routing_key, log.body)
        .join(event_log, log.pos == mine.pos)
        .order_by(mine.pos)
    )


class Relay:
    """One per store at a time: the caller holds `lock`, and on PostgreSQL the relay works on the lock's own session."""

    def __init__(self, node: Node, publisher: Publisher, lock: SessionLock | None = None) -> None:
        self.node, self.publisher, self.lock = node, publisher, lock
        self._pending = _pending(publisher.one_per_key)
        compiled = self._pending.compile(dialect=postgresql.psycopg.dialect())  # type: ignore[no-untyped-call]
        self._pending_hot, self._limits = Hot(str(compiled)), compiled.params

    def step(self) -> int:
        """Publish one window. Answers how many facts were confirmed."""
        window = self._window()
        if not window:
            return 0
        outcome = self.publisher.publish(
            [Outgoing(r.pos, r.event_id, r.routing_key, r.partition_key, bytes(r.body)) for r in window]
        )
        crash_point("relay.after_confirm")
        self._count(window, outcome.confirmed)
        if not outcome.confirmed and not outcome.failed:
            return 0  # the broker is away: nothing was tried
        if outcome.confirmed:
            self._forget(outcome.confirmed)
        if outcome.failed:
            self._put_off(window, outcome.failed)
        crash_point("relay.after_delete")
        if outcome.failed:
            metrics.relay_failed.labels(self.node.name).inc(len(outcome.failed))
            why = next(iter(outcome.failed.values()))
            logs.get("relay").warning("publish_failed", service=self.node.name, facts=len(outcome.failed), why=why)
        return len(outcome.confirmed)

    def _count(self, window: Sequence[_Pointer], confirmed: Sequence[int]) -> None:
        names = {row.pos: row.routing_key.split(".")[1] for row in window}
        for fact, number in Counter(names[pos] for pos in confirmed).items():
            metrics.relay_published.labels(self.node.name, fact).inc(number)

    def _window(self) -> list[_Pointer]:
        now = {"now": clock.machine_now()}
        if self.lock and self.lock.session:
            return [_Pointer(*row) for row in self._pending_hot.on(self.lock.session, **(self._limits | now))]
        with self.node.database.read() as connection:
            if self.node.database.is_sqlite:
                rows: Iterable[Any] = connection.execute(self._pending, now)
            else:
                rows = self._pending_hot.rows(connection, **(self._limits | now))
            return [_Pointer(*row) for row in rows]

    def _forget(self, confirmed: list[int]) -> None:
        if self.lock and self.lock.session:
            # A broker slower than the session may be idle has cost us the lock: others publish these again, if we
            # do not forget them all the same.
            with contextlib.suppress(psycopg.OperationalError):
                _FORGET.on(self.lock.session, confirmed=confirmed)
                return
        if self.node.database.is_sqlite:
            with self.node.database.begin() as connection:
                connection.execute(outbox.delete().where(outbox.c.pos.in_(confirmed)))
        else:
            with self.node.database.read() as connection:  # in autocommit: one statement, one round trip
                _FORGET.count(connection, confirmed=confirmed)

    def _put_off(self, window: Sequence[Any], failed: Mapping[int, str]) -> None:
        with self.node.database.begin() as connection:
            for row in window:
                if row.pos in failed:
                    pause = uniform(0.5, 1.0) * min(60.0, 2.0**row.attempts)
                    connection.execute(
                        outbox.update()
                        .where(outbox.c.pos == row.pos)
                        .values(
                            attempts=row.attempts + 1,
                            next_at=clock.machine_now() + timedelta(seconds=pause),
                            last_error=failed[row.pos][:500],
                        )
                    )


_FORGET = Hot("DELETE FROM outbox WHERE pos = ANY(%(confirmed)s::bigint[])")
