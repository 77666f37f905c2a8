"""Leases: who may work a shard, the timers or the retries of a service, fenced by an epoch.

The clock is the database's, so that hosts need not agree. A take-over bumps the epoch; every transaction done under a
lease re-reads it FOR SHARE, so a process that was stopped and woke up again can write nothing. A take-over waits for
the transactions that hold it so; the store ends those of a stopped process by its time-out for idle transactions.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.storage.database import Database
from shared.storage.hot import Hot
from shared.storage.types import lease
from shared.storage.unit_of_work import BUSINESS_TIME, UnitOfWork

TTL = timedelta(seconds=10)
WORKER = "worker."
"""Leases of this prefix are not competed for: each worker has its own, and so can be counted."""


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
        if tx.node.database.is_sqlite:
            mine = bool(tx.execute(_FENCE, {"n": self.name, "o": self.owner, "e": self.epoch}).all())
        else:
            found = _FENCE_HOT.rows(tx.connection, name=self.name, owner=self.owner, epoch=self.epoch)
            mine = bool(found)
            for (moment,) in found:
                tx.is_now(moment)
        if not mine:
            raise LeaseLost(self.name)


class Held:
    """A lease that its one holder renews between its transactions, so that the two never wait for each other."""

    def __init__(self, database: Database, lease: Lease, ttl: timedelta = TTL) -> None:
        self.database, self.lease, self.ttl = database, lease, ttl
        self._renew_at = clock.monotonic() + ttl.total_seconds() / 3

    def keep(self) -> None:
        """Renew when a third of its time is over. Raises LeaseLost, or what the store raises when it is away."""
        if clock.monotonic() < self._renew_at:
            return
        if not renew(self.database, self.lease, self.ttl):
            raise LeaseLost(self.lease.name)
        self._renew_at = clock.monotonic() + self.ttl.total_seconds() / 3

    def release(self) -> None:
        release(self.database, self.lease)


_FENCE = sa.select(lease.c.epoch).where(
    lease.c.name == sa.bindparam("n"), lease.c.owner == sa.bindparam("o"), lease.c.epoch == sa.bindparam("e")
)
_FENCE_HOT = Hot(
    f"SELECT {BUSINESS_TIME} FROM lease"  # noqa: S608  (a text of our own)
    " WHERE name = %(name)s AND owner = %(owner)s AND epoch = %(epoch)s FOR SHARE"
)


def owner_name() -> str:
    """A name for this process that no other process, here or elsewhere, ever has."""
    return f"{socket.gethostname()[:12]}-{os.getpid()}-{new_id()[-8:]}"


def acquire(database: Database, name: str, owner: str, ttl: timedelta = TTL) -> Lease | None:
    """Take `name` if it is free or run out. Taking it again from oneself is a take-over too (a new epoch)."""
    with database.begin() as connection:
        epoch = _take(database, connection, name, owner, ttl)
        if epoch is None:  # somebody's, or never seen before
            connection.execute(
                _insert(database).on_conflict_do_nothing(index_elements=[lease.c.name]),
                {"name": name, "owner": "", "epoch": 0, "until": _now(database, connection)},
            )
            epoch = _take(database, connection, name, owner, ttl)
    return Lease(name, owner, epoch) if epoch is not None else None


def renew(database: Database, held: Lease, ttl: timedelta = TTL) -> bool:
    """Whether it is still ours; if so for another `ttl`."""
    with database.begin() as connection:
        changed = connection.execute(_mine(held).values(until=_now(database, connection) + ttl))
        return changed.rowcount == 1


def release(database: Database, held: Lease) -> None:
    """Give it back at once, so that the next worker need not wait for it to run out."""
    with database.begin() as connection:
        connection.execute(_mine(held).values(owner="", until=_now(database, connection)))


def usurp(database: Database, prefix: str, owner: str, ttl: timedelta) -> int:
    """Take every lease whose name begins so from whoever has it, for `ttl`. Answers how many there are.

    Those who had them can write nothing from now on; what they were writing is waited for. For the sandbox.
    """
    with database.begin() as connection:
        theirs = lease.update().where(lease.c.name.startswith(prefix))
        until = _now(database, connection) + ttl
        return connection.execute(theirs.values(owner=owner, epoch=lease.c.epoch + 1, until=until)).rowcount


def give_back(database: Database, owner: str) -> None:
    """Free all leases of `owner`."""
    with database.begin() as connection:
        mine = lease.update().where(lease.c.owner == owner)
        connection.execute(mine.values(owner="", until=_now(database, connection)))


def workers(database: Database) -> int:
    """How many workers of this service are alive."""
    with database.read() as connection:
        alive = sa.select(sa.func.count()).where(
            lease.c.name.startswith(WORKER), lease.c.owner != "", lease.c.until > _now(database, connection)
        )
        return int(connection.execute(alive).scalar_one())


def share(database: Database, owner: str, number: int) -> int:
    """How many of `number` shards fall to this worker: together the workers' shares are all of them, and
    no two differ by more than one."""
    others = set(owners(database, WORKER).values()) - {owner}
    each, rest = divmod(number, len(others) + 1)
    return each + (sum(other < owner for other in others) < rest)


def owners(database: Database, prefix: str = "") -> dict[str, str]:
    """Of each lease that somebody holds now and whose name begins so: who."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(lease.c.name, lease.c.owner)
            .where(lease.c.name.startswith(prefix), lease.c.owner != "", lease.c.until > _now(database, connection))
            .order_by(lease.c.name)
        )
        return dict(rows.all())


def forget_workers(database: Database) -> None:
    """Remove the rows of workers that are long gone."""
    with database.begin() as connection:
        limit = _now(database, connection) - timedelta(hours=1)
        connection.execute(lease.delete().where(lease.c.name.startswith(WORKER), lease.c.until < limit))


def _take(database: Database, connection: sa.Connection, name: str, owner: str, ttl: timedelta) -> Any:
    now = _now(database, connection)
    return connection.execute(
        lease.update()
        .where(lease.c.name == name, sa.or_(lease.c.until <= now, lease.c.owner.in_(["", owner])))
        .values(owner=owner, epoch=lease.c.epoch + 1, until=now + ttl)
        .returning(lease.c.epoch)
    ).scalar()


def _mine(held: Lease) -> sa.Update:
    return lease.update().where(lease.c.name == held.name, lease.c.owner == held.owner, lease.c.epoch == held.epoch)


def _insert(database: Database) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite if database.is_sqlite else postgresql).insert(lease)


def _now(database: Database, connection: sa.Connection) -> Any:
    return clock.machine_now() if database.is_sqlite else connection.execute(_CLOCK).scalar_one()


_CLOCK = sa.select(sa.func.clock_timestamp())
