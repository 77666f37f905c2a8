"""Leases: who may work a shard, the timers or the retries of a service, fenced by an epoch.

The clock is the database's, so that hosts need not agree. A take-over bumps the epoch; every transaction done under a
lease re-reads it FOR SHARE, so a process that was stopped and woke up again can write nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from shared.kernel import clock
from shared.storage.database import Database
from shared.storage.types import lease
from shared.storage.unit_of_work import UnitOfWork

TTL = timedelta(seconds=10)
RENEW_EVERY = 3.0


class LeaseLost(Exception):
    """Another process holds it now: stop, write nothing, acknowledge nothing."""


@dataclass(frozen=True)
class Lease:
    """A held lease. Call it with a transaction to prove that it is still ours."""

    name: str
    owner: str
    epoch: int

    def __call__(self, tx: UnitOfWork) -> None:
        """Raises LeaseLost."""
        if tx.execute(_FENCE, {"n": self.name, "o": self.owner, "e": self.epoch}).first() is None:
            raise LeaseLost(self.name)


_FENCE = (
    sa.select(lease.c.epoch)
    .where(
        lease.c.name == sa.bindparam("n"), lease.c.owner == sa.bindparam("o"), lease.c.epoch == sa.bindparam("e")
    )
    .with_for_update(read=True)
)


def acquire(database: Database, name: str, owner: str) -> Lease | None:
    """Take `name` if it is free or run out. Taking it again from oneself is a take-over too (a new epoch)."""
    with database.begin() as connection:
        now = _now(database, connection)
        connection.execute(
            _insert(database).on_conflict_do_nothing(index_elements=[lease.c.name]),
            {"name": name, "owner": "", "epoch": 0, "until": now},
        )
        epoch = connection.execute(
            lease.update()
            .where(lease.c.name == name, sa.or_(lease.c.until <= now, lease.c.owner.in_(["", owner])))
            .values(owner=owner, epoch=lease.c.epoch + 1, until=now + TTL)
            .returning(lease.c.epoch)
        ).scalar()
    return Lease(name, owner, epoch) if epoch is not None else None


def renew(database: Database, held: Lease) -> bool:
    """Whether it is still ours; if so for another `TTL`."""
    with database.begin() as connection:
        changed = connection.execute(
            lease.update()
            .where(lease.c.name == held.name, lease.c.owner == held.owner, lease.c.epoch == held.epoch)
            .values(until=_now(database, connection) + TTL)
        )
        return changed.rowcount == 1


def release(database: Database, held: Lease) -> None:
    """Give it back at once, so that the next worker need not wait for it to run out."""
    with database.begin() as connection:
        connection.execute(
            lease.update()
            .where(lease.c.name == held.name, lease.c.owner == held.owner, lease.c.epoch == held.epoch)
            .values(owner="", until=_now(database, connection))
        )


def _insert(database: Database) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite if database.is_sqlite else postgresql).insert(lease)


def _now(database: Database, connection: sa.Connection) -> Any:
    return clock.machine_now() if database.is_sqlite else connection.execute(_CLOCK).scalar_one()


_CLOCK = sa.select(sa.func.clock_timestamp())
