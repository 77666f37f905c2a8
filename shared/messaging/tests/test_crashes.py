"""Processes die at every named point; another one finishes what they began: nothing is lost and nothing doubled."""

import secrets
from collections import Counter
from collections.abc import Iterator

import pytest

from shared.messaging.rabbit import queue_name
from shared.telemetry.faults import POINTS
from shared.testing.toy_processes import ProcessWorld
from shared.testing.toys import suspended
from shared.testing.worlds import eventually, make_node

# A fact for each way that something can happen, so that every point is passed.
REASONS = ("needs:x", *range(10), "x", "timer:0", "call")


@pytest.fixture(
    scope="module",
    params=[
        "embedded-sqlite",
        pytest.param("rabbit-postgres", marks=pytest.mark.servers),
    ],
)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessWorld]:
    """One for all points; each uses keys of its own."""
    folder = tmp_path_factory.mktemp("crash")
    broker, store = request.param.split("-")
    name = f"crash_{secrets.token_hex(4)}"  # the servers are shared with other test processes
    rabbit = request.getfixturevalue("rabbit_server") if broker == "rabbit" else None
    server = request.getfixturevalue("postgres_server") if store == "postgres" else None
    urls = [
        server.create_database(f"{name}_{who}", "tester", "tester") if server else f"sqlite:///{folder}/{who}.db"
        for who in ("account", "inventory")
    ]
    broker_url = rabbit.add_vhost(f"{name}_{store}") if rabbit else "embedded:"
    made = ProcessWorld(
        make_node("account", urls[0], broker_url, folder), make_node("inventory", urls[1], broker_url, folder)
    )
    made.folder = folder
    yield made
    made.close()
    if rabbit:
        rabbit.delete_vhost(f"{name}_{store}")
    for who in ("account", "inventory"):
        if server:
            server.drop_database(f"{name}_{who}")


def of_key(pairs: list[tuple[str, str]], key: str) -> Counter[str]:
    return Counter(what for about, what in pairs if about == key)


@pytest.mark.parametrize("point", POINTS)
def test_a_death_at_any_point_loses_and_doubles_nothing(world: ProcessWorld, point: str) -> None:
    world.stop()
    world.say(*suspended(point, *REASONS[:6]))
    world.say(*suspended(point, *REASONS[6:]))
    victim = world.launch(crash_at=point)
    assert victim.wait(60) == 137, world.log()

    world.hasten()  # a call that the victim had begun is left alone for a minute
    heir = world.launch()
    world.settle()
    expected = Counter(str(reason) for reason in REASONS) + Counter(["rang"])
    assert of_key(world.done(), point) == expected + Counter(["called"])
    assert of_key(world.answered(), point) == expected
    assert not world.kept()
    assert world.halt(heir) == 0, world.log()


@pytest.mark.parametrize("world", [pytest.param("rabbit-postgres", marks=pytest.mark.servers)], indirect=True)
def test_a_worker_killed_with_twenty_unacknowledged_facts_loses_and_doubles_none(
    world: ProcessWorld, request: pytest.FixtureRequest
) -> None:
    rabbit = request.getfixturevalue("rabbit_server")
    vhost = world.account.settings.broker_url.rsplit("/", 1)[1]
    with world.inventory.database.begin() as blocking:
        blocking.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        blocking.exec_driver_sql("LOCK TABLE effect IN EXCLUSIVE MODE")
        victim = world.launch()
        for number in range(60):
            world.say(*suspended(f"killed-{number % 5}", number))

        def unacknowledged() -> bool:
            queues = rabbit.api("GET", f"queues/{vhost}")
            return any(
                queue["name"] == queue_name("inventory", 0) and queue.get("messages_unacknowledged", 0) >= 20
                for queue in queues
            )

        eventually(unacknowledged, "twenty unacknowledged facts")
        victim.kill()
        victim.wait(10)
    heir = world.launch()
    world.settle()
    for key in (f"killed-{n}" for n in range(5)):
        heard = [int(what) for about, what in world.done() if about == key]
        assert heard == sorted(set(heard))
        assert heard == [int(what) for about, what in world.answered() if about == key]
        assert len(heard) == 12
    assert world.halt(heir) == 0
