"""The floor: what the same nginx, gunicorn, Flask, SQLAlchemy and PostgreSQL take for storing as much as an order does,
with nothing around it: no token, no checks, no prices, no states, no events.

`census` counts the rows that placing one order writes; the endpoint inserts as many rows of the same width into as many
tables, one INSERT a table, in one transaction, JSON in and out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from flask import Flask, Response, request

from shared.kernel import settings
from shared.kernel.ids import new_id
from shared.storage.database import Database

PATH = "/v1/floor"
Census = Mapping[str, tuple[int, int]]
"""By table: how many rows, and the width of one in bytes."""
ID_BYTES = 40


def census(database: Database, writer: str, **values: str) -> dict[str, tuple[int, int]]:
    """What one transaction wrote: the row versions that bear its number. `writer` is the query that answers the number.

    Those that others have changed or taken away since are not counted.
    """
    with database.read() as connection:
        writer = connection.execute(sa.text(writer), values).scalar_one()
        found = {}
        for table in sa.inspect(connection).get_table_names():
            counted = sa.text(
                f'SELECT count(*), coalesce(avg(pg_column_size(t.*)), 0) FROM "{table}" t'  # noqa: S608
                " WHERE t.xmin::text = :writer"
            )
            rows, width = connection.execute(counted, {"writer": writer}).one()
            if rows:
                found[table] = (int(rows), int(width))
    return found


def tables(counted: Census) -> sa.MetaData:
    """A table for each of the census."""
    metadata = sa.MetaData()
    for name in counted:
        sa.Table(name, metadata, sa.Column("id", sa.String(36), primary_key=True), sa.Column("body", sa.LargeBinary))
    return metadata


def create(url: str, counted: Census) -> None:
    """Make the tables."""
    database = Database(url)
    tables(counted).create_all(database.engine)
    database.close()


def create_app(counted: Census) -> Flask:
    """The floor as an app; its settings come from the environment as a service's do."""
    app = Flask("floor", static_folder=None)
    given = settings.load("floor")
    engine = Database(given.database_url, pool_size=given.pool_size).engine
    # Random bytes: PostgreSQL would press anything else together.
    wanted = [
        (table, [os.urandom(max(1, counted[table.name][1] - ID_BYTES))] * counted[table.name][0])
        for table in tables(counted).sorted_tables
    ]

    @app.get("/readyz")
    def readyz() -> str:
        return "ready"

    @app.post(PATH)
    def post_floor() -> Response:
        body: dict[str, Any] = msgspec.json.decode(request.get_data())
        written = 0
        with engine.begin() as connection:
            for table, rows in wanted:
                connection.execute(sa.insert(table), [{"id": new_id(), "body": row} for row in rows])
                written += len(rows)
        return Response(msgspec.json.encode({"asked": body, "rows": written}), 202, content_type="application/json")

    return app
