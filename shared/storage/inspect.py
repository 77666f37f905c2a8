"""Looking into a store, and moving its business clock: for tests, the sandbox and operators, never for services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared.storage.database import Database
from shared.storage.types import clock_offset, event_log, inbox_retry, timer


def kept_rows(database: Database) -> list[Any]:
    """Messages taken from the bus but not handled, oldest first."""
    with database.read() as connection:
        return list(connection.execute(sa.select(inbox_retry).order_by(inbox_retry.c.no)))


def logged(database: Database, after: int = 0) -> Sequence[tuple[int, bytes]]:
    """``(position, bytes)`` of every fact said after position `after`, in order."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(event_log.c.pos, event_log.c.body).where(event_log.c.pos > after).order_by(event_log.c.pos)
        )
        return [(pos, bytes(body)) for pos, body in rows]


def next_deadline(database: Database) -> datetime | None:
    """When the earliest timer is due (business time), failing ones apart."""
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.min(timer.c.due_at)).where(timer.c.not_before.is_(None))).scalar()


def business_now(database: Database) -> datetime:
    with database.read() as connection:
        return database.now(connection)


def move_clock(database: Database, seconds: float) -> None:
    """Set business time `seconds` ahead of the database's clock."""
    with database.begin() as connection:
        if connection.execute(clock_offset.update().values(seconds=seconds)).rowcount == 0:
            connection.execute(clock_offset.insert().values(one=1, seconds=seconds))


def clock_ahead(database: Database) -> float:
    """How many seconds business time is ahead of the database's clock."""
    with database.read() as connection:
        return float(connection.execute(sa.select(clock_offset.c.seconds)).scalar() or 0.0)


def last_position(database: Database) -> int:
    """The position of the newest fact in the log; 0 when nothing was said yet."""
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.max(event_log.c.pos))).scalar() or 0)
