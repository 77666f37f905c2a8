"""Three shops that are open for all stories of a world; every story brings a buyer of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGCONT, SIGSTOP
from typing import Any
from unittest import mock

from deploy.embedded import Platform
from deploy.stack import Stack
from deploy.story import shop
from deploy.story.people import Answer, Courier, Grounds, Provider, Seller
from deploy.story.tape import Tape
from shared.kernel import clock
from tests.journeys.town import Town

TEA, PAINTING, FREIGHT = 10_000, 2_500_000, 800
PLENTY = 900


class Market(Town):
    """Tea and cups (100.00 each) come from two shops; of figs there is one. The gallery looks at every order before
    it goes on: at prints (100.00), which carry no risk, and at a painting (25,000.00), which does."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.staff = shop.operator(grounds)
        mark = self.mark = secrets.token_hex(4)
        self.tea, self.cup, self.fig, self.print, self.painting = (
            f"{mark}-{name}" for name in ("tea", "cup", "fig", "print", "painting")
        )
        self.skus = [self.tea, self.cup]
        goods = {
            "Tea house": ({self.tea: TEA}, {}),
            "Pottery": ({self.cup: TEA, self.fig: TEA}, {}),
            "Gallery": ({self.print: TEA, self.painting: PAINTING}, {"review_orders": True}),
        }
        self.sellers: list[Seller] = []
        for name, (prices, settings) in goods.items():
            seller = shop.open_shop(grounds, self.staff, f"{name} {mark}", **settings)
            warehouse = seller.open_warehouse("Main", "CN-ZJ")
            products = [shop.simple_product(sku, price) for sku, price in prices.items()]
            shop.list_goods(self.staff, seller, products, {warehouse: 1})
            seller.receive_stock(warehouse, {sku: PLENTY for sku in prices if sku != self.fig})
            self.sellers.append(seller)
        self.gallery = self.sellers[2]
        self.courier, self.provider = Courier(grounds), Provider(grounds)
        self.tape = Tape(grounds.stores)

    def open(self) -> None:
        """A new story begins."""
        for person in (self.staff, *self.sellers):
            person.renew()
        self.buyer = shop.new_buyer(self.grounds)
        self.grounds.settle()
        self.tape.news()

    def wish(self, wanted: dict[str, int], **wish: Any) -> dict[str, Any]:
        """A group, once the others have answered."""
        group = self.buyer.place(self.buyer.quote(wanted, **wish))
        self.grounds.settle()
        return group

    # --- what the money does ----------------------------------------------------------------------------------

    def misbehave(self, kind: str, group: dict[str, Any], times: int | str = "always", **how: Any) -> None:
        """The provider does so with this group's money."""
        self.provider.switch(kind, scope={"reference": f"*{group['group_no']}"}, times=times, **how)

    @contextmanager
    def provider_away(self) -> Iterator[None]:
        """It does not say what became of anybody's charge."""
        switch = self.provider.switch("error_before", scope={"what": "list_charges"}, times="always", status=503)
        try:
            yield
        finally:
            self.provider.do("DELETE", f"/sandbox/switches/{switch}")

    def attempt(self, group: dict[str, Any], instrument: str = "alipay_qr") -> dict[str, Any]:
        """An open attempt to pay what the group costs now."""
        payable = self.buyer.do("GET", f"/v1/groups/{group['group_no']}")["payable"]
        return self.buyer.open_payment(group["group_no"], payable, instrument)

    def at_provider(self, group: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
        """What the provider took from the buyer and what it gave back, by currency."""
        charges = self.provider.do("GET", f"/v1/charges?merchant_reference=pay_{group['group_no']}")["items"]
        sums: tuple[dict[str, int], dict[str, int]] = {}, {}
        for charge in charges:
            for total, found in zip(sums, (charge["captured"], charge["refunded"]), strict=True):
                for currency, amount in found.items():
                    total[currency] = total.get(currency, 0) + amount
        return sums

    def refunds(self, order_no: str) -> list[dict[str, Any]]:
        return list(self.buyer.do("GET", f"/v1/orders/{order_no}/refunds")["items"])

    # --- what the orders do -----------------------------------------------------------------------------------

    def orders(self, group: dict[str, Any]) -> list[str]:
        return [order["order_no"] for order in group["orders"]]

    def states(self, group: dict[str, Any]) -> list[str]:
        return [self.state(order_no) for order_no in self.orders(group)]

    def end(self, order_no: str) -> tuple[str, str]:
        """The order's state, and why it ended."""
        order = self.buyer.order(order_no)
        return order["state"], order["end_reason"]

    def heard(self, order_no: str) -> list[str]:
        """The order's timeline."""
        return [entry["what"] for entry in self.buyer.do("GET", f"/v1/orders/{order_no}/timeline")["entries"]]

    def price(self, seller: Seller, order_no: str, payable: int) -> Answer:
        return seller.ask("POST", f"/v1/orders/{order_no}/price", {"payable": payable, "reason": "goodwill"})

    def operators_know(self, order_no: str) -> bool:
        """Whether they were told that the order does not move."""
        inbox = self.staff.do("GET", "/v1/notifications?limit=100")["items"]
        return (order_no, "order_stalled") in {(one["order_no"], one["template"]) for one in inbox}

    def cancel_all(self, group: dict[str, Any]) -> None:
        """The story is told: nothing of it rings later."""
        for order_no in self.orders(group):
            self.buyer.cancel(order_no)
        self.grounds.settle()


@contextmanager
def silent(grounds: Grounds, service: str) -> Iterator[None]:
    """A service hears nothing meanwhile; people may still ask it."""
    if isinstance(grounds, Stack):
        grounds.kill(service, "worker", SIGSTOP)
        try:
            yield
        finally:
            grounds.kill(service, "worker", SIGCONT)
    elif isinstance(grounds, Platform):
        consumer = grounds.dispatcher.consumers[service]
        with mock.patch.object(consumer, "handle", side_effect=OSError(f"{service} is away")):
            yield


def until(look: Any, seconds: float = 30.0) -> Any:
    """The first true answer, where nothing comes to rest. Fails after so many seconds."""
    end = clock.monotonic() + seconds
    while not (seen := look()):
        assert clock.monotonic() < end, "it did not come about"
        clock.pause(0.05)
    return seen
