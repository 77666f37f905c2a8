"""A lock that one process of a service holds for as long as it lives: an advisory one of PostgreSQL, or a file's."""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import IO, Any

import psycopg
import sqlalchemy as sa

from shared.storage.database import Database

IDLE_MILLISECONDS = 5_000
"""The server ends the session of a holder that is silent for so long, for a stopped process keeps its socket open."""


class SessionLock:
    """Not thread safe. Its session must be used more often than every `IDLE_MILLISECONDS`, or the lock is given up.

    On PostgreSQL the holder works on `session` itself: a statement that succeeds there was made by who has the lock.
    """

    def __init__(self, database: Database, name: str, number: int) -> None:
        self.database, self.number = database, number
        self._path = Path(f"{sa.make_url(database.url).database}.{name}.lock") if database.is_sqlite else None
        self._file: IO[str] | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._locked = False

    @property
    def session(self) -> psycopg.Connection[Any] | None:
        """The session that holds the lock; None on SQLite and while it is not ours."""
        return self._connection if self._locked else None

    def held(self) -> bool:
        """Whether it is ours, trying to get it if not. Raises psycopg.OperationalError while the store is away."""
        return self._file_held() if self._path else self._session_held()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
        self._locked = False

    def _file_held(self) -> bool:
        if self._file is None and self._path is not None:
            file = self._path.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._file = file
        return True

    def _session_held(self) -> bool:
        try:
            if self._connection is not None and self._connection.broken:
                self.release()
            if self._connection is None:
                self._connection = self.database.direct(idle_session_timeout=str(IDLE_MILLISECONDS))
            if not self._locked:
                row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", [self.number]).fetchone()
                self._locked = bool(row and row[0])
            return self._locked
        except psycopg.Error:
            self.release()
            raise
