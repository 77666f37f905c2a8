"""What only a real broker can do to us: stop, die, refuse, return, and lie about who speaks."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.servers import RabbitServer, free_port
from deploy.servers.rabbit import User
from shared.kernel.ids import new_id
from shared.messaging.leases import Held, acquire
from shared.messaging.rabbit import declare, dlq_name, queue_name
from shared.messaging.rabbit.consumer import BATCH, RabbitConsumer
from shared.messaging.rabbit.link import Link
from shared.messaging.rabbit.topology import DLX, EVENTS, channel, inbox_exchange, nodes, queue_arguments
from shared.storage.types import event_log, outbox
from shared.testing.toys import suspended
from shared.testing.worlds import RabbitWorld, World, eventually, make_node

pytestmark = pytest.mark.servers
Stores = Callable[[str], tuple[str, str]]


def build(stores: Stores, urls: tuple[str, str], folder: Path) -> RabbitWorld:
    first, second = stores("postgres")
    return RabbitWorld(make_node("account", first, urls[0], folder), make_node("inventory", second, urls[1], folder))


@pytest.fixture
def world(rabbit_url: str, two_databases: Stores, tmp_path: Path) -> Iterator[RabbitWorld]:
    made = build(two_databases, (rabbit_url, rabbit_url), tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def own_broker() -> Iterator[RabbitServer]:
    """One that may be stopped and killed."""
    server = RabbitServer().start()
    yield server
    server.stop()


@pytest.fixture
def own_vhost(own_broker: RabbitServer) -> Iterator[str]:
    """A fresh one on it."""
    name = f"t-{new_id()}"
    own_broker.add_vhost(name)
    yield name
    own_broker.delete_vhost(name)


@pytest.fixture
def frail(own_broker: RabbitServer, own_vhost: str, two_databases: Stores, tmp_path: Path) -> Iterator[RabbitWorld]:
    """A world on the broker that may be killed."""
    url = own_broker.amqp_url("admin", own_vhost)
    made = build(two_databases, (url, url), tmp_path)
    yield made
    made.close()


def waiting(world: World) -> dict[str, int]:
    """Pointers in `account`'s outbox: how many, and how many of them have failed before."""
    with world.account.database.read() as connection:
        rows = connection.execute(sa.select(outbox.c.attempts)).scalars().all()
    return {"all": len(rows), "failed": sum(1 for attempts in rows if attempts)}


def assert_in_order(world: World, count: int) -> None:
    heard = [(key, int(what)) for key, what in world.done()]
    assert Counter(heard) == Counter(set(heard)), "something was done twice"
    assert len(heard) == count == len(world.answered())
    for key in {key for key, _ in heard}:
        numbers = [number for about, number in heard if about == key]
        assert numbers == sorted(numbers)


def test_the_topology_may_be_declared_again_and_again(rabbit_url: str, rabbit_server: RabbitServer) -> None:
    for _ in range(2):
        declare(rabbit_url, "order", ["account.SellerApproved.v1", "payment.#"], 3)
    vhost = rabbit_url.rsplit("/", 1)[1]
    queues = {queue["name"]: queue["arguments"] for queue in rabbit_server.api("GET", f"queues/{vhost}")}
    assert set(queues) == {dlq_name("order")} | {queue_name("order", shard) for shard in range(3)}
    assert queues[queue_name("order", 0)] == queue_arguments("order")
    bound = rabbit_server.api("GET", f"exchanges/{vhost}/{EVENTS}/bindings/source")
    assert sorted(binding["routing_key"] for binding in bound) == ["account.SellerApproved.v1", "payment.#"]
    assert [
        binding["routing_key"] for binding in rabbit_server.api("GET", f"exchanges/{vhost}/{DLX}/bindings/source")
    ] == ["order"]


def test_a_fact_on_the_wire_is_a_structured_cloud_event(rabbit_url: str, world: RabbitWorld) -> None:
    with channel(rabbit_url, "spy") as on:
        on.exchange_declare(EVENTS, "topic", durable=True)
        on.queue_declare("spy", exclusive=True)
        on.queue_bind("spy", EVENTS, "account.#")
        world.start()
        hearer = world.workers[1]
        # What the spy takes does not come back, though nobody else heard it: so the hearer's queue must be there first.
        eventually(lambda: hearer.publisher and hearer.publisher.connected, "the hearer's queue")
        world.say(*suspended("seller", 1))
        world.settle()
        method, properties, body = eventually(lambda: _got(on.basic_get("spy", auto_ack=True)), "a copy")
    event = json.loads(body)
    assert method.routing_key == "account.SellerSuspended.v1"
    assert properties.content_type == "application/cloudevents+json; charset=utf-8"
    assert (properties.message_id, properties.type) == (event["id"], event["type"])
    assert (properties.app_id, properties.user_id, properties.delivery_mode) == ("account", "admin", 2)
    assert properties.headers["partitionkey"] == event["partitionkey"] == "seller"
    assert body == world.bodies()[0]


def _got(delivery: tuple[object, object, object]) -> object:
    return delivery if delivery[0] else None


def test_facts_committed_while_the_broker_is_stopped_arrive_when_it_is_back(
    own_broker: RabbitServer, frail: RabbitWorld
) -> None:
    world = frail
    world.say(*suspended("early", 0))
    world.settle()
    own_broker.stop_app()
    for number in range(60):
        world.say(*suspended(f"seller-{number % 5}", number))
    assert waiting(world)["all"] == 60
    own_broker.start_app()
    world.settle()
    assert_in_order(world, 61)
    assert not world.kept()


def test_a_broker_killed_while_we_publish_loses_and_doubles_nothing(
    own_broker: RabbitServer, frail: RabbitWorld
) -> None:
    world = frail
    world.say(*suspended("early", 0))
    world.settle()
    for number in range(600):
        world.say(*suspended(f"seller-{number % 97}", number))
        if number == 300:
            own_broker.kill9()
    own_broker.start()
    world.settle()
    assert_in_order(world, 601)
    assert not world.kept()


def test_a_fact_that_reaches_no_queue_comes_back_and_is_not_lost(rabbit_url: str, world: RabbitWorld) -> None:
    world.say(*suspended("seller", 0))
    world.settle()
    world.stop()
    with channel(rabbit_url, "vandal") as on:
        on.exchange_unbind(inbox_exchange("inventory"), EVENTS, "account.SellerSuspended.v1")
    world.services["inventory"].on.handlers, handlers = {}, world.services["inventory"].on.handlers
    subscribed = frozenset(["account.SellerSuspended.v1"])
    world.start()
    for worker in world.workers:
        assert worker.publisher is not None
        worker.publisher.subscribed = subscribed
    world.say(*suspended("seller", 1, 2))
    eventually(lambda: waiting(world)["failed"] >= 1, "a returned fact")
    with world.account.database.read() as connection:
        why = connection.execute(sa.select(outbox.c.last_error).where(outbox.c.attempts > 0)).scalars().first()
    assert "NO_ROUTE" in str(why)
    world.stop()
    world.services["inventory"].on.handlers = handlers
    world.settle()
    assert [what for _, what in world.done()] == ["0", "1", "2"]


def test_a_blocked_broker_is_waited_for_and_no_fact_fails_for_it(own_broker: RabbitServer, frail: RabbitWorld) -> None:
    world = frail
    world.say(*suspended("seller", 0))
    world.settle()
    own_broker.set_alarm("memory", True)
    try:
        world.say(*suspended("seller", 1))
        publisher = world.workers[0].publisher
        assert publisher is not None
        eventually(lambda: publisher.blocked, "the broker to block us")
        world.say(*suspended("other", 0))
        assert waiting(world)["all"] == 2
    finally:
        own_broker.set_alarm("memory", False)
    world.settle()
    assert_in_order(world, 3)


def users(broker: RabbitServer, vhost: str) -> tuple[str, str]:
    """URLs of a user per service with the rights that a service needs which declares its own topology."""
    found = []
    for name in ("account", "inventory"):
        mine = rf"^caravan\.({name}\..*|events|dlx)$"
        found.append(broker.add_user(User(name, mine, mine, mine, topics=rf"^{name}\..*"), vhost))
    return found[0], found[1]


def test_rights_of_one_user_per_service_suffice_and_a_fact_in_anothers_name_is_refused(
    own_broker: RabbitServer, own_vhost: str, two_databases: Stores, tmp_path: Path
) -> None:
    world = build(two_databases, users(own_broker, own_vhost), tmp_path)
    world.say(*suspended("seller", 1))
    world.settle()
    assert world.done() == world.answered() == [("seller", "1")]

    (body,) = world.bodies()
    forged = json.dumps(json.loads(body) | {"id": new_id()}).encode()
    with channel(own_broker.amqp_url("admin", own_vhost), "forger") as on:
        on.basic_publish("", queue_name("inventory", 0), forged)
    eventually(world.kept, "the forged fact as a dead row")
    assert [(row.status, row.reason) for row in world.kept()] == [("dead", "foreign")]
    assert world.done() == [("seller", "1")]
    world.close()


def test_a_routing_key_we_may_not_use_stops_only_its_own_fact(
    own_broker: RabbitServer, own_vhost: str, two_databases: Stores, tmp_path: Path
) -> None:
    """The broker closes the channel and does not say for which fact; the publisher finds out, the others go on."""
    world = build(two_databases, users(own_broker, own_vhost), tmp_path)
    world.say(*suspended("outlaw", 1))
    with world.account.database.begin() as connection:
        connection.execute(event_log.update().values(routing_key="payment.Faked.v1"))
    world.say(*suspended("seller", 1, 2, 3), *suspended("other", 1))
    world.start()
    eventually(lambda: len(world.done()) == 4, "the innocent facts")
    assert waiting(world)["all"] == 1
    world.close()


def test_what_the_broker_gave_up_delivering_becomes_a_dead_row(rabbit_url: str, world: RabbitWorld) -> None:
    world.say(*suspended("seller", 1))
    world.settle()
    (body,) = world.bodies()
    other = json.dumps(json.loads(body) | {"id": "01890000-0000-7000-8000-000000000001"}).encode()
    with channel(rabbit_url, "broker") as on:
        on.basic_publish(DLX, "inventory", other)
        on.basic_publish(DLX, "inventory", body)  # this one was handled long ago
    world.workers[1]._keep_house(lambda _tx: None)
    assert [(row.status, row.reason) for row in world.kept()] == [("dead", "broker_limit")]


def test_two_workers_share_the_shards_and_one_takes_all_when_the_other_leaves(
    rabbit_url: str, two_databases: Stores, tmp_path: Path
) -> None:
    from shared.messaging.worker import Worker
    from shared.testing import toys
    from shared.testing.worlds import SHORT

    url = two_databases("postgres")[1]
    nodes = [make_node("inventory", url, rabbit_url, tmp_path, shards=4) for _ in range(2)]
    workers = [Worker(toys.inventory(), node, ttl=SHORT) for node in nodes]
    try:
        workers[0].start()
        eventually(lambda: len(workers[0].shards) == 4, "one worker with all four")
        workers[1].start()
        eventually(lambda: [len(worker.shards) for worker in workers] == [2, 2], "two and two")
        assert set(workers[0].shards).isdisjoint(workers[1].shards)
        workers[0].stop()
        eventually(lambda: len(workers[1].shards) == 4, "the other with all four")
    finally:
        for worker, node in zip(workers, nodes, strict=True):
            worker.stop()
            node.close()


def test_who_waits_for_a_shard_begins_with_what_the_one_who_leaves_has_in_hand(
    rabbit_url: str, two_databases: Stores, tmp_path: Path
) -> None:
    """And not with what comes behind it: the broker frees the place and takes the messages back in one step."""
    node = make_node("inventory", two_databases("sqlite")[1], rabbit_url, tmp_path)
    declare(rabbit_url, "inventory", [], 1)
    queue, in_hand, may_go, stop = queue_name("inventory", 0), threading.Event(), threading.Event(), threading.Event()
    lease = acquire(node.database, "shard", "the one who leaves")
    assert lease is not None

    def work(_batch: object, _lease: object) -> None:
        in_hand.set()
        may_go.wait(30)

    leaver = RabbitConsumer(rabbit_url, queue, work, prefetch=100)
    thread = threading.Thread(target=leaver.run, args=(Held(node.database, lease), stop))
    with channel(rabbit_url, "the one who waits") as on:
        for number in range(200):
            on.basic_publish("", queue, str(number).encode())
        thread.start()
        assert in_hand.wait(30)
        heard: list[int] = []
        on.basic_consume(queue, lambda _channel, _method, _properties, body: heard.append(int(body)))
        stop.set()
        may_go.set()
        while len(heard) < 100:
            on.connection.process_data_events(10)
        thread.join(30)
    assert heard == list(range(heard[0], heard[0] + len(heard)))
    assert heard[0] <= BATCH, "something that was taken back was not heard first"
    node.close()


def test_an_order_of_facts_holds_over_four_shards(rabbit_url: str, two_databases: Stores, tmp_path: Path) -> None:
    first, second = two_databases("postgres")
    world = RabbitWorld(
        make_node("account", first, rabbit_url, tmp_path, shards=4),
        make_node("inventory", second, rabbit_url, tmp_path, shards=4),
    )
    for number in range(100):
        world.say(*suspended(f"seller-{number % 20}", number))
    world.settle()
    assert_in_order(world, 100)
    world.close()


# ------------------------------------------------------------------------------------------------ several nodes
def test_a_client_goes_on_to_the_next_node_when_one_does_not_answer(rabbit_url: str) -> None:
    """Whichever of them it draws first."""
    several = rabbit_url.replace("@", f"@127.0.0.1:{free_port()},127.0.0.1:{free_port()},")
    assert {found.port for found in nodes(several, "x")} > {found.port for found in nodes(rabbit_url, "x")}
    opened = threading.Event()
    link = Link(several, "traveller", opened=lambda _connection: opened.set(), lost=lambda _why: None)
    link.start()
    assert opened.wait(30)
    link.close()
    with channel(several, "another") as on:
        assert on.is_open
