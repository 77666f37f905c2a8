"""Statements of the kit's own that run in nearly every transaction, on PostgreSQL's driver itself.

SQLAlchemy's way through a statement costs as much again as the driver and the server together. What is written here is
plain enough to do without: one text with ``%(name)s`` parameters (lists go in as arrays, so that it is one prepared
statement whatever their length), and rows that come back as plain tuples. It runs in the connection's transaction as
any other statement does, and failures are SQLAlchemy's own exceptions. SQLite keeps to SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection


class Hot:
    """One statement for PostgreSQL."""

    def __init__(self, text: str) -> None:
        self.text = text

    def rows(self, connection: Connection, **parameters: Any) -> Sequence[tuple[Any, ...]]:
        """All rows it answers; none where it answers none."""
        cursor = self._execute(connection, parameters)
        return cursor.fetchall() if cursor.description else ()

    def count(self, connection: Connection, **parameters: Any) -> int:
        """How many rows it changed."""
        return int(self._execute(connection, parameters).rowcount)

    def on(self, session: psycopg.Connection[Any], **parameters: Any) -> psycopg.Cursor[Any]:
        """Run it on a connection of the driver's own; failures are the driver's."""
        return session.execute(self.text, parameters)

    def _execute(self, connection: Connection, parameters: Mapping[str, Any]) -> psycopg.Cursor[tuple[Any, ...]]:
        driver: Any = connection.connection.dbapi_connection
        try:
            found: psycopg.Cursor[tuple[Any, ...]] = driver.execute(self.text, parameters)
        except psycopg.Error as error:
            if driver.closed or driver.broken:
                connection.exec_driver_sql("SELECT 1")  # fails too, and SQLAlchemy then lets go of the whole pool
            raise _translated(error, self.text, connection) from error
        return found


def _translated(error: psycopg.Error, text: str, connection: Connection) -> BaseException:
    """The exception that SQLAlchemy would have raised; without the parameters, which may be personal."""
    return sa.exc.DBAPIError.instance(text, None, error, psycopg.Error, dialect=connection.dialect)
