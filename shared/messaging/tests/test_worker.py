"""A worker's life: it waits for a store that is away, shows its health, wakes and is woken, and leaves in order."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from deploy.servers import PostgresServer
from shared.kernel import clock
from shared.messaging.health import HealthServer
from shared.messaging.housekeeping import Housekeeper
from shared.runtime.wake import CHANNEL, notifier
from shared.storage.database import Database
from shared.storage.types import audit, idempotency, inbox, lease, revoked_session
from shared.storage.unit_of_work import Node
from shared.testing.toys import suspended
from shared.testing.worlds import RabbitWorld, eventually, make_node

Stores = Callable[[str], tuple[str, str]]


@pytest.fixture
def world(rabbit_url: str, two_databases: Stores, tmp_path: Path) -> Iterator[RabbitWorld]:
    first, second = two_databases("postgres")
    made = RabbitWorld(
        make_node("account", first, rabbit_url, tmp_path), make_node("inventory", second, rabbit_url, tmp_path)
    )
    yield made
    made.close()


@pytest.mark.servers
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_store_that_dies_is_waited_for_and_nothing_is_lost_or_given_up(rabbit_url: str, tmp_path: Path) -> None:
    server = PostgresServer().start()
    urls = [server.create_database(name, "tester", "tester") for name in ("account", "inventory")]
    world = RabbitWorld(
        make_node("account", f"sqlite:///{tmp_path}/account.db", rabbit_url, tmp_path),
        make_node("inventory", urls[1], rabbit_url, tmp_path),
    )
    try:
        world.say(*suspended("early", 0))
        world.settle()
        server.kill9()
        for number in range(120):
            world.say(*suspended(f"seller-{number % 7}", number))
        eventually(lambda: not _pending(world.account), "the facts to be in the queue")
        assert not any(worker.stopping.is_set() for worker in world.workers)
        server.start()
        world.settle()
        heard = [(key, int(what)) for key, what in world.done() if key != "early"]
        assert Counter(heard) == Counter((f"seller-{n % 7}", n) for n in range(120))
        for key in {key for key, _ in heard}:
            numbers = [number for about, number in heard if about == key]
            assert numbers == sorted(numbers)
        assert not world.kept()
    finally:
        server.stop()
        world.close()
        gc.collect()  # connections whose server was killed complain here, and not in somebody else's test


def _pending(node: Node) -> int:
    return int(Housekeeper(node, node.name).measure()["outbox_pending"])


@pytest.mark.servers
def test_a_worker_tells_of_its_health(world: RabbitWorld) -> None:
    world.say(*suspended("seller", 1))
    world.settle()
    worker = world.workers[1]
    health = HealthServer(worker, "127.0.0.1", 0)
    with requests.Session() as session:
        session.trust_env = False

        def get(path: str) -> requests.Response:
            return session.get(f"http://127.0.0.1:{health.port}{path}", timeout=5)

        assert get("/livez").json() == {"status": "alive"}
        assert get("/readyz").status_code == 200
        status = get("/statusz").json()
        assert (status["shards"], status["relaying"], status["broker_connected"]) == ([0], True, True)
        assert "caravan_consumed_total" in get("/metrics").text
        assert get("/nowhere").status_code == 404
        worker.stopping.set()
        assert get("/readyz").status_code == 503
    health.close()


@pytest.mark.servers
def test_a_commit_in_one_process_is_heard_of_in_another(postgres_url: str) -> None:
    database = Database(postgres_url)
    wake = notifier(database)
    with database.direct() as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        for _ in range(1000):
            wake(False)
        heard = list(listener.notifies(timeout=10, stop_after=1))
        assert len(heard) == 1
        heard += list(listener.notifies(timeout=0.3))
        assert len(heard) < 100, "wake-ups are gathered"
    wake.close()
    database.close()


def test_a_wake_up_that_cannot_be_sent_troubles_nobody(tmp_path: Path) -> None:
    for url in ("postgresql+psycopg://nobody@127.0.0.1:1/none", f"sqlite:///{tmp_path}/a.db"):
        database = Database(url)
        wake = notifier(database)
        wake(False)
        wake(True)
        wake.close()
        database.close()


def test_what_is_too_old_is_removed_and_nothing_else(database_url: str, tmp_path: Path) -> None:
    node = make_node("inventory", database_url, "embedded:", tmp_path)
    now = clock.machine_now()
    with node.database.begin() as connection:
        for days in (0, 29, 31, 400):
            at = now - timedelta(days=days)
            connection.execute(inbox.insert().values(consumer="c", event_id=str(days), at=at))
            connection.execute(
                idempotency.insert().values(
                    principal="p", route="r", key=str(days), fingerprint="f", status=200, headers=b"{}", body=b"",
                    created_at=at,
                )
            )  # fmt: skip
            connection.execute(
                revoked_session.insert().values(session_id=str(days), expires_at=at + timedelta(hours=1))
            )
            connection.execute(lease.insert().values(name=f"worker.{days}", owner="", epoch=1, until=at))
        for days, denied in ((89, True), (91, True), (91, False), (729, False), (731, False)):
            one = {"actor": "a", "action": "x", "object": f"{days}", "result": "r", "request_id": "", "denied": denied}
            connection.execute(audit.insert().values(at=now - timedelta(days=days), **one))
    assert Housekeeper(node, "inventory").purge() == 2 + 3 + 3 + 2
    with node.database.read() as connection:
        assert set(connection.execute(sa.select(inbox.c.event_id)).scalars()) == {"0", "29"}
        trail = connection.execute(sa.select(audit.c.object, audit.c.denied)).all()
        assert set(trail) == {("89", True), ("91", False), ("729", False)}, "what operators did is kept for two years"
        assert set(connection.execute(sa.select(idempotency.c.key)).scalars()) == {"0"}
        assert set(connection.execute(sa.select(revoked_session.c.session_id)).scalars()) == {"0"}
        assert set(connection.execute(sa.select(lease.c.name)).scalars()) == {"worker.0"}
    node.close()
