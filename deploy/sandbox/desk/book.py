"""The SQLite file in which a sandbox keeps its book: one connection, one writer, every commit on disk.

One transaction at a time is what makes the sandbox strict: of a close and a payment that come together,
one is first, and the other sees it.
"""

import fcntl
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.sandbox.desk import clock

log = logging.getLogger("sandbox.book")
Row = dict[str, Any]


class Tx:
    """One open transaction; `now` is the business time at which all of it happens."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.wake = False  # set by whoever gives the postman something to do
        self.set_offset(None)

    def set_offset(self, offset_ms: int | None) -> None:
        """Move the business clock, from here on; None leaves it where the book says it is."""
        if offset_ms is not None:
            self.run("INSERT OR REPLACE INTO marks VALUES ('offset_ms', ?)", offset_ms)
            self.wake = True
        mark = self.one("SELECT value FROM marks WHERE name = 'offset_ms'")
        self.now_ms = clock.machine_ms() + (mark["value"] if mark else 0)
        self.now = clock.stamp(self.now_ms)

    def run(self, sql: str, *values: Any) -> int:
        """Execute; the number of rows changed."""
        return self._db.execute(sql, values).rowcount

    def one(self, sql: str, *values: Any) -> Row | None:
        """The first row, or None."""
        row: Row | None = self._db.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[Row]:
        """Every row."""
        return self._db.execute(sql, values).fetchall()

    # Names of tables and columns come from our own code, never from a request.

    def add(self, table: str, **row: Any) -> None:
        """Insert a row."""
        marks = ", ".join("?" * len(row))
        sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
        self.run(sql, *row.values())

    def find(self, table: str, **wanted: Any) -> list[Row]:
        """The rows with these values, oldest first."""
        where = " AND ".join(f"{column} = ?" for column in wanted)
        return self.all(f"SELECT * FROM {table} WHERE {where} ORDER BY n", *wanted.values())  # noqa: S608

    def page(self, table: str, after: int, limit: int) -> tuple[list[Row], int | None]:
        """Up to `limit` rows after number `after`, oldest first, and where the next page begins, if any."""
        sql = f"SELECT * FROM {table} WHERE n > ? ORDER BY n LIMIT ?"  # noqa: S608
        rows = self.all(sql, after, limit + 1)
        return rows[:limit], rows[limit - 1]["n"] if len(rows) > limit else None

    def change(self, table: str, n: int, **columns: Any) -> None:
        """Update the row with number `n`."""
        changes = ", ".join(f"{column} = ?" for column in columns)
        self.run(f"UPDATE {table} SET {changes} WHERE n = ?", *columns.values(), n)  # noqa: S608


class Book:
    """The file, held by one process at a time."""

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._hold(path.with_suffix(".lock"))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.row_factory = _as_dict
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(schema)

    def _hold(self, path: Path) -> None:
        """Wait for a predecessor to be gone: after a kill -9 it may live a moment longer than its master."""
        self._held = path.open("w")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            log.warning("waiting for the process that holds this book")
            fcntl.flock(self._held, fcntl.LOCK_EX)

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """All of it or nothing; durable once the block is left."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield Tx(self._db)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()
            self._held.close()


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
