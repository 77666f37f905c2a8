"""Many rows in one statement: the same rows as one by one, on either database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from shared.kernel import clock
from shared.storage.database import is_database_error
from shared.storage.rows import Insert, Update
from shared.storage.types import BigId, Body, Moment
from shared.storage.unit_of_work import Node
from shared.testing.worlds import make_node

shelf = sa.Table(
    "shelf",
    sa.MetaData(),
    sa.Column("no", BigId, primary_key=True, autoincrement=True),
    sa.Column("sku", sa.String(8), nullable=False, unique=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("note", sa.Text, nullable=True),
    sa.Column("listed", sa.Boolean, nullable=False),
    sa.Column("body", Body, nullable=False),
    sa.Column("at", Moment, nullable=False),
)
AT = clock.machine_now()


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    node = make_node("inventory", database_url, "embedded:", tmp_path)
    with node.database.begin() as connection:
        shelf.create(connection)
    yield node
    node.close()


def row(sku: str, version: int = 1, note: str | None = None) -> dict[str, Any]:
    return {"sku": sku, "version": version, "note": note, "listed": version > 1, "body": b"{}\x00", "at": AT}


def kept(node: Node) -> list[Any]:
    with node.database.read() as connection:
        return [tuple(found) for found in connection.execute(sa.select(shelf).order_by(shelf.c.no))]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_all_rows_are_written_in_their_order(node: Node, number: int) -> None:
    rows = [row(f"s{no}", no, None if no else "first") for no in range(number)]
    assert node.run(lambda tx: Insert(shelf).write(tx, rows)) == number
    assert [found[1:] for found in kept(node)] == [tuple(one.values()) for one in rows]


def test_what_is_there_already_stays_or_fails_the_transaction(node: Node) -> None:
    gently, strictly = Insert(shelf, keep_first=True), Insert(shelf)
    assert node.run(lambda tx: gently.write(tx, [row("a")])) == 1
    assert node.run(lambda tx: gently.write(tx, [row("a", 2)])) == 0
    assert node.run(lambda tx: gently.write(tx, [row("a", 2), row("b", 2)])) == 1
    with pytest.raises(sa.exc.IntegrityError):
        node.run(lambda tx: strictly.write(tx, [row("c"), row("b")]))
    assert [(found[1], found[2]) for found in kept(node)] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("number", [1, 2])
def test_only_rows_with_the_version_that_was_read_are_changed(node: Node, number: int) -> None:
    node.run(lambda tx: Insert(shelf).write(tx, [row("a"), row("b"), row("c")]))
    update = Update(shelf, {"k_": "sku", "v_": "version"}, ["version", "note"])
    changes = [{"k_": sku, "v_": 1, "version": 2, "note": f"new {sku}"} for sku in "ab"[:number]]
    assert node.run(lambda tx: update.write(tx, changes)) == number
    assert node.run(lambda tx: update.write(tx, changes)) == 0
    assert [found[3] for found in kept(node)] == ["new a", "new b" if number == 2 else None, None]


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_too_long_is_refused_and_not_cut(postgres_url: str, tmp_path: Path, number: int) -> None:
    node = make_node("inventory", postgres_url, "embedded:", tmp_path)
    with node.database.begin() as connection:
        shelf.create(connection)
    with pytest.raises(sa.exc.DBAPIError) as refused:
        node.run(lambda tx: Insert(shelf).write(tx, [row("x" * 9), row("b")][:number]))
    assert is_database_error(refused.value)
    assert kept(node) == []
    node.close()


def test_a_type_that_changes_what_is_bound_is_not_taken() -> None:
    chosen = sa.Table("chosen", sa.MetaData(), sa.Column("c", sa.JSON, primary_key=True))
    with pytest.raises(TypeError):
        Insert(chosen)
