"""One service's store: PostgreSQL in earnest, one SQLite file in the embedded mode. Same code, same promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from shared.kernel import clock
from shared.storage.types import clock_offset


class Database:
    """Engines of one store. Cheap to build: connections are made on first use, so build it after a fork."""

    def __init__(self, url: str, *, pool_size: int = 4) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite(url) if self.is_sqlite else _postgres(url, pool_size)
        # Reads need no transaction of their own: AUTOCOMMIT saves BEGIN and ROLLBACK, two of three round trips.
        self.reader = (
            self.engine
            if self.is_sqlite
            else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading only, outside any transaction."""
        with self.reader.connect() as connection:
            yield connection

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A raw transaction for the kit's own rows; business writes use `unit_of_work.transaction`."""
        with self.engine.begin() as connection:
            yield connection

    def now(self, connection: Connection) -> datetime:
        """Business time: the database's clock plus the offset row (absent in production)."""
        if self.is_sqlite:
            seconds = connection.execute(sa.select(clock_offset.c.seconds)).scalar()
            return clock.machine_now() + timedelta(seconds=seconds or 0)
        moment: datetime = connection.execute(_PG_NOW).scalar_one()
        return moment

    def close(self) -> None:
        self.engine.dispose()


_PG_NOW = sa.text(
    "SELECT clock_timestamp() + coalesce((SELECT seconds FROM clock_offset), 0) * interval '1 second'"
)


def _postgres(url: str, pool_size: int) -> Engine:
    return sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=2,
        pool_pre_ping=False,
        connect_args={
            "options": "-c statement_timeout=10000 -c idle_in_transaction_session_timeout=60000 -c timezone=UTC",
            "connect_timeout": 5,
        },
    )


def _sqlite(url: str) -> Engine:
    memory = ":memory:" in url or url == "sqlite://"
    engine = sa.create_engine(
        url,
        poolclass=sa.StaticPool if memory else sa.QueuePool,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 10.0},
        **({} if memory else {"pool_size": 8, "max_overflow": 8}),
    )

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred BEGIN that reads and then writes fails at once on a stale snapshot instead of waiting its turn.
        writes = not connection.get_execution_options().get("caravan_read_only", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


_CONFLICT_STATES = {"40001", "40P01", "55P03"}


def is_conflict(error: BaseException) -> bool:
    """Whether the same transaction may succeed if it is simply run again."""
    if isinstance(error, StaleRow):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return state in _CONFLICT_STATES or "database is locked" in str(error.orig)


def is_infrastructure(error: BaseException) -> bool:
    """Whether the store itself is away (down, full, restarting), so that nothing can be said about the message."""
    if isinstance(error, OSError | sa.exc.TimeoutError):
        return True
    if not isinstance(error, DBAPIError) or is_conflict(error):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    if error.connection_invalidated or state[:2] in {"08", "53", "57", "58"}:
        return True
    return isinstance(error, OperationalError) and not state


class StaleRow(Exception):
    """Another transaction changed the row between our read and our write."""
