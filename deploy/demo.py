"""One order from listing to review, told through the gateway's HTTP API, with every fact printed as it happens.

    python -m deploy.demo --on embedded      all services in one process, SQLite
    python -m deploy.demo --on stack         every service as its own processes, PostgreSQL, RabbitMQ, nginx
    python -m deploy.demo --on compose       the same in containers, as docker-compose.yml has it

Exit status 0 only if every step went as told and all invariants hold at the end.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from deploy.ops.invariants import recompute
from deploy.ops.reports import balances, moved_stock
from deploy.story import shop
from deploy.story.people import Buyer, Courier, Grounds, Operator, Seller, Unexpected
from deploy.story.tape import Said, Ticker

Step = Callable[["Story"], None]
STEPS: list[tuple[str, Step]] = []


def step(title: str) -> Callable[[Step], Step]:
    """The next step of the story."""

    def register(function: Step) -> Step:
        STEPS.append((title, function))
        return function

    return register


class Story:
    """The people, and what they have in hand so far."""

    def __init__(self, grounds: Grounds, ticker: Ticker) -> None:
        self.grounds, self.ticker = grounds, ticker
        self.staff: Operator = shop.operator(grounds)
        self.sellers: list[Seller] = []
        self.warehouses: dict[str, list[str]] = {}
        self.buyer: Buyer = Buyer(grounds)
        self.courier = Courier(grounds)
        self.quote: dict[str, Any] = {}
        self.group: dict[str, Any] = {}

    @property
    def first(self) -> str:
        """The order that is filled from two warehouses."""
        return str(self.group["orders"][0]["order_no"])

    @property
    def second(self) -> str:
        return str(self.group["orders"][1]["order_no"])

    def expect(self, order_no: str, state: str) -> None:
        found = self.buyer.order(order_no)["state"]
        if found != state:
            raise Unexpected(f"{order_no} is {found}, not {state}")

    def settle(self) -> None:
        self.grounds.settle()
        self.ticker.catch_up()


@step("two sellers register and open shops; the platform approves them")
def open_shops(story: Story) -> None:
    for one in shop.all_goods():
        story.sellers.append(shop.open_shop(story.grounds, story.staff, one["shop_name"]))


@step("each lists goods in Chinese and English and fills two warehouses")
def list_goods(story: Story) -> None:
    for seller, one in zip(story.sellers, shop.all_goods(), strict=True):
        east = seller.open_warehouse(f"{one['shop_name']} 杭州仓", "CN-ZJ")
        south = seller.open_warehouse(f"{one['shop_name']} 广州仓", "CN-GD")
        story.warehouses[seller.seller_id] = [east, south]
        shop.list_goods(story.staff, seller, one["products"], {east: 3, south: 3})


@step("a buyer registers, gives an address, searches, and asks for a quote over both shops")
def ask_for_a_quote(story: Story) -> None:
    story.buyer.register("韩梅梅")
    story.buyer.live_at(shop.ADDRESS)
    found = story.buyer.do("GET", "/v1/search?q=" + _word(shop.all_goods()[0]["products"][0]))
    if not found["items"]:
        raise Unexpected("the search found nothing")
    first, second = (one["products"][0]["variants"][0]["sku"] for one in shop.all_goods())
    # Five of the first: three lie in one warehouse and three in the other, so it takes both.
    story.quote = story.buyer.quote({first: 5, second: 1})


@step("the buyer places one order over both shops' goods: a group of two orders")
def place(story: Story) -> None:
    story.group = story.buyer.place(story.quote)
    story.settle()
    for order in story.group["orders"]:
        story.expect(order["order_no"], "AWAITING_PAYMENT")


@step("the buyer pays at the provider's page; its signed callback confirms both orders")
def pay(story: Story) -> None:
    attempt = story.buyer.open_payment(story.group["group_no"], story.group["payable"])
    if story.buyer.pay(attempt) != 200:
        raise Unexpected("the provider did not take the money")
    story.settle()
    for order in story.group["orders"]:
        story.expect(order["order_no"], "CONFIRMED")


@step("the warehouses pick, pack and hand over: the first order leaves from two of them")
def ship(story: Story) -> None:
    for seller, order in zip(story.sellers, story.group["orders"], strict=True):
        shipments = seller.shipments(order["order_no"])
        for shipment in shipments:
            seller.pick(shipment["shipment_id"])
            seller.pack(shipment["shipment_id"])
            story.settle()
            seller.hand_over(shipment["shipment_id"])
        story.settle()
        story.expect(order["order_no"], "SHIPPED")
    if len(story.sellers[0].shipments(story.first)) != 2:
        raise Unexpected("the first order did not take two warehouses")


@step("the carrier reports by signed callbacks until everything is delivered")
def deliver(story: Story) -> None:
    for seller, order in zip(story.sellers, story.group["orders"], strict=True):
        for shipment in seller.shipments(order["order_no"]):
            story.courier.deliver(shipment["tracking_no"])
        story.settle()
        story.expect(order["order_no"], "DELIVERED")


@step("the buyer confirms one receipt and lets the other time out a week later")
def receive(story: Story) -> None:
    story.buyer.confirm_receipt(story.first)
    story.settle()
    story.expect(story.first, "RECEIVED")
    story.grounds.advance(days=7)
    story.ticker.catch_up()
    story.expect(story.second, "RECEIVED")


@step("reviews are posted")
def review(story: Story) -> None:
    story.buyer.renew()
    story.buyer.review(story.second, "1", 5, "很好用,包装完好。")
    story.settle()


@step("the after-sale windows close and the orders are completed")
def complete(story: Story) -> None:
    story.grounds.advance(days=9)
    story.ticker.catch_up()
    for order in story.group["orders"]:
        story.expect(order["order_no"], "COMPLETED")


@step("escrow has been released to the sellers, less commission")
def released(story: Story) -> None:
    accounts = balances(story.grounds.stores)
    left = sum(one.amount for one in accounts if one.family == "escrow")
    paid = sum(one.amount for one in accounts if one.family == "seller")
    if left or not paid:
        raise Unexpected(f"{left} is still in escrow, {paid} went to the sellers")


def _word(product: dict[str, Any]) -> str:
    return str(product["titles"]["en"]).split()[-1]


def show(said: Said) -> None:
    """One line a fact: time, publisher, fact, order, cause."""
    about = said.order or said.subject
    click.echo(f"  {said.at:%Y-%m-%d %H:%M:%S}  {said.publisher:<10}{said.fact:<28}{about:<22}  < {said.cause}")


def tell(grounds: Grounds) -> bool:
    """Tell the story and the reckoning. Answers whether all went as it should."""
    done = 0
    with Ticker(grounds.stores, show) as ticker:
        story = Story(grounds, ticker)
        for number, (title, deed) in enumerate(STEPS, 1):
            click.echo(f"\n{number}. {title}")
            try:
                deed(story)
                story.settle()
            except (Unexpected, KeyError, IndexError) as error:
                click.echo(f"   FAILED: {error!r}")
                break
            done += 1
    reckon(grounds, story)
    verdicts = recompute(grounds.stores)
    click.echo("")
    for verdict in verdicts:
        click.echo(str(verdict))
    holding = sum(not verdict.breaches for verdict in verdicts)
    click.echo(f"demo: {done} of {len(STEPS)} steps, invariants {holding} of {len(verdicts)}")
    return done == len(STEPS) and holding == len(verdicts)


def reckon(grounds: Grounds, story: Story) -> None:
    """Print the end states, the ledger and the stock."""
    click.echo("\nOrders")
    for order in story.group.get("orders", []):
        now = story.buyer.order(order["order_no"])
        click.echo(
            f"  {now['order_no']}  {now['state']:<10} payment {now['payment_status']:<8}"
            f" fulfilment {now['fulfilment_status']:<10} paid {money(now['paid_amount'], now['currency'])}"
        )
    click.echo("Ledger (credits positive)")
    for account in balances(grounds.stores):
        click.echo(f"  {account.family:<12}{account.owner:<40}{money(account.amount, account.currency):>16}")
    click.echo("Stock that moved")
    for shelf in moved_stock(grounds.stores):
        numbers = f"on hand {shelf.on_hand}, held {shelf.held}, allocated {shelf.allocated}"
        click.echo(f"  {shelf.sku:<24}{shelf.warehouse_id:<38}{numbers}")


def money(amount: int, currency: str) -> str:
    return f"{amount / 100:,.2f} {currency}"


@contextmanager
def embedded() -> Iterator[Grounds]:
    """All services in this process, in a folder that is thrown away."""
    from deploy.embedded import Platform

    with tempfile.TemporaryDirectory(prefix="caravan-demo-") as home, Platform(Path(home)) as platform:
        yield platform


@contextmanager
def stack() -> Iterator[Grounds]:
    """Every service as its own processes, on real servers."""
    from deploy.servers import versions
    from deploy.stack import Stack

    with Stack() as running:
        click.echo("  ".join(f"{name} {version}" for name, version in versions().items()))
        yield running


@contextmanager
def compose() -> Iterator[Grounds]:
    """Every service as its own containers, on an engine that is started if none answers."""
    from deploy.containers.engine import EngineError, engine
    from deploy.containers.project import Containers

    try:
        with engine() as docker, Containers(docker) as running:
            click.echo(f"engine {docker.version()}, {len(running.running())} containers")
            yield running
    except EngineError as error:
        sys.exit(str(error))


GROUNDS = {"embedded": embedded, "stack": stack, "compose": compose}


@click.command()
@click.option("--on", type=click.Choice(list(GROUNDS)), default="embedded")
def main(on: str) -> None:
    """Tell the story of one order."""
    from shared.telemetry import logs

    logs.configure("demo", "WARNING")
    with GROUNDS[on]() as grounds:
        good = tell(grounds)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
