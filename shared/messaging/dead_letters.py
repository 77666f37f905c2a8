"""What people do with messages that were not handled: look, edit, try again, or give up on them for good.

All of it is safe to repeat and to do while the workers run: a message is handled at most once whatever happens, since
a retry goes through the inbox, and one that was discarded or edited leaves its mark there. Every change says in the
audit trail who made it, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.kernel import clock
from shared.kernel.errors import Conflict, Invalid, NotFound
from shared.kernel.ids import new_id
from shared.messaging.consumer import Message, read
from shared.storage.trust import note_change
from shared.storage.types import inbox, inbox_retry
from shared.storage.unit_of_work import Node, UnitOfWork

PER_SECOND = 20.0


class NoSuchDeadLetter(NotFound):
    """There is no kept message with this number; it may have been handled meanwhile."""


class NotDead(Conflict):
    """Only a dead message can be edited: this one is tried again by itself, or waits behind another."""


class EditedMessageInvalid(Invalid):
    """The edited message is no CloudEvent of ours, breaks its fact's schema, or is about another thing."""


class DeadLetters:
    """Of one consumer. `actor` changes them for the reason `why`; both stand in the audit trail."""

    def __init__(self, node: Node, consumer: str, actor: str, why: str = "", request_id: str = "") -> None:
        self.node, self.consumer, self.actor = node, consumer, actor[:64]
        self.why, self.request_id = why[:500], request_id

    def rows(
        self, *, statuses: Sequence[str] = ("dead",), kind: str = "", reason: str = "", limit: int = 50, after: int = 0
    ) -> list[dict[str, Any]]:
        """Oldest first, bodies apart: no, event_id, type, agg, status, reason, attempts, error, created_at, next_at."""
        columns = inbox_retry.c
        wanted = [columns.consumer == self.consumer, columns.status.in_(statuses), columns.no > after]
        if kind:
            wanted.append(columns.type.contains(kind, autoescape=True))
        if reason:
            wanted.append(columns.reason == reason)
        shown = [column for column in columns if column.name not in ("body", "consumer")]
        with self.node.database.read() as connection:
            found = connection.execute(sa.select(*shown).where(*wanted).order_by(columns.no).limit(limit))
            return [dict(row) for row in found.mappings()]

    def show(self, no: int) -> dict[str, Any]:
        """One row with its message as text. Raises NoSuchDeadLetter."""
        with self.node.database.read() as connection:
            row = connection.execute(self._one(no)).mappings().one_or_none()
        if row is None:
            raise NoSuchDeadLetter()
        return {**row, "body": bytes(row["body"]).decode(errors="replace")}

    def retry(self, numbers: Sequence[int], *, per_second: float = PER_SECOND, start: float = 0.0) -> int:
        """Have the workers try these again, spread over time from `start` seconds on. Answers how many were there."""

        def again(tx: UnitOfWork) -> int:
            now, count = clock.machine_now() + timedelta(seconds=start), 0
            for no in sorted(set(numbers)):
                found = tx.execute(
                    inbox_retry.update()
                    .where(
                        inbox_retry.c.no == no,
                        inbox_retry.c.consumer == self.consumer,
                        inbox_retry.c.status.in_(["dead", "failed", "early"]),
                    )
                    .values(status="failed", attempts=0, starts=0, next_at=now + timedelta(seconds=count / per_second))
                ).rowcount
                count += found
                if found:
                    self._note(tx, "dead_letter.retry", no)
            return count

        return self.node.run(again)

    def discard(self, no: int) -> None:
        """Give up on it: it will never be handled, however often it comes again. Raises NoSuchDeadLetter."""

        def away(tx: UnitOfWork) -> None:
            row = tx.execute(self._one(no).with_for_update()).one_or_none()
            if row is None:
                raise NoSuchDeadLetter()
            mark = {"consumer": self.consumer, "event_id": row.event_id, "at": clock.machine_now()}
            tx.execute(tx.insert(inbox).on_conflict_do_nothing(), mark)
            tx.execute(inbox_retry.delete().where(inbox_retry.c.no == no))
            self._note(tx, "dead_letter.discard", no, row.event_id)

        self.node.run(away)

    def edit(self, no: int, body: bytes) -> str:
        """Put `body`, a whole CloudEvent, in the place of a dead message and have it tried; answers its new id.

        It keeps its place before what waits behind it, names the old message as its cause, and leaves the old one's
        mark, so that a late copy of that changes nothing. Raises NoSuchDeadLetter, NotDead, EditedMessageInvalid.
        """

        def change(tx: UnitOfWork) -> str:
            row = tx.execute(self._one(no).with_for_update()).one_or_none()
            if row is None:
                raise NoSuchDeadLetter()
            if row.status != "dead":  # a worker may be about to handle the message as it was
                raise NotDead()
            message = _edited(body, row)
            mark = {"consumer": self.consumer, "event_id": row.event_id, "at": clock.machine_now()}
            tx.execute(tx.insert(inbox).on_conflict_do_nothing(), mark)
            tx.execute(
                inbox_retry.update()
                .where(inbox_retry.c.no == no)
                .values(
                    event_id=message.event_id, type=message.type, agg=message.agg, body=message.body, status="failed",
                    partition_key=message.partition_key, attempts=0, starts=0, next_at=clock.machine_now(),
                )
            )  # fmt: skip
            self._note(tx, "dead_letter.edit", no, f"{row.event_id} {message.event_id}")
            return message.event_id

        return self.node.run(change)

    def _one(self, no: int) -> sa.Select[Any]:
        return sa.select(inbox_retry).where(inbox_retry.c.no == no, inbox_retry.c.consumer == self.consumer)

    def _note(self, tx: UnitOfWork, action: str, no: int, event_id: str = "") -> None:
        note_change(tx, self.actor, action, f"{no} {event_id}".strip(), self.request_id, self.why)


def _edited(body: bytes, row: Any) -> Message:
    """The message under a new id. Raises EditedMessageInvalid."""
    try:
        event = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EditedMessageInvalid("not a JSON object", field="message") from error
    event |= {"id": new_id(), "causationid": row.event_id}
    message = read(msgspec.json.encode(event))
    if message.fatal:
        raise EditedMessageInvalid(message.fatal.replace("|", ": ", 1), field="message")
    old = read(bytes(row.body)).envelope
    if old is not None and message.envelope is not None:
        for name in ("type", "subject", "partitionkey", "sequence"):
            if getattr(message.envelope, name) != getattr(old, name):
                raise EditedMessageInvalid(f"{name} was {getattr(old, name)}", field=f"message.{name}")
    return message
