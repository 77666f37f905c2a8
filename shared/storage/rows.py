"""Statements that write (or lock) many rows at once, made from a table: one prepared statement whatever their number.

PostgreSQL takes the rows as columns, each of them an array; a single row goes in plainly, which is cheaper. SQLite,
which has no arrays, is given the same rows one by one by SQLAlchemy. Column types that change what is bound are not
for here (TypeError): a datetime has to be in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from shared.storage.hot import Hot
from shared.storage.types import Moment
from shared.storage.unit_of_work import UnitOfWork

Row = Mapping[str, Any]
_BOUND_AS_THEY_ARE = (sa.Integer, sa.String, sa.Boolean, sa.LargeBinary, Moment)
_READ_AS_THEY_ARE = (sa.Integer, sa.String, sa.Boolean)
_LENGTH = re.compile(r"\(\d+\)")
_DIALECT: sa.Dialect = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]


class _Many:
    def __init__(self, one: str, many: str, portable: Callable[[UnitOfWork], Any]) -> None:
        self._one, self._many, self._portable = Hot(one), Hot(many), portable

    def write(self, tx: UnitOfWork, rows: Sequence[Row]) -> int:
        """Write the rows, which all have the same keys. Answers how many rows were changed."""
        if not rows:
            return 0
        if tx.node.database.is_sqlite:
            return int(tx.execute(self._portable(tx), list(rows)).rowcount)
        if len(rows) == 1:
            return self._one.count(tx.connection, **rows[0])
        return self._many.count(tx.connection, **{name: [row[name] for row in rows] for name in rows[0]})


class Insert(_Many):
    """INSERT of rows that give `columns` (all but those the database fills in, if none are named).

    `keep_first`: a row that is there already stays as it is; otherwise it fails the transaction. `told`: the column
    by which `write_new` answers.
    """

    def __init__(self, table: sa.Table, *columns: str, keep_first: bool = False, told: str = "") -> None:
        names = columns or tuple(column.name for column in table.columns if column.autoincrement is not True)
        into = f'INSERT INTO "{table.name}" ({_listed(names)})'
        clash = " ON CONFLICT DO NOTHING" if keep_first else ""
        clash += f' RETURNING "{told}"' if told else ""
        given = ", ".join(f"%({name})s" for name in names)

        def portable(tx: UnitOfWork) -> Any:
            statement = tx.insert(table).on_conflict_do_nothing() if keep_first else table.insert()
            return statement.returning(table.c[told]) if told else statement

        super().__init__(
            f"{into} VALUES ({given}){clash}",
            f"{into} SELECT * FROM unnest({_arrays(table, {n: n for n in names})}){clash}",  # noqa: S608
            portable,
        )

    def write_new(self, tx: UnitOfWork, rows: Sequence[Row]) -> set[Any]:
        """Write the rows, which all have the same keys. Answers what `told` is in those that were not there before."""
        if not rows:
            return set()
        if tx.node.database.is_sqlite:
            return set(tx.execute(self._portable(tx), list(rows)).scalars())
        if len(rows) == 1:
            found = self._one.rows(tx.connection, **rows[0])
        else:
            found = self._many.rows(tx.connection, **{name: [row[name] for row in rows] for name in rows[0]})
        return {value for (value,) in found}


class Update(_Many):
    """UPDATE of the rows found by `keys` (parameter name -> column), setting `columns`, each from the parameter of its
    own name. Answers how many were found, so that a version among the keys tells of who was faster."""

    def __init__(self, table: sa.Table, keys: Mapping[str, str], columns: Sequence[str]) -> None:
        name = f'"{table.name}"'
        places = {**keys, **{column: column for column in columns}}
        one_set = ", ".join(f'"{column}" = %({column})s' for column in columns)
        one_where = " AND ".join(f'"{column}" = %({key})s' for key, column in keys.items())
        many_set = ", ".join(f'"{column}" = given."{column}"' for column in columns)
        many_where = " AND ".join(f'{name}."{column}" = given."{key}"' for key, column in keys.items())
        plain = (
            table.update()
            .where(*(table.c[column] == sa.bindparam(key) for key, column in keys.items()))
            .values({column: sa.bindparam(column) for column in columns})
        )
        super().__init__(
            f"UPDATE {name} SET {one_set} WHERE {one_where}",  # noqa: S608  (names of our own)
            (
                f"UPDATE {name} SET {many_set} FROM unnest({_arrays(table, places)})"  # noqa: S608
                f" AS given ({_listed(places)}) WHERE {many_where}"
            ),
            lambda _tx: plain,
        )


class Locked:
    """SELECT of `columns` FOR UPDATE, of the rows whose `key` is among those asked for, in the order of `order`."""

    def __init__(self, table: sa.Table, columns: Sequence[str], key: str, order: Sequence[str]) -> None:
        self._key, chosen = table.c[key], [table.c[name] for name in columns]
        for column in chosen:
            if not isinstance(column.type, _READ_AS_THEY_ARE):
                raise TypeError(f"{column} changes what is read")
        self._plain = sa.select(*chosen).order_by(*(table.c[name] for name in order))
        self._hot = Hot(
            f'SELECT {_listed(columns)} FROM "{table.name}" WHERE "{key}" = ANY(%(keys)s::varchar[])'  # noqa: S608
            f" ORDER BY {_listed(order)} FOR UPDATE"
        )

    def rows(self, tx: UnitOfWork, keys: Sequence[str]) -> Sequence[Any]:
        """The rows that there are, each with its columns in their order; locked until the transaction ends."""
        if tx.node.database.is_sqlite:
            return tx.execute(self._plain.where(self._key.in_(keys))).all()
        return self._hot.rows(tx.connection, keys=list(keys))


def _listed(names: Any) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _arrays(table: sa.Table, places: Mapping[str, str]) -> str:
    """The parameters as arrays of their columns' types."""
    arrays = []
    for parameter, column in places.items():
        kind = table.c[column].type
        if not isinstance(kind, _BOUND_AS_THEY_ARE):
            raise TypeError(f"{table.name}.{column} changes what is bound")
        # Without the length: a cast to varchar(64) would cut what is too long, where the column refuses it.
        arrays.append(f"%({parameter})s::{_LENGTH.sub('', kind.compile(_DIALECT))}[]")
    return ", ".join(arrays)
