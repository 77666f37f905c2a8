"""Looking into a store, and moving its business clock: for tests, the sandbox and operators, never for services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from shared.kernel import clock
from shared.storage.database import Database
from shared.storage.types import clock_offset, event_log, inbox, inbox_retry, intent, timer

SOME = 500
"""Values named in one statement."""


class Logged(NamedTuple):
    """One fact of a log; `said` is machine time."""

    pos: int
    event_id: str
    routing_key: str
    agg: str
    said: datetime
    body: bytes


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


def said_in(database: Database, partition_keys: Sequence[str]) -> list[Logged]:
    """Every fact said in these partitions, in order."""
    found: list[Logged] = []
    with database.read() as connection:
        for start in range(0, len(partition_keys), SOME):
            some = event_log.c.partition_key.in_(partition_keys[start : start + SOME])
            found += [_logged(row) for row in connection.execute(_LOGGED.where(some))]
    return sorted(found)


def said_as(database: Database, routing_keys: Sequence[str], after: int = 0, limit: int = SOME) -> list[Logged]:
    """The next facts of these kinds after a position, in order."""
    wanted = event_log.c.pos > after, event_log.c.routing_key.in_(routing_keys)
    with database.read() as connection:
        return [_logged(row) for row in connection.execute(_LOGGED.where(*wanted).limit(limit))]


_LOGGED = sa.select(event_log).order_by(event_log.c.pos)


def _logged(row: Any) -> Logged:
    return Logged(
        row.pos, row.event_id, row.routing_key, f"{row.agg_type}/{row.agg_id}", row.created_at, bytes(row.body)
    )


def heard(database: Database, consumer: str, event_ids: Sequence[str]) -> dict[str, datetime]:
    """Of these facts those that the consumer has handled, and when (machine time)."""
    found: dict[str, datetime] = {}
    with database.read() as connection:
        for start in range(0, len(event_ids), SOME):
            mine = inbox.c.consumer == consumer, inbox.c.event_id.in_(event_ids[start : start + SOME])
            rows = connection.execute(sa.select(inbox.c.event_id, inbox.c.at).where(*mine))
            found |= {row.event_id: row.at for row in rows}
    return found


def kept(database: Database, consumer: str, event_ids: Sequence[str]) -> set[str]:
    """Of these facts those that wait among the kept ones."""
    found: set[str] = set()
    with database.read() as connection:
        for start in range(0, len(event_ids), SOME):
            some = inbox_retry.c.event_id.in_(event_ids[start : start + SOME])
            rows = connection.execute(sa.select(inbox_retry.c.event_id).where(inbox_retry.c.consumer == consumer, some))
            found.update(rows.scalars())
    return found


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


def hurried_call(database: Database, kind: str, key: str) -> bytes | None:
    """The data of a call that is to be made, which is now due; None when there is none."""
    mine = intent.c.kind == kind, intent.c.key == key
    with database.begin() as connection:
        connection.execute(intent.update().where(*mine).values(next_at=clock.machine_now()))
        return connection.execute(sa.select(intent.c.data).where(*mine)).scalar()
