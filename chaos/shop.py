"""The shop under fire: things that never run out, one that soon does, and buyers who are new in every run."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

from requests.adapters import HTTPAdapter

from deploy.story import shop
from deploy.story.people import Buyer, Courier, Grounds, Operator, Person, Provider, Seller

PLENTY = 1_000_000
PRICE = 10_000
HOT = 3
"""So few things do most buyers want, so that their orders meet in the same rows."""
HEADS = 8
ORDERS_A_HEAD = 5


class Shop:
    """One for all runs on a stack."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.staff: Operator = shop.operator(grounds)
        mark = secrets.token_hex(4)
        self.seller: Seller = shop.open_shop(grounds, self.staff, f"Fire {mark}")
        self.warehouse = self.seller.open_warehouse("Main", "CN-ZJ")
        self.skus = [f"{mark}-{number}" for number in range(HOT)]
        self.scarce = f"{mark}-scarce"
        goods = [shop.simple_product(sku, PRICE) for sku in (*self.skus, self.scarce)]
        shop.list_goods(self.staff, self.seller, goods, {self.warehouse: 1})
        self.seller.receive_stock(self.warehouse, dict.fromkeys(self.skus, PLENTY))
        self.of_scarce = 1
        self.courier, self.provider = Courier(grounds), Provider(grounds)
        self.buyers: list[Buyer] = []
        self._widen(self.seller)

    def open(self, orders: int) -> None:
        """A new run of so many orders: fresh tokens, buyers nobody has seen, and a few more of what soon runs out."""
        heads, scarce = max(2, min(HEADS, orders // ORDERS_A_HEAD)), max(2, orders // 20)
        for person in (self.staff, self.seller):
            person.renew()
        self.seller.receive_stock(self.warehouse, {self.scarce: scarce})
        self.of_scarce += scarce
        with ThreadPoolExecutor(2) as pool:
            self.buyers = list(pool.map(lambda _: shop.new_buyer(self.grounds), range(heads)))
        for buyer in self.buyers:
            self._widen(buyer)
        self.grounds.settle(120)

    @staticmethod
    def _widen(person: Person) -> None:
        """Many errands of one person at once."""
        person.http.mount("http", HTTPAdapter(pool_maxsize=64))
