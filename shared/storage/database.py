"""One service's store: PostgreSQL in earnest, one SQLite file in the embedded mode. Same code, same promises."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from shared.kernel import clock
from shared.storage import arrays
from shared.storage.types import clock_offset


class Database:
    """Engines of one store. Cheap to build: connections are made on first use, so build it after a fork."""

    def __init__(self, url: str, *, pool_size: int = 4) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite(url) if self.is_sqlite else _postgres(url, pool_size)
        # Reads need no transaction of their own: AUTOCOMMIT saves BEGIN and ROLLBACK, two of three round trips.
        # On SQLite a read must not take the one writer's lock.
        self.reader = self.engine.execution_options(
            **({"caravan_read_only": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"})
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

    @contextmanager
    def driver(self) -> Iterator[Any]:
        """The driver's own connection, outside any transaction: for reads whose cost SQLAlchemy would multiply."""
        borrowed = self.engine.raw_connection()
        try:
            yield borrowed.driver_connection
        finally:
            borrowed.close()

    def now(self, connection: Connection) -> datetime:
        """Business time: the database's clock plus the offset row (absent in production)."""
        if self.is_sqlite:
            seconds = connection.execute(sa.select(clock_offset.c.seconds)).scalar()
            return clock.machine_now() + timedelta(seconds=seconds or 0)
        moment: datetime = connection.execute(_PG_NOW).scalar_one()
        return moment

    @property
    def in_use(self) -> int:
        """Connections of this process that are taken from the pool now."""
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, sa.QueuePool) else 0

    def direct(self, **options: str) -> psycopg.Connection[Any]:
        """A connection of its own to PostgreSQL in autocommit, outside the pool: for session locks and notifications.

        `options` are server settings of the session. Raises psycopg.OperationalError when the store is away.
        """
        url = self.engine.url
        settings = " ".join(f"-c {name}={value}" for name, value in options.items())
        arguments = dict(self.engine.dialect.create_connect_args(url)[1])
        connection = psycopg.connect(**{**arguments, **_KEEPALIVE, "options": settings}, autocommit=True)
        arrays.install(connection)
        return connection

    def close(self) -> None:
        self.engine.dispose()


_PG_NOW = sa.text("SELECT clock_timestamp() + coalesce((SELECT seconds FROM clock_offset), 0) * interval '1 second'")


# Without these a connection whose other end is gone or cut off keeps its thread for many minutes.
_KEEPALIVE = {
    "connect_timeout": 5, "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}  # fmt: skip
# No transaction of ours is idle for long: a process stopped inside one must not keep its locks (nor its lease).
_SESSION = "-c statement_timeout=10000 -c idle_in_transaction_session_timeout=20000 -c timezone=UTC"


RESTED_SECONDS = 1.0
"""After this long in the pool a connection is asked whether it is still alive."""


def _postgres(url: str, pool_size: int) -> Engine:
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=2,
        connect_args={"options": _SESSION, **_KEEPALIVE},
    )

    @sa.event.listens_for(engine, "connect")
    def _writes_lists(connection: Any, _record: Any) -> None:
        arrays.install(connection)

    @sa.event.listens_for(engine, "checkin")
    def _rests(_connection: Any, record: Any) -> None:
        record.info["resting_since"] = clock.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def _lives(connection: Any, record: Any, _proxy: Any) -> None:
        # A server that restarted left every pooled connection dead. One that rested is asked first, so that no client
        # is told of it; busy ones are spared the round trip.
        if clock.monotonic() - record.info.pop("resting_since", math.inf) < RESTED_SECONDS:
            return
        try:
            connection.execute("SELECT 1").fetchone()
            connection.rollback()
        except psycopg.Error as error:
            raise sa.exc.DisconnectionError() from error  # the pool tries another, then a new one

    return engine


def _sqlite(url: str) -> Engine:
    memory = ":memory:" in url or url == "sqlite://"
    if not memory:
        Path(sa.make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
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


class StaleRow(Exception):
    """Another transaction changed the row between our read and our write."""


_CONFLICT_STATES = {"40001", "40P01", "55P03"}
_AWAY_CLASSES = {"08", "53", "57", "58"}  # connection, resources, operator, system
_STATEMENT_TIMEOUT = "57014"  # of the operator's class, and yet about one statement
# SQLite's primary result codes.
_BUSY, _LOCKED = 5, 6
_SQLITE_AWAY = {7, 8, 10, 11, 13, 14, 15, 26}  # no memory, read only, I/O, corrupt, full, can't open, protocol, no db
_OS_AWAY = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS}


def is_conflict(error: BaseException) -> bool:
    """Whether the same transaction may succeed if it is simply run again."""
    if isinstance(error, StaleRow):
        return True
    if not isinstance(error, DBAPIError):
        return False
    return _state(error) in _CONFLICT_STATES or _sqlite_code(error) in (_BUSY, _LOCKED)


def is_database_error(error: BaseException) -> bool:
    """Whether the database refused a statement, for whatever reason."""
    return isinstance(error, DBAPIError)


def is_duplicate(error: BaseException) -> bool:
    """Whether a unique constraint refused a row: somebody else may just have written the same key."""
    return isinstance(error, IntegrityError) and (_state(error) == "23505" or "UNIQUE" in str(error.orig))


def is_timeout(error: BaseException) -> bool:
    """Whether a statement was ended because it ran (or waited) too long."""
    return isinstance(error, DBAPIError) and _state(error) == _STATEMENT_TIMEOUT


def is_infrastructure(error: BaseException) -> bool:
    """Whether the store itself is away (down, full, restarting), so that nothing can be said about the message."""
    if isinstance(error, sa.exc.TimeoutError):  # no connection to be had
        return True
    if isinstance(error, OSError):
        return error.errno in _OS_AWAY
    if not isinstance(error, DBAPIError) or is_conflict(error):
        return False
    if error.connection_invalidated or _sqlite_code(error) in _SQLITE_AWAY:
        return True
    state = _state(error)
    if state:
        return state[:2] in _AWAY_CLASSES and state != _STATEMENT_TIMEOUT
    # PostgreSQL that cannot be reached has no state to tell; SQLite without a code is none of its own errors.
    return isinstance(error.orig, psycopg.OperationalError)


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _sqlite_code(error: DBAPIError) -> int:
    return int(getattr(error.orig, "sqlite_errorcode", 0) or 0) & 0xFF
