"""The tables of a fresh store, laid at once: how to make them is found out once a process, not once a test."""

from __future__ import annotations

import sqlalchemy as sa

from shared.storage.database import Database

_scripts: dict[tuple[str, sa.MetaData], list[str]] = {}


def lay(database: Database, *kinds: sa.MetaData) -> None:
    """Make all tables, indexes and rules of `kinds` in one transaction. The store must have none of them yet."""
    with database.begin() as connection:
        for kind in kinds:
            script = _scripts.get((database.engine.dialect.name, kind))
            if script is None:
                _scripts[database.engine.dialect.name, kind] = _make_and_note(connection, kind)
            elif database.is_sqlite:
                for statement in script:
                    connection.exec_driver_sql(statement)
            else:  # without parameters PostgreSQL takes many statements in one message
                connection.exec_driver_sql(";\n".join(script))


def _make_and_note(connection: sa.Connection, kind: sa.MetaData) -> list[str]:
    script: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        script.append(statement)

    sa.event.listen(connection, "before_cursor_execute", note)
    try:
        kind.create_all(connection, checkfirst=False)
    finally:
        sa.event.remove(connection, "before_cursor_execute", note)
    return script
