"""Keeps a store small and shows its state: removes what is too old to matter, and measures what waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from shared.kernel import clock
from shared.messaging.consumer import Guard
from shared.messaging.leases import forget_workers
from shared.storage.types import (
    audit,
    event_log,
    idempotency,
    inbox,
    inbox_retry,
    intent,
    outbox,
    revoked_session,
    signing_key,
    timer,
)
from shared.storage.unit_of_work import Node
from shared.telemetry import metrics

BATCH = 5_000
INBOX_DAYS = 30  # longer than a message can stay in a dead-letter queue, and than facts are replayed
IDEMPOTENCY_HOURS = 24
DENIAL_DAYS = 90
DEED_DAYS = 2 * 365  # what operators did, and why, is asked about long after it
STATUSES = ("failed", "held", "early", "dead", "started")


class Housekeeper:
    """Of one store."""

    def __init__(self, node: Node, consumer: str) -> None:
        self.node, self.consumer = node, consumer
        self.status: dict[str, float] = {}
        self._kinds: set[str] = set()

    def purge(self, guard: Guard = lambda _tx: None) -> int:
        """Remove one batch of each kind of old rows. Answers how many rows went."""
        now = clock.machine_now()
        old = (
            (inbox, inbox.c.at < now - timedelta(days=INBOX_DAYS)),
            (idempotency, idempotency.c.created_at < now - timedelta(hours=IDEMPOTENCY_HOURS)),
            (revoked_session, revoked_session.c.expires_at < now),
            (audit, audit.c.at < now - timedelta(days=DEED_DAYS)),
            (audit, sa.and_(audit.c.at < now - timedelta(days=DENIAL_DAYS), audit.c.denied)),
            (signing_key, signing_key.c.not_after < now - timedelta(days=1)),
        )
        removed = 0
        for table, too_old in old:
            key = sa.tuple_(*table.primary_key.columns)
            some = sa.select(*table.primary_key.columns).where(too_old).limit(BATCH)
            with self.node.transaction() as tx:
                guard(tx)
                removed += tx.execute(table.delete().where(key.in_(some))).rowcount
        forget_workers(self.node.database)
        return removed

    def measure(self) -> dict[str, float]:
        """Rows that wait, by kind, as numbers and as metrics."""
        columns = inbox_retry.c
        with self.node.database.read() as connection:
            pending, first = connection.execute(sa.select(sa.func.count(), sa.func.min(outbox.c.pos))).one()
            since = sa.select(event_log.c.created_at).where(event_log.c.pos == first)
            oldest = connection.execute(since).scalar() if first is not None else None
            kept: Counter[str] = Counter()
            for status, count in connection.execute(
                sa.select(columns.status, sa.func.count())
                .where(columns.consumer == self.consumer)
                .group_by(columns.status)
            ):
                kept[status] = count
            now = self.node.database.now(connection)
            due = connection.execute(sa.select(sa.func.min(timer.c.due_at)).where(timer.c.due_at <= now)).scalar()
            calls = connection.execute(
                sa.select(intent.c.kind, sa.func.count(), sa.func.min(intent.c.created_at)).group_by(intent.c.kind)
            ).all()
        age = max(0.0, (clock.machine_now() - oldest).total_seconds()) if oldest else 0.0
        name = self.node.name
        metrics.outbox_pending.labels(name).set(pending)
        metrics.outbox_oldest.labels(name).set(age)
        for status in STATUSES:
            metrics.retry_pending.labels(name, status).set(kept[status])
        late = max(0.0, (now - due).total_seconds()) if due else 0.0
        metrics.timer_lag.labels(name).set(late)
        metrics.pool_in_use.labels(name).set(self.node.database.in_use)
        self._measure_calls({kind: (count, since) for kind, count, since in calls})
        self.status = {"outbox_pending": pending, "outbox_oldest_age_seconds": age, "timer_lag_seconds": late} | {
            f"{status}_rows": kept[status] for status in STATUSES
        }
        return self.status

    def _measure_calls(self, waiting: Mapping[str, tuple[int, datetime]]) -> None:
        """Of every kind that ever waited: one that waits no more is told as none."""
        self._kinds |= waiting.keys()
        now = clock.machine_now()
        for kind in self._kinds:
            count, since = waiting.get(kind, (0, now))
            metrics.calls_pending.labels(self.node.name, kind).set(count)
            metrics.calls_oldest.labels(self.node.name, kind).set(max(0.0, (now - since).total_seconds()))
