"""What operators do with the logs: fill gaps, rebuild what holds only others' words, and let a newcomer catch up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from deploy import fleet
from deploy.embedded import Platform
from deploy.ops.invariants import recompute
from deploy.ops.replay import replay
from deploy.ops.replay.logs import read
from deploy.ops.replay.newcomer import Newcomer, bootstrap, declared_at, join
from deploy.ops.replay.rebuild import PROJECTIONS
from deploy.replay.world import World
from deploy.stack import Stack
from shared.contracts.account import SellerApproved
from shared.contracts.catalog import PriceChanged, ProductListed, SkuOffer
from shared.kernel.clock import machine_now
from shared.kernel.ids import new_id
from shared.kernel.settings import Settings
from shared.messaging.consumer import Consumer
from shared.messaging.consumer import read as message
from shared.messaging.rabbit.topology import channel, dlq_name, inbox_exchange, queue_name
from shared.storage import copies, inspect
from shared.storage.database import Database
from shared.storage.types import inbox, kit, outbox
from shared.storage.unit_of_work import Node

MARKET = PROJECTIONS["order.market"]
ORDER = fleet.member("order").service


@dataclass
class Nodes:
    """A world's services as an operator's tool holds them."""

    nodes: dict[str, Node]
    settle: Callable[[], None]

    @property
    def stores(self) -> dict[str, Database]:
        return {name: node.database for name, node in self.nodes.items()}


@pytest.fixture
def nodes(world: World) -> Iterator[Nodes]:
    found = {name: Node(Settings(name, store.url, "sqlite://")) for name, store in world.stores.items()}
    yield Nodes(found, world.settle)
    world.settle()
    assert [str(verdict) for verdict in recompute(world.stores) if verdict.breaches] == []
    for node in found.values():
        node.close()


def _sell(platform: Platform | Nodes, skus: int = 3) -> tuple[str, str]:
    """A shop and a product, told by those whose word it is. Answers the product's id and its first SKU."""
    seller_id, product_id = new_id(), new_id()
    approved = SellerApproved(
        seller_id=seller_id, account_id=new_id(), shop_name="Books", commission_bp=500, review_orders=False,
        auto_approve=True, stock_policy="all_or_nothing",
    )  # fmt: skip
    offers = tuple(SkuOffer(sku=f"{product_id}-{no}", price=1000, attributes={}, weight_g=100) for no in range(skus))
    listed = ProductListed(
        product_id=product_id, seller_id=seller_id, title="Book", titles={"en": "Book"}, category="home",
        tax_class="standard", currency="CNY", listed_at=machine_now(), skus=offers,
    )  # fmt: skip
    platform.nodes["account"].run(lambda tx: tx.emit(approved))
    platform.nodes["catalog"].run(lambda tx: tx.emit(listed))
    return product_id, offers[0].sku


def _reprice(platform: Platform | Nodes, product_id: str, sku: str, price: int) -> None:
    changed = PriceChanged(
        product_id=product_id, seller_id="s", sku=sku, old=1, new=price, currency="CNY", from_at=machine_now()
    )
    platform.nodes["catalog"].run(lambda tx: tx.emit(changed))


def _price(platform: Platform | Nodes, sku: str) -> int:
    with platform.stores["order"].read() as connection:
        offer = ORDER.metadata.tables["offer"]
        return int(connection.execute(sa.select(offer.c.price).where(offer.c.sku == sku)).scalar_one())


def _caravan(platform: Platform | Nodes, *words: str) -> tuple[int, list[dict]]:
    done = CliRunner().invoke(replay, list(words), obj=platform, catch_exceptions=False)
    return done.exit_code, [json.loads(line) for line in done.output.splitlines()]


@pytest.fixture
def shop(platform: Platform) -> tuple[str, str]:
    product = _sell(platform)
    platform.settle()
    return product


def test_a_fact_that_was_lost_on_the_way_is_found_and_heard_once(platform: Platform, shop) -> None:
    product_id, sku = shop
    order = platform.dispatcher.consumers["order"]
    with mock.patch.object(Consumer, "handle", _deaf_for(order, Consumer.handle)):
        _reprice(platform, product_id, sku, 2000)
        _wait_until_published(platform)
    assert _price(platform, sku) == 1000

    _, shown = _caravan(platform, "fill", "order", "--type", "PriceChanged")
    assert [one.get("about") for one in shown] == [f"product/{product_id}", None]
    _, (filled,) = _caravan(platform, "fill", "order", "--why", "lost with a broker")
    assert (filled["handled"], filled["kept"], _price(platform, sku)) == (1, 0, 2000)

    spoke = {name: inspect.last_position(store) for name, store in platform.stores.items()}
    _, (again,) = _caravan(platform, "fill", "order", "--why", "lost with a broker")
    platform.settle()
    assert again["handled"] == 0
    assert {name: inspect.last_position(store) for name, store in platform.stores.items()} == spoke


def _deaf_for(order: Consumer, handle):
    """A bus that loses what it has for `order`."""
    return lambda self, messages, *guard: None if self is order else handle(self, messages, *guard)


def _wait_until_published(platform: Platform | Nodes) -> None:
    """Not `settle`: a fact that is lost is never at rest."""
    while True:
        with platform.stores["catalog"].read() as connection:
            if connection.execute(sa.select(outbox.c.pos)).first() is None:
                return


def test_a_damaged_projection_is_seen_rebuilt_and_put_in_its_place(nodes: Nodes) -> None:
    _, sku = _sell(nodes)
    nodes.settle()
    assert _caravan(nodes, "rebuild", "order.market")[0] == 0
    offer = ORDER.metadata.tables["offer"]
    with nodes.stores["order"].begin() as connection:
        connection.execute(offer.update().where(offer.c.sku == sku).values(price=1))
    before = inspect.last_position(nodes.stores["order"])

    code, (seen,) = _caravan(nodes, "rebuild", "order.market")
    assert (code, seen["different"], seen["swapped"], _price(nodes, sku)) == (1, ["offer"], False, 1)
    code, (done,) = _caravan(nodes, "rebuild", "order.market", "--swap", "--why", "a bad disk")
    assert (code, done["swapped"], _price(nodes, sku)) == (0, True, 1000)
    assert _caravan(nodes, "rebuild", "order.market")[1][0]["different"] == []
    assert inspect.last_position(nodes.stores["order"]) == before


def test_nothing_is_put_in_its_place_without_a_reason(platform: Platform) -> None:
    done = CliRunner().invoke(replay, ["rebuild", "order.market", "--swap"], obj=platform)

    assert (done.exit_code, "--swap needs --why" in done.output) == (2, True)


@pytest.mark.parametrize("name", sorted(PROJECTIONS))
def test_every_projection_can_be_rebuilt_to_what_it_is(platform: Platform, shop, name: str) -> None:
    platform.settle()
    code, (seen,) = _caravan(platform, "rebuild", name)

    assert (code, seen["different"], seen["problems"]) == (0, [], [])


@dataclass
class Bus:
    """How a newcomer hears, in either world."""

    bind: Callable[[Newcomer], None]
    deliver: Callable[[Newcomer], int]
    """Bring what waits in its queue; answers how much."""
    leave: Callable[[Newcomer], None]


@pytest.fixture
def bus(world: World) -> Bus:
    if isinstance(world.grounds, Platform):
        publisher = world.grounds.dispatcher.publisher

        def leave(newcomer: Newcomer) -> None:
            publisher.consumers[:] = [one for one in publisher.consumers if one[0] is not newcomer]

        return Bus(join(world.grounds.dispatcher), lambda _: 0, leave)
    assert isinstance(world.grounds, Stack)
    url, queue, inbox_of = world.grounds.rabbit.amqp_url(), queue_name("newcomer", 0), inbox_exchange("newcomer")

    def deliver(newcomer: Newcomer) -> int:
        with channel(url, "test") as on:
            for count, (method, _, body) in enumerate(on.consume(queue, inactivity_timeout=1.0)):
                if method is None:
                    return count
                newcomer.handle([message(body)])
                on.basic_ack(method.delivery_tag)
        return 0

    def leave_broker(_: Newcomer) -> None:
        with channel(url, "test") as on:
            on.exchange_delete(inbox_of)
            on.queue_delete(queue)
            on.queue_delete(dlq_name("newcomer"))

    return Bus(declared_at(url), deliver, leave_broker)


def test_a_newcomer_catches_up_under_load_and_holds_what_its_peer_holds(nodes: Nodes, bus: Bus) -> None:
    product_id, sku = _sell(nodes)
    node = Node(Settings(service="newcomer", database_url="sqlite://", vault_url="sqlite://", env="test"))
    kit.create_all(node.database.engine)
    ORDER.metadata.create_all(node.database.engine)
    newcomer = Newcomer(node, MARKET.on(ORDER))
    newcomer.on.consumer = "newcomer"
    joined, go_on = threading.Event(), threading.Event()

    def trade() -> None:
        for price in range(5000, 5060):
            _reprice(nodes, product_id, sku, price)
            if price == 5020:
                joined.wait(30)
            if price == 5040:
                go_on.set()

    def bind_in_the_middle(one: Newcomer) -> None:
        bus.bind(one)
        joined.set()
        go_on.wait(30)

    def catch_up(stores: dict) -> int:
        """The logs are read to their end, and before the newcomer is live somebody says one thing more."""
        count = Newcomer.catch_up(newcomer, stores)
        _reprice(nodes, product_id, f"{product_id}-1", 7777)
        _wait_until_published(nodes)
        return count

    load = threading.Thread(target=trade)
    load.start()
    with mock.patch.object(newcomer, "catch_up", catch_up):
        from_logs, aside = bootstrap(newcomer, nodes.stores, bind_in_the_middle)
    load.join()
    nodes.settle()
    try:
        assert from_logs > 40
        assert aside + bus.deliver(newcomer) > 0
        assert _price(nodes, sku) == 5059
        told = {one.fact.event_id for one in read(nodes.stores, newcomer.on.bindings())}
        with node.database.read() as connection:
            assert set(connection.execute(sa.select(inbox.c.event_id)).scalars()) == told
        held = [copies.checksum(copies.copy(one.database, MARKET.of(ORDER))) for one in (node, nodes.nodes["order"])]
        assert held[0] == held[1]
        assert inspect.kept_rows(node.database) == []
    finally:
        bus.leave(newcomer)
        node.close()
