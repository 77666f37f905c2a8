"""What a store's tables hold, as plain values: to compare two stores, and to put one in another's place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from shared.storage.database import Database

Row = dict[str, Any]
Tables = dict[str, list[Row]]
"""By table: its rows, by column, in the order of their keys."""


def copy(database: Database, tables: Iterable[sa.Table]) -> Tables:
    """Everything in `tables`."""
    with database.read() as connection:
        return copy_on(connection, tables)


def copy_on(connection: Connection, tables: Iterable[sa.Table]) -> Tables:
    """The same, as one transaction sees it."""
    return {
        str(table.name): [
            dict(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        ]
        for table in tables
    }


def put(connection: Connection, tables: Sequence[sa.Table], held: Tables) -> None:
    """Have `tables` hold this and nothing else."""
    for table in reversed(tables):
        connection.execute(table.delete())
    for table in tables:
        if held.get(table.name):
            connection.execute(table.insert(), held[table.name])


def checksum(held: Tables) -> str:
    """The same for the same rows, on either kind of database, whatever the order of their keys."""
    digest = hashlib.sha256()
    for name, rows in sorted(held.items()):
        digest.update(msgspec.json.encode([name, sorted(_plain(row) for row in rows)]))
    return digest.hexdigest()


def _plain(row: Mapping[str, Any]) -> str:
    plain = {str(name): bytes(value).decode() if isinstance(value, bytes) else value for name, value in row.items()}
    return msgspec.json.encode(plain, order="deterministic").decode()
