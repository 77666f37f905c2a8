"""One holder at a time, on both stores; who slept too long can write nothing."""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from shared.kernel.settings import inherited
from shared.messaging import leases
from shared.messaging.leases import Held, Lease, LeaseLost
from shared.storage.locks import SessionLock
from shared.storage.unit_of_work import Node, UnitOfWork
from shared.testing.toys import effects, note
from shared.testing.worlds import eventually, make_node

SHORT, GONE = timedelta(seconds=1), timedelta(seconds=-1)
HOLDER = Path(__file__).with_name("holder.py")


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    made = make_node("inventory", database_url, "embedded:", tmp_path)
    yield made
    made.close()


def write(tx: UnitOfWork, lease: Lease, what: str) -> None:
    lease(tx)
    note(tx, "k", what)


def test_only_one_of_two_gets_it_until_it_is_given_back(node: Node) -> None:
    first = leases.acquire(node.database, "timers", "a")
    assert first is not None
    assert leases.acquire(node.database, "timers", "b") is None
    leases.release(node.database, first)
    second = leases.acquire(node.database, "timers", "b")
    assert second is not None
    assert second.epoch > first.epoch


def test_one_of_many_who_ask_at_once_gets_it(node: Node) -> None:
    got: list[object] = []
    gate = threading.Barrier(8)

    def ask(owner: str) -> None:
        gate.wait()
        got.append(leases.acquire(node.database, "shard.3", owner))

    threads = [threading.Thread(target=ask, args=(f"w{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([lease for lease in got if lease]) == 1
    assert len(got) == 8


def test_a_lease_that_ran_out_is_taken_over_and_its_old_holder_is_refused(node: Node) -> None:
    first = leases.acquire(node.database, "shard.0", "a", GONE)
    second = leases.acquire(node.database, "shard.0", "b")
    assert first is not None
    assert second is not None
    with pytest.raises(LeaseLost):
        node.run(lambda tx: write(tx, first, "late"))
    assert not leases.renew(node.database, first)
    leases.release(node.database, first)  # too late: it is not the old holder's to give
    node.run(lambda tx: write(tx, second, "in time"))
    assert effects(node) == [("k", "in time")]


def test_a_lease_that_ran_out_but_was_not_taken_may_be_renewed(node: Node) -> None:
    lease = leases.acquire(node.database, "shard.0", "a", GONE)
    assert lease is not None
    assert leases.renew(node.database, lease)
    assert leases.acquire(node.database, "shard.0", "b") is None


def test_a_held_lease_is_renewed_when_a_third_of_it_is_over(node: Node) -> None:
    lease = leases.acquire(node.database, "shard.0", "a", GONE)
    assert lease is not None
    held = Held(node.database, lease, GONE)
    held.keep()
    leases.acquire(node.database, "shard.0", "b")
    with pytest.raises(LeaseLost):
        held.keep()


def test_living_workers_are_counted(node: Node) -> None:
    assert leases.workers(node.database) == 0
    mine = leases.acquire(node.database, "worker.a", "a")
    leases.acquire(node.database, "worker.b", "b", GONE)
    assert mine is not None
    assert leases.workers(node.database) == 1
    leases.release(node.database, mine)
    assert leases.workers(node.database) == 0


def test_a_stopped_process_loses_its_lease_and_its_late_commit_is_refused(postgres_url: str, tmp_path: Path) -> None:
    """PostgreSQL alone: on SQLite a process that is stopped in a transaction stops all writers with it."""
    node = make_node("inventory", postgres_url, "embedded:", tmp_path)
    sleeper = subprocess.Popen(
        [sys.executable, str(HOLDER), postgres_url, str(tmp_path), str(SHORT.total_seconds())],
        stdout=subprocess.PIPE, text=True, env=inherited(PYTHONPATH=str(Path(__file__).parents[3])),
    )  # fmt: skip
    assert sleeper.stdout is not None
    with contextlib.closing(sleeper.stdout):
        try:
            assert sleeper.stdout.readline() == "holding\n"
            eventually(lambda: effects(node), "its first write")
            sleeper.send_signal(signal.SIGSTOP)

            def take() -> object:
                with contextlib.suppress(Exception):  # stopped inside a transaction, it holds us up until a time-out
                    return leases.acquire(node.database, "shard.0", "heir", timedelta(minutes=5))
                return None

            eventually(take, "the lease to run out", 60)
            before = effects(node)
            sleeper.send_signal(signal.SIGCONT)
            sleeper.wait(30)
            said = sleeper.stdout.read()
        finally:
            sleeper.kill()
            sleeper.wait()
    assert effects(node) == before
    assert said == "refused\n" or sleeper.returncode  # or its connection was cut by the time-out
    node.close()


def test_the_relays_lock_has_one_holder_and_passes_on_when_it_is_released(node: Node) -> None:
    first, second = SessionLock(node.database, "relay", 5), SessionLock(node.database, "relay", 5)
    assert first.held()
    assert not second.held()
    assert first.held()
    first.release()
    eventually(second.held, "the lock to pass on")
    assert not first.held()
    first.release()
    second.release()


def test_a_cut_session_gives_the_relays_lock_up(postgres_url: str, tmp_path: Path) -> None:
    node = make_node("inventory", postgres_url, "embedded:", tmp_path)
    first, second = SessionLock(node.database, "relay", 5), SessionLock(node.database, "relay", 5)
    assert first.held()
    assert not second.held()
    with node.database.begin() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    eventually(second.held, "the lock to pass on")
    session = first.session
    assert session is not None
    with pytest.raises(psycopg.OperationalError):  # whoever works on the session is told
        session.execute("SELECT 1")
    assert not first.held()
    first.release()
    second.release()
    node.close()


@pytest.mark.parametrize(
    ("workers", "shares"), [(1, [4]), (2, [2, 2]), (3, [2, 1, 1]), (4, [1] * 4), (5, [1] * 4 + [0])]
)
def test_every_worker_gets_a_share_while_there_are_enough_shards(node, workers, shares):
    names = [f"worker-{number}" for number in range(workers)]
    for name in names:
        assert leases.acquire(node.database, leases.WORKER + name, name)
    assert [leases.share(node.database, name, 4) for name in names] == shares
