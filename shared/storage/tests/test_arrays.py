"""Lists reach PostgreSQL as they are, whatever is in them, and as psycopg alone would have brought them there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from deploy.servers import PostgresServer
from shared.storage.database import Database

EVENING = datetime(2026, 11, 22, 21, 30, 0, 123, tzinfo=timezone(timedelta(hours=8)))


@pytest.fixture
def store(postgres_server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    database = Database(postgres_server.url())
    with database.direct() as connection:
        yield connection
    database.close()


@pytest.mark.parametrize(
    ("kind", "things"),
    [
        (
            "varchar",
            ["plain", "", "NULL", "null", 'a "quoted" one', "back\\slash", "{1,2}", "a,b", " spaces ", "new\nline"],
        ),
        ("varchar", ["\u8336 \u2003 \U0001f375", "\\", '"', '\\"']),
        ("varchar", ["one"]),
        ("varchar", []),
        ("varchar", [None, "and a text"]),
        ("bytea", [b"", b"\x00\xff{}", b'"\\', bytes(range(256)) * 20]),
        ("bytea", [b"one", None]),
        ("integer", [0, -1, 40_000, 2**31 - 1]),
        ("bigint", [2**62, -(2**62), 1]),
        ("integer", [None, 7]),
        ("timestamptz", [EVENING, EVENING.astimezone(UTC), datetime(1999, 1, 1, tzinfo=UTC)]),
        ("timestamptz", [EVENING, None]),
        ("boolean", [True, False]),
    ],
)
def test_a_list_arrives_as_it_is(store: psycopg.Connection[Any], kind: str, things: list[Any]) -> None:
    assert store.execute(f"SELECT %s::{kind}[]", [things]).fetchone() == (things,)
    rows = store.execute(f"SELECT * FROM unnest(%s::{kind}[])", [things]).fetchall()  # noqa: S608
    assert [thing for (thing,) in rows] == things


def test_every_connection_of_a_store_writes_lists_so(postgres_server: PostgresServer) -> None:
    database = Database(postgres_server.url())
    with database.read() as connection:
        driver: Any = connection.connection.dbapi_connection
        written = psycopg.adapt.Transformer(driver).get_dumper([b"body"], psycopg.adapt.PyFormat.AUTO)
        assert written.format is psycopg.pq.Format.BINARY
    database.close()


def test_a_text_that_postgresql_cannot_keep_is_refused_not_cut(store: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.DataError):
        store.execute("SELECT %s::varchar[]", [["good", "cut\0off"]])
