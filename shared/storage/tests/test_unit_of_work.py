"""A transaction of a service: all of it or nothing, in order, and never twice."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.contracts.event import Fact
from shared.kernel.errors import NotFound
from shared.kernel.settings import Settings
from shared.storage import database as store
from shared.storage.database import StaleRow
from shared.storage.repository import Repository, aggregate_table
from shared.storage.types import clock_offset, event_log, intent, kit, outbox, timer
from shared.storage.unit_of_work import Cause, Node, UnitOfWork, forbid_open_transaction
from shared.testing.toys import suspended

metadata = sa.MetaData()


@dataclass
class Basket:
    key: str
    owner: str
    things: list[str] = field(default_factory=list)


class NoSuchBasket(NotFound):
    """There is no such basket."""


baskets = Repository(
    aggregate_table("basket", metadata, "basket_id", sa.Column("owner", sa.String(64), nullable=False)),
    Basket,
    key=lambda basket: basket.key,
    columns=lambda basket: {"owner": basket.owner},
    missing=NoSuchBasket,
)


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    made = Node(
        Settings(service="account", database_url=database_url, vault_url=f"sqlite:///{tmp_path}/vault.db", pool_size=12)
    )
    kit.create_all(made.database.engine)
    metadata.create_all(made.database.engine)
    yield made
    made.close()


def together(*works: Callable[[], object]) -> list[BaseException | None]:
    """Run them at the same moment; what each raised."""
    gate, raised = threading.Barrier(len(works)), list[BaseException | None]([None] * len(works))

    def body(no: int, work: Callable[[], object]) -> None:
        gate.wait()
        try:
            work()
        except Exception as error:
            raised[no] = error

    threads = [threading.Thread(target=body, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def rows(node: Node, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    with node.database.read() as connection:
        return list(connection.execute(sa.select(table).order_by(next(iter(table.primary_key.columns)))))


def put(tx: UnitOfWork, key: str, thing: str) -> None:
    basket = baskets.find(tx, key) or baskets.add(tx, Basket(key, "o"))
    basket.things.append(thing)


def emit(facts: list[Fact], tx: UnitOfWork) -> None:
    tx.emit(*facts)


def test_rows_facts_timers_and_calls_are_kept_together_or_not_at_all(node: Node) -> None:
    def work(tx: UnitOfWork) -> None:
        put(tx, "b", "x")
        tx.emit(*suspended("s", 1, 2))
        tx.set_timer("b", "expire", tx.now() + timedelta(hours=1))
        tx.intend("mail", "b:1", {"to": "b"})

    def fail(tx: UnitOfWork) -> None:
        work(tx)
        tx.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        node.run(fail)
    assert not any(rows(node, table) for table in (baskets.table, event_log, outbox, timer, intent))
    node.run(work)
    assert [len(rows(node, table)) for table in (baskets.table, event_log, outbox, timer, intent)] == [1, 2, 2, 1, 1]


def test_a_wake_up_comes_after_the_commit_and_only_if_there_is_something_to_do(node: Node) -> None:
    seen: list[tuple[int, bool]] = []
    node.wake = lambda calls: seen.append((len(rows(node, event_log)), calls))
    node.run(lambda tx: put(tx, "b", "x"))
    assert seen == []
    node.run(lambda tx: tx.emit(*suspended("s", 1)))
    node.run(lambda tx: tx.intend("call", "c"))
    assert seen == [(1, False), (1, True)]


def test_an_aggregate_is_read_once_and_written_once_however_often_it_is_touched(node: Node) -> None:
    node.run(lambda tx: put(tx, "b", "a"))

    def work(tx: UnitOfWork) -> None:
        for thing in "bcd":
            put(tx, "b", thing)

    node.run(work)
    with node.database.read() as connection:
        assert baskets.peek(connection, "b").things == ["a", "b", "c", "d"]
        assert connection.execute(sa.select(baskets.table.c.version)).scalar() == 2
        with pytest.raises(NoSuchBasket):
            baskets.peek(connection, "c")


def test_an_unchanged_aggregate_is_not_written(node: Node) -> None:
    node.run(lambda tx: put(tx, "b", "a"))
    node.run(lambda tx: baskets.get(tx, "b"))
    with node.database.read() as connection:
        assert connection.execute(sa.select(baskets.table.c.version)).scalar() == 1


def test_who_writes_on_an_old_version_is_told_so(node: Node) -> None:
    node.run(lambda tx: put(tx, "b", "a"))

    def overtaken(tx: UnitOfWork) -> None:
        put(tx, "b", "mine")
        tx.execute(baskets.table.update().values(version=baskets.table.c.version + 1))

    with pytest.raises(StaleRow):
        node.run(overtaken, attempts=1)


def test_many_who_change_one_aggregate_at_once_lose_no_change(node: Node) -> None:
    node.run(lambda tx: put(tx, "b", "first"))
    raised = together(*(lambda n=n: node.run(lambda tx: put(tx, "b", str(n)), attempts=50) for n in range(20)))
    assert raised == [None] * 20
    with node.database.read() as connection:
        assert set(baskets.peek(connection, "b").things) == {"first", *map(str, range(20))}


def test_two_who_add_the_same_key_at_once_become_one_aggregate(node: Node) -> None:
    raised = together(*(lambda n=n: node.run(lambda tx: put(tx, "new", str(n)), attempts=50) for n in range(6)))
    assert raised == [None] * 6
    with node.database.read() as connection:
        assert sorted(baskets.peek(connection, "new").things) == list("012345")


def test_sequences_have_no_gap_and_positions_follow_them_whoever_commits_when(node: Node) -> None:
    def say(no: int) -> None:
        for turn in range(5):
            facts = suspended("one", f"{no}.{turn}") + suspended(f"own-{no}", turn)
            node.run(partial(emit, facts), attempts=50)

    def give_up(tx: UnitOfWork) -> None:
        tx.emit(*suspended("one", "never"))
        tx.flush()
        raise ZeroDivisionError

    raised = together(*(lambda n=n: say(n) for n in range(8)), lambda: node.run(give_up))
    assert [error for error in raised if error and not isinstance(error, ZeroDivisionError)] == []
    log = rows(node, event_log)
    by_aggregate: dict[str, list[tuple[int, int]]] = {}
    for row in log:
        by_aggregate.setdefault(row.agg_id, []).append((row.pos, row.agg_seq))
    assert len(log) == 80
    for found in by_aggregate.values():
        assert [sequence for _, sequence in sorted(found)] == list(range(1, len(found) + 1))
    assert {row.pos for row in rows(node, outbox)} == {row.pos for row in log}


def test_facts_flushed_in_two_goes_are_numbered_on(node: Node) -> None:
    def work(tx: UnitOfWork) -> None:
        tx.emit(*suspended("s", 1))
        tx.flush()
        tx.emit(*suspended("s", 2))

    node.run(work)
    assert [row.agg_seq for row in rows(node, event_log)] == [1, 2]


def test_a_deadline_set_again_is_moved_and_a_cancelled_one_is_gone(node: Node) -> None:
    node.run(lambda tx: tx.set_timer("b", "expire", tx.now()))
    node.run(lambda tx: tx.set_timer("b", "expire", tx.now() + timedelta(days=1)))
    (moved,) = rows(node, timer)
    assert moved.generation == 2
    node.run(lambda tx: tx.cancel_timer("b", "expire"))
    assert rows(node, timer) == []


def test_the_same_call_is_asked_for_once(node: Node) -> None:
    node.run(lambda tx: tx.intend("mail", "b:1", {"n": 1}))
    node.run(lambda tx: tx.intend("mail", "b:1", {"n": 2}))
    assert len(rows(node, intent)) == 1


def test_business_time_moves_by_the_offset_and_stands_still_within_a_transaction(node: Node) -> None:
    before = node.run(lambda tx: tx.now())
    with node.database.begin() as connection:
        connection.execute(clock_offset.insert().values(one=1, seconds=3600.0))
    first, second = node.run(lambda tx: (tx.now(), tx.now()))
    assert first == second
    assert timedelta(minutes=59) < first - before < timedelta(minutes=61)
    assert first.utcoffset() == timedelta(0)


def test_a_moment_comes_back_as_it_went_in_utc_to_the_microsecond(node: Node) -> None:
    now = node.run(lambda tx: tx.now())
    node.run(lambda tx: tx.set_timer("b", "expire", now.astimezone()))
    assert rows(node, timer)[0].due_at == now
    assert rows(node, timer)[0].due_at.utcoffset() == timedelta(0)


def test_nobody_calls_outside_with_a_transaction_open(node: Node) -> None:
    forbid_open_transaction()
    with pytest.raises(RuntimeError):
        node.run(lambda _tx: forbid_open_transaction())
    forbid_open_transaction()


@pytest.mark.parametrize("key", ["short", "k" * 128, "with|bars|in|it"])
def test_what_a_call_or_deadline_says_is_traced_to_it_however_long_its_name(node: Node, key: str) -> None:
    cause = Cause("flow", f"request:{key}"[:96], "00-1-2-01")
    found = Cause.unpack(cause.pack(), f"intent:mail:{key}")
    assert (found.correlation_id, found.traceparent) == ("flow", "00-1-2-01")
    with node.transaction(found) as tx:
        tx.emit(*suspended("s", 1))
    assert rows(node, event_log)[0].causation_id == f"intent:mail:{key}"[:96]


@pytest.mark.parametrize(
    ("sql", "kind"),
    [("SELECT * FROM no_such_table", "ours"), ("INSERT INTO clock_offset VALUES (2, 0)", "ours")],
)
def test_a_fault_in_our_own_sql_is_never_taken_for_a_store_that_is_away(node: Node, sql: str, kind: str) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught:
        node.run(lambda tx: tx.execute(sa.text(sql)))
    assert not store.is_infrastructure(caught.value), kind
    assert not store.is_conflict(caught.value)


def test_a_store_that_cannot_be_reached_is_away(tmp_path: Path) -> None:
    urls = "postgresql+psycopg://nobody@127.0.0.1:1/none", f"sqlite:///{tmp_path}"  # a folder is no database
    for url in urls:
        node = Node(Settings(service="account", database_url=url, vault_url="sqlite://"))
        with pytest.raises(sa.exc.DBAPIError) as caught:
            node.run(lambda tx: tx.execute(sa.text("SELECT 1")))
        assert store.is_infrastructure(caught.value)
        node.close()


def test_a_cut_connection_is_a_store_that_is_away_and_the_next_try_works(postgres_url: str, tmp_path: Path) -> None:
    node = Node(Settings(service="account", database_url=postgres_url, vault_url=f"sqlite:///{tmp_path}/v.db"))

    def cut(tx: UnitOfWork) -> None:
        pid = tx.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        with node.database.begin() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        tx.execute(sa.text("SELECT 1"))

    with pytest.raises(sa.exc.DBAPIError) as caught:
        node.run(cut)
    assert store.is_infrastructure(caught.value)
    assert node.run(lambda tx: tx.execute(sa.text("SELECT 1")).scalar()) == 1
    node.close()


def test_a_statement_that_runs_too_long_is_not_a_store_that_is_away(postgres_url: str, tmp_path: Path) -> None:
    node = Node(Settings(service="account", database_url=postgres_url, vault_url=f"sqlite:///{tmp_path}/v.db"))

    def long(tx: UnitOfWork) -> None:
        tx.execute(sa.text("SET LOCAL statement_timeout = 10"))
        tx.execute(sa.text("SELECT pg_sleep(5)"))

    with pytest.raises(sa.exc.DBAPIError) as caught:
        node.run(long)
    assert store.is_timeout(caught.value)
    assert not store.is_infrastructure(caught.value)
    node.close()


def test_a_deadlock_is_run_again(postgres_url: str, tmp_path: Path) -> None:
    node = Node(Settings(service="account", database_url=postgres_url, vault_url=f"sqlite:///{tmp_path}/v.db"))
    kit.create_all(node.database.engine)
    metadata.create_all(node.database.engine)
    node.run(lambda tx: put(tx, "a", "0"))
    node.run(lambda tx: put(tx, "b", "0"))
    met = threading.Barrier(2, timeout=20)

    def cross(first: str, second: str) -> Callable[[], object]:
        meeting = [met.wait]

        def work(tx: UnitOfWork) -> None:
            put(tx, first, "x")
            if meeting:
                meeting.pop()()
            put(tx, second, "x")

        return lambda: node.run(work)

    assert together(cross("a", "b"), cross("b", "a")) == [None, None]
    with node.database.read() as connection:
        assert baskets.peek(connection, "a").things == baskets.peek(connection, "b").things == ["0", "x", "x"]
    node.close()


def test_ids_of_facts_grow_with_their_positions(node: Node) -> None:
    node.run(lambda tx: tx.emit(*suspended("s", *range(20))))
    assert all(a.event_id < b.event_id for a, b in pairwise(rows(node, event_log)))
