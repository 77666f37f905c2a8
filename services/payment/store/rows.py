"""Rows that a transaction adds: collected while its facts are handled, written with one statement per table."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from shared.storage.rows import Insert
from shared.storage.unit_of_work import UnitOfWork

metadata = sa.MetaData()
Row = dict[str, Any]
Write = Callable[[UnitOfWork, list[Row]], object]


@functools.cache
def plain(table: sa.Table) -> Write:
    """A row that is there already fails the transaction."""
    return Insert(table).write


@functools.cache
def first(table: sa.Table) -> Write:
    """The row that is there already stays."""
    return Insert(table, keep_first=True).write


class _Rows:
    """What one transaction adds; the unit of work flushes it like a repository."""

    def __init__(self) -> None:
        self.pending: dict[Write, list[Row]] = {}

    def flush(self, tx: UnitOfWork) -> None:
        pending, self.pending = self.pending, {}
        for write, rows in pending.items():
            write(tx, rows)


def add(tx: UnitOfWork, write: Write, *rows: Row) -> None:
    """Let `write` have these rows, with all others that it is given, when the transaction ends."""
    collected: _Rows = tx.repositories.setdefault(_Rows, _Rows())
    collected.pending.setdefault(write, []).extend(rows)


def remembered(tx: UnitOfWork, what: object) -> dict[str, Any]:
    """What this transaction has read of `what` (a table), by key: so that a batch reads once."""
    memory: _Memory = tx.repositories.setdefault(what, _Memory())
    return memory.by_key


class _Memory:
    def __init__(self) -> None:
        self.by_key: dict[str, Any] = {}

    def flush(self, tx: UnitOfWork) -> None:
        """Nothing to write."""
