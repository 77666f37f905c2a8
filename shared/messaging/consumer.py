"""The event door: takes messages from any broker and makes each of them handled or kept, exactly once.

A batch is one transaction: inbox marks first, then the handlers in order of delivery. If anything in it is out of the
ordinary, it is rolled back and run again message by message, so that one bad message never harms its neighbours:

- handled before: nothing happens;
- unreadable, unknown version, broken schema: a dead row with the reason;
- too early (its predecessor is still on the way): kept as `early`, tried again when its partition moves;
- failed: kept as `failed` and tried again later; what follows from the same aggregate is `held` behind it;
- the store is away: the exception goes to the caller, who acknowledges nothing and comes back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import uniform
from typing import Any

import sqlalchemy as sa

from shared.contracts.event import Envelope, Fact, decode_envelope, decode_fact
from shared.kernel import clock
from shared.kernel.errors import Fatal, TooEarly
from shared.kernel.ids import born
from shared.messaging import marks
from shared.messaging.leases import LeaseLost
from shared.messaging.marks import Standing
from shared.messaging.subscriptions import Subscriptions
from shared.storage.database import is_infrastructure
from shared.storage.types import inbox, inbox_retry
from shared.storage.unit_of_work import Cause, Node, UnitOfWork
from shared.telemetry import logs, metrics, spans
from shared.telemetry.faults import crash_point

DELAYS = (5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0, 43_200.0)
EARLY_DELAYS = (1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0)
STARTS_BEFORE_DEAD = 3

Guard = Callable[[UnitOfWork], None]


@dataclass(frozen=True)
class Message:
    """A delivery, read as far as it can be read."""

    body: bytes
    event_id: str
    type: str
    agg: str
    partition_key: str
    fact: Fact | None
    cause: Cause
    envelope: Envelope | None = None
    fatal: str = ""
    deliveries: int = 0


def read(body: bytes, deliveries: int = 0) -> Message:
    """Never raises: what cannot be read becomes a message with `fatal` set and the hash of its bytes as id."""
    try:
        envelope = decode_envelope(body)
    except Fatal as error:
        return refuse(body, f"unreadable|{error}")
    cause = Cause(envelope.correlationid, envelope.id, envelope.traceparent, envelope.time)
    agg = f"{envelope.publisher}/{envelope.subject}"
    try:
        fact, fatal = decode_fact(envelope), ""
    except Fatal as error:
        fact, fatal = None, f"schema|{error}"
    return Message(
        body, envelope.id, envelope.type, agg, envelope.partitionkey, fact, cause, envelope, fatal, deliveries
    )


def refuse(body: bytes, fatal: str) -> Message:
    """A message that is not believed in anything it says of itself: known by the hash of its bytes alone."""
    digest = hashlib.sha256(body).hexdigest()
    return Message(body, digest, fatal.split("|")[0], digest, digest, None, Cause.fresh(digest), fatal=fatal)


class _Aside(Exception):
    """Something in this batch needs the slow way."""


class Consumer:
    """One service's event door. Thread safe as far as its node is; ordering is the caller's affair."""

    def __init__(self, node: Node, on: Subscriptions) -> None:
        self.node, self.on = node, on

    def handle(self, messages: Sequence[Message], guard: Guard = lambda _tx: None) -> None:
        """Make every message handled or kept, committed. Raises only when the store is away or the lease lost."""
        crash_point("consumer.after_delivery")
        early: set[int] = set()
        with logs.following(), metrics.handler_seconds.labels(self.on.consumer).time():
            try:
                if any(message.fatal or message.deliveries >= 2 for message in messages):
                    raise _Aside
                early = self.node.run(lambda tx: self._batch(tx, messages, guard))
            except Exception as error:
                if _not_about_the_message(error):
                    raise
                for message in messages:
                    early |= self.handle_one(message, guard)
        crash_point("consumer.after_commit")
        for no in sorted(early):
            self.retry(no, guard, counts=False)

    def bury(self, body: bytes) -> None:
        """Keep as dead what the broker gave up delivering."""
        message = read(body)
        self._keep(message, "dead", "broker_limit", "the broker gave up delivering it", guard=lambda _tx: None)

    def handle_one(self, message: Message, guard: Guard = lambda _tx: None) -> set[int]:
        """The slow way: one message, one transaction. Answers early rows worth another try now."""
        if message.fatal:
            self._keep(message, "dead", *message.fatal.split("|", 1), guard=guard)
            return set()
        try:
            if message.deliveries >= 2 and not self._mark_started(message, guard):
                return set()
            return self.node.run(lambda tx: self._single(tx, message, guard))
        except TooEarly as error:
            self._keep(message, "early", "too_early", str(error), guard=guard)
        except Exception as error:
            if _not_about_the_message(error):
                raise
            logs.get("consumer").exception("handler_failed", event_id=message.event_id, type=message.type)
            reason = "refused" if isinstance(error, Fatal) else "failed"
            self._keep(message, "dead" if isinstance(error, Fatal) else "failed", reason, repr(error), guard=guard)
        return set()

    def _batch(self, tx: UnitOfWork, messages: Sequence[Message], guard: Guard) -> set[int]:
        guard(tx)
        new = marks.claim(tx, self.on.consumer, _ids(messages))
        crash_point("consumer.after_inbox")
        early = set()
        for row in self._standing(tx, messages):
            if row.status != "early" or any(row.event_id == message.event_id for message in messages):
                raise _Aside
            early.add(row.no)
        fresh = []
        for message in messages:
            if message.event_id in new:
                new.discard(message.event_id)
                fresh.append(message)
        self._run(tx, fresh)
        metrics.consumed.labels(self.on.consumer, "duplicate").inc(len(messages) - len(fresh))
        return early

    def _single(self, tx: UnitOfWork, message: Message, guard: Guard) -> set[int]:
        guard(tx)
        new = marks.claim(tx, self.on.consumer, [message.event_id])
        early = set()
        for row in self._standing(tx, [message]):
            if row.status == "started" and row.event_id == message.event_id:
                tx.execute(inbox_retry.delete().where(inbox_retry.c.no == row.no))
            elif row.event_id == message.event_id:
                marks.unclaim(tx, self.on.consumer, message.event_id)
                return set()
            elif row.status == "early":
                early.add(row.no)
            elif new:
                marks.unclaim(tx, self.on.consumer, message.event_id)
                self._insert_retry(tx, message, "held", "behind_failed", f"behind row {row.no}")
                return set()
        if new:
            self._run(tx, [message])
        else:
            metrics.consumed.labels(self.on.consumer, "duplicate").inc()
        return early

    def _run(self, tx: UnitOfWork, messages: list[Message]) -> None:
        facts = [message.fact for message in messages if message.fact is not None]
        if not facts:
            return
        self.on.before_batch(facts, tx)
        for message in messages:
            handler = self.on.handlers.get(type(message.fact))  # type: ignore[arg-type]
            cause = message.cause
            logs.follow(cause.traceparent, cause.correlation_id)
            with spans.span(f"handle {message.type}", "CONSUMER", cause.traceparent, service=self.on.consumer) as span:
                tx.cause = (
                    cause if span.traceparent == cause.traceparent else replace(cause, traceparent=span.traceparent)
                )
                if handler is not None:
                    handler(message.fact, tx)
                    logs.handled(self.on.consumer, message)
        crash_point("consumer.after_handler")
        metrics.consumed.labels(self.on.consumer, "handled").inc(len(messages))
        metrics.batch_size.labels(self.on.consumer).observe(len(messages))
        now, lag = clock.machine_seconds(), metrics.end_to_end.labels(self.on.consumer)
        for message in messages:
            if (told := born(message.event_id)) is not None:
                lag.observe(max(0.0, now - told))

    def _standing(self, tx: UnitOfWork, messages: Sequence[Message]) -> list[Standing]:
        return marks.standing(
            tx,
            self.on.consumer,
            ids=_ids(messages),
            aggs=[message.agg for message in messages],
            keys=[message.partition_key for message in messages],
        )

    def _mark_started(self, message: Message, guard: Guard) -> bool:
        """Before a message that has come back again and again: note that we start, so that a crash loop is seen."""

        def mark(tx: UnitOfWork) -> bool:
            guard(tx)
            row = tx.execute(
                sa.select(inbox_retry.c.no, inbox_retry.c.starts, inbox_retry.c.status).where(
                    inbox_retry.c.consumer == self.on.consumer, inbox_retry.c.event_id == message.event_id
                )
            ).one_or_none()
            if row is None:
                self._insert_retry(tx, message, "started", "redelivered", "", starts=1)
                return True
            if row.status != "started":
                return True
            dead = row.starts + 1 > STARTS_BEFORE_DEAD
            change = {"status": "dead", "reason": "crash_loop"} if dead else {"starts": row.starts + 1}
            tx.execute(inbox_retry.update().where(inbox_retry.c.no == row.no).values(**change))
            return not dead

        goes_on = self.node.run(mark)
        if not goes_on:
            self._mourn(message, "crash_loop")
        return goes_on

    def _keep(self, message: Message, status: str, reason: str, error: str, *, guard: Guard) -> None:
        def keep(tx: UnitOfWork) -> bool:
            guard(tx)
            marked = inbox.c.consumer == self.on.consumer, inbox.c.event_id == message.event_id
            if tx.execute(sa.select(inbox.c.at).where(*marked)).first() is not None:
                return False  # handled or discarded, and delivered once more
            self._insert_retry(tx, message, status, reason, error)
            return True

        kept = self.node.run(keep)
        metrics.consumed.labels(self.on.consumer, status if kept else "duplicate").inc()
        if kept and status == "dead":
            self._mourn(message, reason)

    def _mourn(self, message: Message, reason: str) -> None:
        metrics.dead.labels(self.on.consumer, reason).inc()
        logs.get("consumer").error("dead_letter", event_id=message.event_id, type=message.type, reason=reason)

    def _insert_retry(
        self, tx: UnitOfWork, message: Message, status: str, reason: str, error: str, starts: int = 0
    ) -> None:
        attempts = 1 if status in ("failed", "early") else 0
        values = {
            "status": status,
            "attempts": attempts,
            "reason": reason,
            "error": error[:4000],
            "next_at": _next(status, attempts),
        }
        row = {
            "consumer": self.on.consumer,
            "event_id": message.event_id,
            "type": message.type,
            "agg": message.agg,
            "partition_key": message.partition_key,
            "body": message.body,
            "starts": starts,
            "created_at": clock.machine_now(),
        }
        tx.execute(
            tx.insert(inbox_retry)
            .values(**row, **values)
            .on_conflict_do_update(
                index_elements=[inbox_retry.c.consumer, inbox_retry.c.event_id],
                set_=values,
                where=inbox_retry.c.status == "started",
            )
        )

    # --- kept rows, tried again -------------------------------------------------------------------------------------

    def retry_due(self, guard: Guard = lambda _tx: None, limit: int = 50) -> int:
        """Try kept rows whose time has come, oldest first; held rows whose blocker is gone too. Answers how many."""
        with self.node.database.read() as connection:
            numbers = marks.due(connection, self.on.consumer, limit)
        for no in numbers:
            self.retry(no, guard)
        return len(numbers)

    def retry(self, no: int, guard: Guard = lambda _tx: None, *, counts: bool = True) -> bool:
        """Handle one kept row now. Answers whether it is handled.

        `counts`: a row that is still too early has used up one of its tries (not so when only its partition moved).
        """
        with self.node.database.read() as connection:
            row = connection.execute(sa.select(inbox_retry).where(inbox_retry.c.no == no)).one_or_none()
        if row is None or row.status == "dead":
            return row is None
        message = read(bytes(row.body))
        if message.fatal:
            self._fail(no, "dead", row.attempts, message.fatal, guard)
            return False
        with logs.following():
            return self._try_again(row, message, guard, counts)

    def _try_again(self, row: Any, message: Message, guard: Guard, counts: bool) -> bool:
        no = row.no
        try:
            self.node.run(lambda tx: self._retry_one(tx, no, message, guard))
        except TooEarly as error:
            if counts or row.status != "early":
                self._fail(no, "early", row.attempts, str(error), guard)
            return False
        except Exception as error:
            if _not_about_the_message(error):
                raise
            self._fail(no, "failed", row.attempts, repr(error), guard)
            return False
        return True

    def _retry_one(self, tx: UnitOfWork, no: int, message: Message, guard: Guard) -> None:
        guard(tx)
        if tx.execute(inbox_retry.delete().where(inbox_retry.c.no == no)).rowcount and marks.claim(
            tx, self.on.consumer, [message.event_id]
        ):
            self._run(tx, [message])
        crash_point("retry.after_handler")

    def _fail(self, no: int, status: str, attempts: int, error: str, guard: Guard) -> None:
        delays = EARLY_DELAYS if status == "early" else DELAYS
        status = "dead" if attempts >= len(delays) else status

        def note(tx: UnitOfWork) -> None:
            guard(tx)
            tx.execute(
                inbox_retry.update()
                .where(inbox_retry.c.no == no)
                .values(status=status, attempts=attempts + 1, error=error[:4000], next_at=_next(status, attempts + 1))
            )

        self.node.run(note)
        if status == "dead":
            metrics.dead.labels(self.on.consumer, "exhausted").inc()
            logs.get("consumer").error("dead_letter", row=no, reason="exhausted")


def _next(status: str, attempts: int) -> Any:
    """When a kept row is tried again (machine time, 20 % jitter), or None for rows that wait for somebody."""
    delays = {"failed": DELAYS, "early": EARLY_DELAYS}.get(status)
    if delays is None:
        return None
    seconds = delays[min(attempts, len(delays)) - 1] * uniform(0.8, 1.2)
    return clock.machine_now() + timedelta(seconds=seconds)


def _not_about_the_message(error: BaseException) -> bool:
    return isinstance(error, LeaseLost) or is_infrastructure(error)


def _ids(messages: Sequence[Message]) -> list[str]:
    return [message.event_id for message in messages]
