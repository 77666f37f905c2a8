"""Two shops that are new, for stories that need shops to themselves."""

from __future__ import annotations

import secrets
from typing import Any

from deploy.story import shop
from deploy.story.people import Buyer, Courier, Grounds, Operator, Provider, Seller
from deploy.story.tape import Tape


class Town:
    """Two shops with one thing each on sale, and somebody who buys."""

    def __init__(self, grounds: Grounds, stock: int = 10) -> None:
        self.grounds = grounds
        self.staff: Operator = shop.operator(grounds)
        mark = secrets.token_hex(4)
        self.skus = [f"{mark}-red", f"{mark}-blue"]
        self.sellers: list[Seller] = []
        self.warehouses: list[str] = []
        for sku in self.skus:
            seller = shop.open_shop(grounds, self.staff, f"Shop {sku}")
            warehouse = seller.open_warehouse("Main", "CN-ZJ")
            shop.list_goods(self.staff, seller, [shop.simple_product(sku)], {warehouse: stock})
            self.sellers.append(seller)
            self.warehouses.append(warehouse)
        self.buyer: Buyer = shop.new_buyer(grounds)
        self.courier, self.provider = Courier(grounds), Provider(grounds)
        self.tape = Tape(grounds.stores)
        self.tape.news()

    def ids(self) -> dict[str, str]:
        """Names for whatever has an id here, to tell what happened alike in both worlds."""
        named = {self.buyer.account_id: "BUYER"}
        for number, (sku, seller, warehouse) in enumerate(zip(self.skus, self.sellers, self.warehouses, strict=True)):
            named |= {sku: f"THING{number}", warehouse: f"HOUSE{number}"}
            named |= {seller.seller_id: f"SHOP{number}", seller.account_id: f"KEEPER{number}"}
        return named

    def place(self, *skus: str, qty: int = 1, **wish: Any) -> dict[str, Any]:
        """A group, once the others have answered."""
        wanted = dict.fromkeys(skus or self.skus[:1], qty)
        group = self.buyer.place(self.buyer.quote(wanted, **wish))
        self.grounds.settle()
        return group

    def pay(self, group: dict[str, Any]) -> None:
        now = self.buyer.do("GET", f"/v1/groups/{group['group_no']}")
        self.buyer.pay(self.buyer.open_payment(group["group_no"], now["payable"]))
        self.grounds.settle()

    def send(self, seller: Seller, order_no: str) -> list[str]:
        """Pick, pack and hand over everything; the tracking numbers."""
        numbers = []
        for shipment in seller.shipments(order_no):
            seller.pick(shipment["shipment_id"])
            seller.pack(shipment["shipment_id"])
            self.grounds.settle()
            numbers.append(seller.hand_over(shipment["shipment_id"]))
        self.grounds.settle()
        return numbers

    def state(self, order_no: str) -> str:
        return str(self.buyer.order(order_no)["state"])

    def available(self, number: int = 0) -> int:
        """Units of the shop's thing that can still be sold."""
        stock = self.sellers[number].do("GET", f"/v1/stock/{self.skus[number]}")
        return sum(shelf["on_hand"] - shelf["held"] - shelf["allocated"] for shelf in stock["warehouses"])

    def said(self, *names: str) -> list[str]:
        """The facts said since the last call, only those named if any are."""
        return [said.fact for said in self.tape.news() if not names or said.fact in names]
