"""What people do with messages that were not handled: look, try again, or give up on them for good.

Both ways are safe to repeat and to do while the workers run: a message is handled at most once whatever happens, since
a retry goes through the inbox, and a discarded one leaves its mark there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from shared.kernel import clock
from shared.kernel.errors import NotFound
from shared.storage.types import audit, inbox, inbox_retry
from shared.storage.unit_of_work import Node, UnitOfWork

PER_SECOND = 20.0


class NoSuchDeadLetter(NotFound):
    """There is no kept message with this number; it may have been handled meanwhile."""


class DeadLetters:
    """Of one consumer. `actor` is whoever is to stand in the audit trail."""

    def __init__(self, node: Node, consumer: str, actor: str) -> None:
        self.node, self.consumer, self.actor = node, consumer, actor[:64]

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

    def retry(self, numbers: Sequence[int], *, per_second: float = PER_SECOND) -> int:
        """Have the workers try these again soon, spread over time. Answers how many were there to be tried."""

        def again(tx: UnitOfWork) -> int:
            now, count = clock.machine_now(), 0
            for no in sorted(set(numbers)):
                count += tx.execute(
                    inbox_retry.update()
                    .where(
                        inbox_retry.c.no == no,
                        inbox_retry.c.consumer == self.consumer,
                        inbox_retry.c.status.in_(["dead", "failed", "early"]),
                    )
                    .values(status="failed", attempts=0, starts=0, next_at=now + timedelta(seconds=count / per_second))
                ).rowcount
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

    def _one(self, no: int) -> sa.Select[Any]:
        return sa.select(inbox_retry).where(inbox_retry.c.no == no, inbox_retry.c.consumer == self.consumer)

    def _note(self, tx: UnitOfWork, action: str, no: int, event_id: str = "") -> None:
        tx.execute(
            audit.insert().values(
                at=clock.machine_now(),
                actor=self.actor,
                action=action,
                object=f"{no} {event_id}".strip()[:128],
                result="done",
                request_id="",
            )  # fmt: skip
        )
