"""Where aggregates are kept: one row each, with a version, the columns people search by, and the body as JSON.

Loading locks the row (PostgreSQL) or relies on the one writer (SQLite); either way the version is checked on writing.
Inside one transaction an aggregate is loaded once and written once, however many messages of a batch touch it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from shared.kernel.errors import NotFound
from shared.storage.database import StaleRow
from shared.storage.hot import Hot
from shared.storage.rows import Insert, Update
from shared.storage.types import Body
from shared.storage.unit_of_work import UnitOfWork

T = TypeVar("T")


def aggregate_table(name: str, metadata: sa.MetaData, key: str, *columns: Any) -> sa.Table:
    """A table for `Repository`: key, version, body, and `columns` to search by (and indexes)."""
    return sa.Table(
        name,
        metadata,
        sa.Column(key, sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("body", Body, nullable=False),
        *columns,
    )


class Kept(Generic[T]):
    __slots__ = ("bytes", "thing", "version")

    def __init__(self, thing: T, version: int, body: bytes) -> None:
        self.thing, self.version, self.bytes = thing, version, body


class _Loaded(Generic[T]):
    """What one transaction has of one repository."""

    def __init__(self, repository: Repository[T]) -> None:
        self.repository = repository
        self.kept: dict[str, Kept[T]] = {}
        self.absent: set[str] = set()  # looked for by `lock`, so that `find` need not ask once for each

    def flush(self, tx: UnitOfWork) -> None:
        self.repository.write(tx, self.kept)


class Repository(Generic[T]):
    """`columns(thing)` gives the search columns' values; `key(thing)` its id. `missing` is raised by `get`."""

    def __init__(
        self,
        table: sa.Table,
        kind: type[T],
        *,
        key: Callable[[T], str],
        columns: Callable[[T], dict[str, Any]] = lambda _thing: {},
        missing: type[NotFound] = NotFound,
    ) -> None:
        self.table, self.kind, self.key_of, self.columns_of, self.missing = table, kind, key, columns, missing
        self.key_column: sa.Column[str] = next(iter(table.primary_key.columns))
        self._decoder = msgspec.json.Decoder(kind)
        self._encode = msgspec.json.Encoder().encode
        key_name = self.key_column.name
        self._lock = Hot(
            f'SELECT "{key_name}", version, body FROM "{table.name}"'  # noqa: S608  (names of our own)
            f' WHERE "{key_name}" = ANY(%(keys)s::varchar[]) ORDER BY "{key_name}" FOR UPDATE'
        )
        self._insert = Insert(table)
        self._update = Update(
            table, {"k_": key_name, "v_": "version"}, [column.name for column in table.c if column.name != key_name]
        )

    def get(self, tx: UnitOfWork, key: str) -> T:
        """The aggregate, locked. Raises `missing`."""
        thing = self.find(tx, key)
        if thing is None:
            raise self.missing()
        return thing

    def find(self, tx: UnitOfWork, key: str) -> T | None:
        """The aggregate, locked, or None."""
        loaded = self._loaded(tx)
        if key not in loaded.kept and key not in loaded.absent:
            self._load(tx, [key])
        kept = loaded.kept.get(key)
        return kept.thing if kept else None

    def lock(self, tx: UnitOfWork, keys: Iterable[str]) -> list[T]:
        """Load and lock all of `keys` that exist, in one sorted order, with one statement.

        Those that do not exist are remembered as absent: `find` answers None for them without asking again.
        """
        keys = list(keys)
        loaded = self._loaded(tx)
        self._load(tx, keys)
        loaded.absent.update(key for key in keys if key not in loaded.kept)
        return [loaded.kept[key].thing for key in keys if key in loaded.kept]

    def _load(self, tx: UnitOfWork, keys: Iterable[str]) -> None:
        mine = self._loaded(tx).kept
        wanted = sorted({key for key in keys if key not in mine})
        if wanted:
            for key, version, body in self._rows(tx, wanted):
                mine[key] = Kept(self._decoder.decode(body), version, bytes(body))

    def _rows(self, tx: UnitOfWork, keys: list[str]) -> Iterable[Any]:
        if not tx.node.database.is_sqlite:
            return self._lock.rows(tx.connection, keys=keys)
        statement = sa.select(self.key_column, self.table.c.version, self.table.c.body)
        return tx.execute(statement.where(self.key_column.in_(keys)).order_by(self.key_column))

    def add(self, tx: UnitOfWork, thing: T) -> T:
        """Keep a new aggregate. A second one with the same key fails the transaction when it is written."""
        self._loaded(tx).kept[self.key_of(thing)] = Kept(thing, 0, b"")
        return thing

    def peek(self, connection: Connection, key: str) -> T:
        """Read without locking, for queries. Raises `missing`."""
        body = connection.execute(sa.select(self.table.c.body).where(self.key_column == key)).scalar()
        if body is None:
            raise self.missing()
        return self._decoder.decode(body)

    def decode(self, body: bytes) -> T:
        """The aggregate in a `body` column that a query selected."""
        return self._decoder.decode(body)

    def write(self, tx: UnitOfWork, kept: dict[str, Kept[T]]) -> None:
        """Insert what is new, update what changed (StaleRow when somebody was faster). Called by the unit of work."""
        new, changed = [], []
        for key in sorted(kept):
            entry = kept[key]
            body = self._encode(entry.thing)
            if body == entry.bytes:
                continue
            row = {"version": entry.version + 1, "body": body, **self.columns_of(entry.thing)}
            if entry.version == 0:
                new.append({self.key_column.name: key, **row})
            else:
                changed.append({"k_": key, "v_": entry.version, **row})
            entry.version, entry.bytes = entry.version + 1, body
        self._insert.write(tx, new)
        if self._update.write(tx, changed) != len(changed):
            raise StaleRow(f"{self.table.name}: somebody else was faster")

    def _loaded(self, tx: UnitOfWork) -> _Loaded[T]:
        loaded = tx.repositories.get(self)
        if loaded is None:
            loaded = tx.repositories[self] = _Loaded(self)
        answer: _Loaded[T] = loaded
        return answer
