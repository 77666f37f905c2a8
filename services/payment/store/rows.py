"""Rows that a transaction adds: collected while its facts are handled, written with one statement per table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from shared.storage.unit_of_work import UnitOfWork

metadata = sa.MetaData()
Row = dict[str, Any]
Statement = Callable[[UnitOfWork, sa.Table], sa.Executable]


def plain(tx: UnitOfWork, table: sa.Table) -> sa.Executable:
    """A row that is there already fails the transaction."""
    return sa.insert(table)


def first(tx: UnitOfWork, table: sa.Table) -> sa.Executable:
    """The row that is there already stays."""
    return tx.insert(table).on_conflict_do_nothing()


class _Rows:
    """What one transaction adds; the unit of work flushes it like a repository."""

    def __init__(self) -> None:
        self.pending: dict[tuple[sa.Table, Statement], list[Row]] = {}

    def flush(self, tx: UnitOfWork) -> None:
        pending, self.pending = self.pending, {}
        for (table, statement), rows in pending.items():
            tx.execute(statement(tx, table), rows)


def add(tx: UnitOfWork, table: sa.Table, *rows: Row, statement: Statement = plain) -> None:
    """Write `rows` when the transaction ends, in the order in which tables were first used."""
    collected: _Rows = tx.repositories.setdefault(_Rows, _Rows())
    collected.pending.setdefault((table, statement), []).extend(rows)


def remembered(tx: UnitOfWork, what: object) -> dict[str, Any]:
    """What this transaction has read of `what` (a table), by key: so that a batch reads once."""
    memory: _Memory = tx.repositories.setdefault(what, _Memory())
    return memory.by_key


class _Memory:
    def __init__(self) -> None:
        self.by_key: dict[str, Any] = {}

    def flush(self, tx: UnitOfWork) -> None:
        """Nothing to write."""
