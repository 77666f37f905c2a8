"""What happens when nothing happens: fires due timers, and makes the outside calls that intents ask for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.kernel import clock
from shared.kernel.errors import OutsideUnavailable
from shared.messaging.consumer import DELAYS, Guard
from shared.messaging.leases import LeaseLost
from shared.messaging.subscriptions import Intent, Intents, Timers
from shared.storage.database import is_infrastructure
from shared.storage.hot import Hot
from shared.storage.types import intent, timer
from shared.storage.unit_of_work import Cause, Node, UnitOfWork
from shared.telemetry import logs, spans
from shared.telemetry.faults import crash_point

CALL_CLAIM = timedelta(seconds=60)
"""How long one attempt of an outside call may take before another worker may resume it."""

_ANY_DUE = Hot("SELECT 1 FROM intent WHERE next_at <= %(now)s LIMIT 1")
_TAKE = """
    UPDATE intent SET attempts = attempts + 1, next_at = %(until)s, error = NULL
    WHERE id IN (SELECT id FROM intent WHERE {which} FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, key, data, attempts, cause
"""
_CLAIM = Hot(_TAKE.format(which="next_at <= %(now)s ORDER BY next_at LIMIT %(limit)s"))
_CLAIM_ONE = Hot(_TAKE.format(which="next_at <= %(now)s AND kind = %(kind)s AND key = %(key)s"))
_SETTLED = Hot("DELETE FROM intent WHERE id = %(id)s")


class TimerRunner:
    """Fires due timers, oldest first, in batches; a timer that was moved meanwhile does not fire."""

    def __init__(self, node: Node, timers: Timers) -> None:
        self.node, self.timers = node, timers

    def step(self, guard: Guard = lambda _tx: None, limit: int = 50) -> int:
        """Answers how many timers were due and dealt with."""
        with self.node.database.read() as connection:
            now = self.node.database.now(connection)
            rows = connection.execute(_DUE, {"now": now, "machine": clock.machine_now(), "limit": limit}).all()
        due = list({row.aggregate: row for row in reversed(rows)}.values())[::-1]  # one per aggregate, the oldest
        if not due:
            return 0
        with logs.following():
            try:
                self.node.run(lambda tx: self._fire(tx, due, guard))
            except Exception as error:
                if isinstance(error, LeaseLost) or is_infrastructure(error):
                    raise
                for row in due:
                    self._fire_alone(row, guard)
        return len(due)

    def _fire_alone(self, row: Any, guard: Guard) -> None:
        try:
            self.node.run(lambda tx: self._fire(tx, [row], guard))
        except Exception as error:
            if isinstance(error, LeaseLost) or is_infrastructure(error):
                raise
            log = logs.get("timers")
            log.exception("timer_failed", service=self.node.name, timer=row.name, aggregate=row.aggregate)
            pause = DELAYS[min(row.attempts, len(DELAYS) - 1)]
            with self.node.database.begin() as connection:
                connection.execute(
                    timer.update()
                    .where(timer.c.id == row.id, timer.c.generation == row.generation)
                    .values(
                        attempts=row.attempts + 1,
                        not_before=clock.machine_now() + timedelta(seconds=pause),
                        error=repr(error)[:500],
                    )
                )

    def _fire(self, tx: UnitOfWork, rows: Sequence[Any], guard: Guard) -> None:
        guard(tx)
        for name in sorted({row.name for row in rows}):
            self.timers.by_name[name].lock(tx, sorted(row.aggregate for row in rows if row.name == name))
        # The aggregates are locked, so nobody moves these timers now; one that was moved before is not the one we read.
        known = sa.tuple_(timer.c.id, timer.c.generation).in_([(row.id, row.generation) for row in rows])
        taken = set(tx.execute(timer.delete().where(known).returning(timer.c.id)).scalars())
        crash_point("timer.after_claim")
        for row in rows:
            if row.id in taken:
                tx.cause = Cause.unpack(row.cause, f"timer:{row.name}:{row.aggregate}:{row.generation}")
                logs.follow(tx.cause.traceparent, tx.cause.correlation_id)
                self.timers.by_name[row.name].handler(tx, row.aggregate)


_DUE = (
    sa.select(timer)
    .where(
        timer.c.due_at <= sa.bindparam("now"),
        sa.or_(timer.c.not_before.is_(None), timer.c.not_before <= sa.bindparam("machine")),
    )
    .order_by(timer.c.due_at, timer.c.id)
    .limit(sa.bindparam("limit"))
)


class IntentRunner:
    """Makes outside calls, each in three steps: claim (a transaction), call (none open), settle (a transaction).

    A death between the call and its settling resumes the intent after `CALL_CLAIM` with the same key; the provider's
    idempotency makes that harmless. Any number of runners may work side by side.
    """

    def __init__(self, node: Node, intents: Intents) -> None:
        self.node, self.intents = node, intents

    def step(self, limit: int = 10) -> int:
        """Work up to `limit` intents whose time has come. Answers how many were settled."""
        return sum(self.work(one, cause) for one, cause in self.claim(limit))

    def run_now(self, kind: str, key: str) -> bool:
        """Work one intent at once, in the caller's thread (after its commit). Answers whether it settled."""
        return sum(self.work(one, cause) for one, cause in self.claim(1, kind, key)) > 0

    def claim(self, limit: int, kind: str | None = None, key: str | None = None) -> list[tuple[Intent, Cause]]:
        """Take up to `limit` intents whose time has come; nobody else takes them for `CALL_CLAIM`."""
        now = clock.machine_now()
        if self.node.database.is_sqlite:
            rows = self._claim_plainly(now, limit, kind, key)
        else:
            with self.node.database.read() as connection:  # in autocommit: one statement is one transaction
                if kind is None:
                    idle = not _ANY_DUE.rows(connection, now=now)
                    rows = () if idle else _CLAIM.rows(connection, now=now, until=now + CALL_CLAIM, limit=limit)
                else:
                    rows = _CLAIM_ONE.rows(connection, now=now, until=now + CALL_CLAIM, kind=kind, key=key)
        return [
            (
                Intent(no, kind, key, msgspec.json.decode(data), attempts),
                Cause.unpack(cause, f"intent:{kind}:{key}"),
            )
            for no, kind, key, data, attempts, cause in rows
        ]

    def _claim_plainly(self, now: datetime, limit: int, kind: str | None, key: str | None) -> Sequence[Any]:
        due = sa.select(intent.c.id).where(intent.c.next_at <= now).order_by(intent.c.next_at).limit(limit)
        if kind is not None:
            due = due.where(intent.c.kind == kind, intent.c.key == key)
        with self.node.database.read() as connection:  # the one writer's lock is not taken for nothing
            if connection.execute(due).first() is None:
                return ()
        with self.node.database.begin() as connection:
            return connection.execute(
                intent.update()
                .where(intent.c.id.in_(due))
                .values(attempts=intent.c.attempts + 1, next_at=now + CALL_CLAIM, error=None)
                .returning(*(intent.c[name] for name in ("id", "kind", "key", "data", "attempts", "cause")))
            ).all()

    def work(self, one: Intent, cause: Cause) -> bool:
        """Make a claimed call and settle it. Answers whether it is settled; if not, it is tried again later."""
        if one.kind not in self.intents.by_kind:
            # Written by a newer version of this service; its own worker comes by when the claim ends.
            logs.get("intents").error("unknown_intent", service=self.node.name, kind=one.kind)
            return False
        with logs.following():
            logs.follow(cause.traceparent, cause.correlation_id)
            return self._make(one, cause)

    def _make(self, one: Intent, cause: Cause) -> bool:
        declared = self.intents.by_kind[one.kind]
        crash_point("intent.before_call")
        try:
            with spans.span(f"call {one.kind}", "CLIENT", cause.traceparent, service=self.node.name):
                result = declared.call(self.node, one)
            crash_point("intent.after_call")
            self.node.run(lambda tx: self._settle(tx, one, result), cause)
        except Exception as error:
            expected = isinstance(error, OutsideUnavailable)
            log = logs.get("intents")
            about = {"service": self.node.name, "kind": one.kind, "key": one.key, "attempts": one.attempts}
            (log.warning if expected else log.exception)("intent_failed", why=repr(error), **about)
            pause = declared.delays[min(one.attempts, len(declared.delays)) - 1]
            with self.node.database.begin() as connection:
                connection.execute(
                    intent.update()
                    .where(intent.c.id == one.id)
                    .values(next_at=clock.machine_now() + timedelta(seconds=pause), error=repr(error)[:500])
                )
            return False
        return True

    def _settle(self, tx: UnitOfWork, one: Intent, result: Any) -> None:
        if tx.node.database.is_sqlite:
            mine = tx.execute(intent.delete().where(intent.c.id == one.id)).rowcount
        else:
            mine = _SETTLED.count(tx.connection, id=one.id)
        if mine:
            self.intents.by_kind[one.kind].settle(tx, one, result)
