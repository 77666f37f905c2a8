"""Whether a fleet is at rest is told from the stores alone, late commits and facts on their way included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from shared.contracts.account import SessionRevoked
from shared.contracts.event import decode_envelope
from shared.kernel import clock
from shared.kernel.settings import Settings
from shared.messaging import consumer as door
from shared.messaging.consumer import Consumer
from shared.messaging.quiet import Watch
from shared.storage.inspect import logged, move_clock
from shared.storage.types import inbox_retry, intent, kit, outbox, timer
from shared.storage.unit_of_work import Node
from shared.testing import toys


@contextmanager
def fleet(database_url: str, other_url: str) -> Iterator[dict[str, Node]]:
    found = {
        "account": Node(Settings("account", database_url, "sqlite://")),
        "inventory": Node(Settings("inventory", other_url, "sqlite://")),
    }
    services = {"account": toys.account(), "inventory": toys.inventory()}
    for name, node in found.items():
        kit.create_all(node.database.engine)
        services[name].metadata.create_all(node.database.engine)
    yield found
    for node in found.values():
        node.close()


@pytest.fixture
def nodes(sqlite_url: str, database_url: str) -> Iterator[dict[str, Node]]:
    with fleet(database_url, sqlite_url + ".inventory") as found:
        yield found


@pytest.fixture
def nodes_on_postgres(sqlite_url: str, postgres_url: str) -> Iterator[dict[str, Node]]:
    with fleet(postgres_url, sqlite_url) as found:
        yield found


def watch(nodes: dict[str, Node]) -> Watch:
    hears: dict[str, list[str]] = {}
    for service in (toys.account(), toys.inventory()):
        for key in service.on.bindings():
            hears.setdefault(key, []).append(service.name)
    return Watch({name: node.database for name, node in nodes.items()}, hears)


def say(node: Node) -> None:
    now = clock.machine_now()
    node.run(lambda tx: tx.emit(SessionRevoked(account_id="a", session_id="s", revoked_at=now, expires_at=now)))


def published(node: Node) -> None:
    """As if the broker had confirmed everything: the pointers are gone, the facts are on their way."""
    with node.database.begin() as connection:
        connection.execute(outbox.delete())


def handle(node: Node, service: Any, source: Node) -> None:
    Consumer(node, service.on).handle([door.read(body) for _, body in logged(source.database)])


def test_nothing_done_is_rest(nodes: dict[str, Node]):
    assert watch(nodes).unrest() == []


def test_a_fact_is_waited_for_from_its_commit_until_all_who_hear_it_have_handled_it(nodes: dict[str, Node]):
    seen = watch(nodes)
    say(nodes["account"])
    assert seen.unrest()
    published(nodes["account"])
    assert "inventory: 1 facts to handle" in seen.unrest()
    handle(nodes["inventory"], toys.inventory(), nodes["account"])
    handle(nodes["account"], toys.account(), nodes["account"])
    assert seen.unrest() == []


def test_a_watch_that_begins_later_knows_what_is_still_on_its_way(nodes: dict[str, Node]):
    say(nodes["account"])
    published(nodes["account"])
    assert "inventory: 1 facts to handle" in watch(nodes).unrest()


def test_a_fact_with_a_lower_position_that_is_committed_later_is_not_overlooked(nodes_on_postgres: dict[str, Node]):
    nodes = nodes_on_postgres  # SQLite has one writer: its positions are committed in order
    seen = watch(nodes)
    with nodes["account"].transaction() as slow:
        now = clock.machine_now()
        slow.emit(SessionRevoked(account_id="a", session_id="slow", revoked_at=now, expires_at=now))
        slow.flush()
        say(nodes["account"])
        handle(nodes["inventory"], toys.inventory(), nodes["account"])
        handle(nodes["account"], toys.account(), nodes["account"])
        with nodes["account"].database.begin() as connection:
            connection.execute(outbox.delete())
        assert seen.unrest() == []
    published(nodes["account"])
    assert len(logged(nodes["account"].database)) == 2
    assert "inventory: 1 facts to handle" in seen.unrest()


def test_what_is_due_is_unrest_and_what_is_not_yet_due_is_the_next_deadline(nodes: dict[str, Node]):
    seen = watch(nodes)
    due = clock.machine_now() + timedelta(days=3)
    node = nodes["inventory"]
    with node.database.begin() as connection:
        connection.execute(timer.insert().values(aggregate="x", name="later", due_at=due))
    assert seen.unrest() == []
    assert seen.due() == due
    move_clock(node.database, timedelta(days=3, seconds=1).total_seconds())
    assert seen.unrest() == ["inventory: a timer is due"]


def test_a_call_under_way_is_waited_for_and_one_that_keeps_failing_is_not(nodes: dict[str, Node]):
    seen, node, now = watch(nodes), nodes["inventory"], clock.machine_now()
    row = {"kind": "k", "key": "1", "data": b"{}", "next_at": now + timedelta(seconds=60), "created_at": now}
    with node.database.begin() as connection:
        connection.execute(intent.insert().values(**row))
    assert seen.unrest() == ["inventory: 1 calls"]
    with node.database.begin() as connection:
        connection.execute(intent.update().values(error="no answer"))
    assert seen.unrest() == []
    with node.database.begin() as connection:
        connection.execute(intent.update().values(next_at=now + timedelta(seconds=1)))
    assert seen.unrest() == ["inventory: 1 calls"]


@pytest.mark.parametrize(
    ("status", "seconds", "rests"),
    [("dead", None, True), ("failed", 60, True), ("failed", 1, False), ("early", 1, False), ("early", 60, True),
     ("held", None, False), ("started", None, False)],
)  # fmt: skip
def test_a_kept_fact_is_waited_for_when_it_will_be_tried_again_soon(
    nodes: dict[str, Node], status: str, seconds: int | None, rests: bool
):
    seen, now = watch(nodes), clock.machine_now()
    with nodes["inventory"].database.begin() as connection:
        connection.execute(
            inbox_retry.insert().values(
                consumer="inventory",
                event_id="e",
                type="t",
                agg="a",
                partition_key="p",
                body=b"{}",
                status=status,
                next_at=now + timedelta(seconds=seconds) if seconds else None,
                created_at=now,
            )  # fmt: skip
        )
    assert (seen.unrest() == []) is rests
    assert seen.failing() == {"inventory": 1}


def test_the_outside_is_asked_before_rest_is_declared(nodes: dict[str, Node]):
    found = watch(nodes)
    found.others = [lambda: "provider: 1 callbacks"]
    assert found.unrest() == ["provider: 1 callbacks"]


def test_a_fact_that_comes_in_during_the_last_look_is_seen(nodes: dict[str, Node]):
    found = watch(nodes)

    def callback() -> str:
        say(nodes["account"])
        found.others = ()
        return ""

    found.others = [callback]
    assert found.unrest()
    assert decode_envelope(logged(nodes["account"].database)[0][1]).fact_name == "SessionRevoked"
    with nodes["account"].database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar() == 1
