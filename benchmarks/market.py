"""The shop that is measured: one seller with goods without end, and buyers enough that none looks like a thief."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice

import msgspec

from benchmarks import load
from deploy.story import shop
from deploy.story.people import Buyer, Grounds, Person
from shared.kernel import clock
from shared.kernel.ids import new_id

STOCK = 1_000_000
PRICE = 10_000
RENEW_SECONDS = 240.0
MOST_PER_BUYER = 250
"""Payment looks twice at a buyer who checks out over 300 times a day."""


@dataclass(frozen=True)
class Promise:
    """A quote: whose, its token, and what it comes to."""

    buyer: Buyer
    token: str
    payable: int


@dataclass(frozen=True)
class Placed:
    """A group of one order."""

    buyer: Buyer
    group_no: str
    order_no: str
    payable: int


class Market:
    """See the module. `orders` is how many orders are wanted of it in all."""

    def __init__(self, grounds: Grounds, *, orders: int, skus: int = 40) -> None:
        self.grounds = grounds
        staff = shop.operator(grounds)
        self.seller = shop.open_shop(grounds, staff, "Bench")
        warehouse = self.seller.open_warehouse("Bench", "CN-ZJ")
        self.skus = [f"BENCH-{number}" for number in range(skus)]
        goods = [shop.simple_product(sku, PRICE) for sku in self.skus]
        shop.list_goods(staff, self.seller, goods, {warehouse: STOCK})
        with ThreadPoolExecutor(2) as pool:
            self.buyers = list(pool.map(lambda _: shop.new_buyer(grounds), range(2 + orders // MOST_PER_BUYER)))
        grounds.settle()
        self._turn = cycle(self.buyers)
        self._lot = random.Random(1)  # the same goods in every run
        self._renewed = clock.monotonic()

    @property
    def host(self) -> str:
        return self.grounds.url.rpartition("//")[2]

    def renew(self) -> None:
        """New tokens for all, when the old ones have lived for a while."""
        if clock.monotonic() - self._renewed > RENEW_SECONDS:
            for person in (self.seller, *self.buyers):
                person.renew()
            self._renewed = clock.monotonic()

    def quotes(self, number: int, skus: Sequence[str] = (), lines_each: int = 2) -> list[tuple[Buyer, bytes]]:
        """Requests for quotes of so many lines, of these SKUs or all, from one buyer after the other."""
        self.renew()
        asked = []
        for buyer in islice(self._turn, number):
            delivery = {name: value for name, value in buyer.address.items() if name not in ("country", "default")}
            lines = [{"sku": sku, "qty": 1} for sku in self._lot.sample(skus or self.skus, lines_each)]
            asked.append((buyer, self.post(buyer, "/v1/quotes", {"lines": lines, "delivery": delivery})))
        return asked

    def promises(self, number: int, skus: Sequence[str] = (), lines_each: int = 2) -> list[Promise]:
        """That many quotes, ready to be turned into orders."""
        asked = self.quotes(number, skus, lines_each)
        answers = load.send(self.grounds.url, [request for _, request in asked], 4, keep=True).expect(200)
        quotes = [msgspec.json.decode(body) for body in answers.bodies]
        return [
            Promise(buyer, quote["quote_token"], quote["payable"])
            for (buyer, _), quote in zip(asked, quotes, strict=True)
        ]

    def orders(self, promises: list[Promise]) -> list[bytes]:
        """The requests that turn quotes into orders."""
        return [
            self.post(one.buyer, "/v1/orders", {"quote_token": one.token, "expected_amount": one.payable})
            for one in promises
        ]

    def place(self, number: int, clients: int = 4) -> list[Placed]:
        """Quote and place that many orders."""
        promises = self.promises(number)
        answers = load.send(self.grounds.url, self.orders(promises), clients, keep=True).expect(202)
        groups = [msgspec.json.decode(body) for body in answers.bodies]
        return [
            Placed(promise.buyer, group["group_no"], group["orders"][0]["order_no"], promise.payable)
            for promise, group in zip(promises, groups, strict=True)
        ]

    def post(self, person: Person, path: str, body: object = None) -> bytes:
        """A signed-in person's POST."""
        data = b"{}" if body is None else msgspec.json.encode(body)
        return load.request("POST", path, self.host, data, Authorization=_bearer(person), Idempotency_Key=new_id())

    def get(self, person: Person, path: str) -> bytes:
        """A signed-in person's GET."""
        return load.request("GET", path, self.host, Authorization=_bearer(person))


def _bearer(person: Person) -> str:
    return str(person.http.headers["Authorization"])
