"""The relay: publishes what was committed, in order per partition key, until it is confirmed; then forgets the pointer.

It reads the pointers that are still there, never "ids above the last one": under concurrency a lower position can
become visible after a higher one, and a watermark would lose it. Dying anywhere here publishes a fact twice at most,
with the same id, and the inbox drops the second.
"""

from __future__ import annotations

from datetime import timedelta
from random import uniform

import sqlalchemy as sa

from shared.kernel import clock
from shared.messaging.broker import Outgoing, Publisher
from shared.storage.types import event_log, outbox
from shared.storage.unit_of_work import Node
from shared.telemetry import logs, metrics
from shared.telemetry.faults import crash_point

WINDOW = 200

_waiting = sa.select(outbox.c.partition_key).where(outbox.c.next_at > sa.bindparam("now"))
_PENDING = (
    sa.select(
        outbox.c.pos, outbox.c.attempts, outbox.c.partition_key, event_log.c.event_id, event_log.c.routing_key,
        event_log.c.body,
    )  # fmt: skip
    .join(event_log, event_log.c.pos == outbox.c.pos)
    .where(outbox.c.partition_key.not_in(_waiting))
    .order_by(outbox.c.pos)
    .limit(2 * WINDOW)
)


class Relay:
    """One per store at a time: the caller holds the relay's lock (advisory on PostgreSQL, a file's on SQLite)."""

    def __init__(self, node: Node, publisher: Publisher) -> None:
        self.node, self.publisher = node, publisher

    def step(self) -> int:
        """Publish one window. Answers how many facts were confirmed."""
        with self.node.database.read() as connection:
            rows = connection.execute(_PENDING, {"now": clock.machine_now()}).all()
        window, keys = [], set()
        for row in rows:
            if self.publisher.one_per_key and row.partition_key in keys:
                continue
            keys.add(row.partition_key)
            window.append(row)
            if len(window) == WINDOW:
                break
        if not window:
            return 0
        outcome = self.publisher.publish(
            [Outgoing(r.pos, r.event_id, r.routing_key, r.partition_key, bytes(r.body)) for r in window]
        )
        crash_point("relay.after_confirm")
        metrics.relay_published.labels(self.node.name).inc(len(outcome.confirmed))
        with self.node.database.begin() as connection:
            if outcome.confirmed:
                connection.execute(outbox.delete().where(outbox.c.pos.in_(outcome.confirmed)))
            for row in window:
                if row.pos in outcome.failed:
                    pause = uniform(0.5, 1.0) * min(60.0, 2.0**row.attempts)
                    connection.execute(
                        outbox.update()
                        .where(outbox.c.pos == row.pos)
                        .values(
                            attempts=row.attempts + 1,
                            next_at=clock.machine_now() + timedelta(seconds=pause),
                            last_error=outcome.failed[row.pos][:500],
                        )
                    )
        crash_point("relay.after_delete")
        if outcome.failed:
            metrics.relay_failed.labels(self.node.name).inc(len(outcome.failed))
            logs.get("relay").warning(
                "publish_failed", service=self.node.name, facts=len(outcome.failed), why=next(iter(outcome.failed.values()))
            )
        return len(outcome.confirmed)
