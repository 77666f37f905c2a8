"""A shop with two warehouses, open for all stories of a world; every story brings a buyer of its own."""

from __future__ import annotations

import secrets
from typing import Any

from deploy.story import shop
from deploy.story.people import Answer, Courier, Grounds, Provider
from deploy.story.tape import Tape
from tests.journeys.town import Town

PLENTY = 500


class Depot(Town):
    """Cups (100.00) lie in the east, lamps (300.00) in the west: an order of both is two parcels. Chairs lie where a
    story puts them, and ten of them may be sold in the east before they are there."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.staff = shop.operator(grounds)
        mark = self.mark = secrets.token_hex(4)
        self.shop = shop.open_shop(grounds, self.staff, f"Depot {mark}")
        self.cup, self.lamp, self.chair = [f"{mark}-{name}" for name in ("cup", "lamp", "chair")]
        self.east = self.shop.open_warehouse("East", "CN-ZJ")
        self.west = self.shop.open_warehouse("West", "CN-SC")
        goods = [shop.simple_product(self.cup), shop.simple_product(self.chair, price=20_000)]
        shop.list_goods(self.staff, self.shop, goods, {self.east: PLENTY})
        shop.list_goods(self.staff, self.shop, [shop.simple_product(self.lamp, price=30_000)], {self.west: PLENTY})
        terms = {"low_threshold": 0, "backorder_limit": 10}
        self.shop.do("PUT", f"/v1/stock/{self.chair}/warehouses/{self.east}", terms)
        self.courier, self.provider = Courier(grounds), Provider(grounds)
        self.tape = Tape(grounds.stores)

    def open(self) -> None:
        """A new story begins."""
        for person in (self.staff, self.shop):
            person.renew()
        self.buyer = shop.new_buyer(self.grounds)
        self.grounds.settle()
        self.tape.news()

    def order(self, **quantities: int) -> str:
        """A paid order of so many ``cup=``, ``lamp=`` and ``chair=``; its number."""
        group = self.wish(**quantities)
        self.pay(group)
        return str(group["orders"][0]["order_no"])

    def cash_order(self, **quantities: int) -> str:
        """An order to be paid at the door, once it was weighed."""
        return str(self.wish(payment_method="cod", **quantities)["orders"][0]["order_no"])

    def wish(self, *, payment_method: str = "online", **quantities: int) -> dict[str, Any]:
        """A placed group, once the others have answered."""
        wanted = {getattr(self, name): qty for name, qty in quantities.items()}
        group = self.buyer.place(self.buyer.quote(wanted, payment_method=payment_method))
        self.grounds.settle()
        self.group_no = str(group["group_no"])
        return group

    def parcels(self, order_no: str) -> list[dict[str, Any]]:
        """The shop's shipments of an order, in the order in which they were planned."""
        return self.shop.shipments(order_no)

    def by_sku(self, order_no: str, *skus: str) -> list[str]:
        """The shipments with these SKUs, in this order."""
        found = {line["sku"]: parcel["shipment_id"] for parcel in self.parcels(order_no) for line in parcel["lines"]}
        return [found[sku] for sku in skus]

    def pack(self, shipment_id: str) -> None:
        self.shop.pick(shipment_id)
        self.shop.pack(shipment_id)
        self.grounds.settle()

    def dispatch(self, shipment_id: str) -> str:
        """Pick, pack and hand over; the tracking number."""
        self.pack(shipment_id)
        number = self.shop.hand_over(shipment_id)
        self.grounds.settle()
        return number

    def drive(self, tracking_no: str) -> None:
        """The courier stands at the door."""
        for deed in ("collect", "out-for-delivery"):
            self.courier.deed(tracking_no, deed)

    def bring(self, tracking_no: str) -> None:
        """To the door and into somebody's hands."""
        self.drive(tracking_no)
        self.deed(tracking_no, "deliver")

    def deed(self, tracking_no: str, name: str, **body: Any) -> None:
        """Something a courier does, once everybody has heard of it."""
        self.courier.deed(tracking_no, name, **body)
        self.grounds.settle()

    def sell_at_the_door(self, tracking_no: str) -> None:
        """The goods for the cash."""
        self.drive(tracking_no)
        self.deed(tracking_no, "collect-cash")
        self.deed(tracking_no, "deliver")

    def refuse(self, tracking_no: str, reason: str = "changed_mind") -> None:
        """Refused at the door, and brought back."""
        self.drive(tracking_no)
        self.courier.deed(tracking_no, "refuse", reason=reason)
        self.deed(tracking_no, "return")

    def remit(self, order_no: str, tracking_no: str) -> dict[str, Any]:
        """The carrier pays what it took, by its own book; the platform's answer."""
        scans = self.courier.do("GET", f"/v1/tracking/{tracking_no}")["scans"]
        body = {
            "carrier": "sandbox",
            "period": "november",
            "currency": "CNY",
            "remitted": sum(scan["cash"]["amount"] for scan in scans if scan["cash"]),
            "order_nos": [order_no],
        }
        statement: dict[str, Any] = self.staff.do("POST", "/v1/cash-statements", body)
        self.grounds.settle()
        return statement

    def rules_hit(self, order_no: str) -> list[str]:
        """Why an order is thought to be risky."""
        return [rule["code"] for rule in self.staff.do("GET", f"/v1/risk/{order_no}")["rules_hit"]]

    def finish(self, order_no: str) -> None:
        """The buyer is content; nothing of this story is left to be looked after by later ones."""
        self.buyer.confirm_receipt(order_no)
        self.grounds.settle()

    def refund(self, order_no: str) -> int:
        """What went back to the buyer, minor units."""
        return int(self.buyer.order(order_no)["refunded_amount"])

    def stock_chairs(self, *, east: int = 0, west: int = 0) -> None:
        """Make the shelves hold so many chairs."""
        for warehouse_id, units in ((self.east, east), (self.west, west)):
            body = {"warehouse_id": warehouse_id, "lines": [{"sku": self.chair, "counted": units}]}
            self.shop.do("POST", "/v1/stocktakes", body)
        self.grounds.settle()

    def receive_chairs(self, warehouse_id: str, units: int) -> None:
        self.shop.receive_stock(warehouse_id, {self.chair: units})
        self.grounds.settle()

    def on_shelf(self, sku: str) -> int:
        """Units that can still be sold, in all warehouses."""
        shelves = self.shop.do("GET", f"/v1/stock/{sku}")["warehouses"]
        return sum(shelf["on_hand"] - shelf["held"] - shelf["allocated"] for shelf in shelves)

    def told(self, order_no: str) -> list[str]:
        """Of what the shop was told about the order, by template."""
        inbox = self.shop.do("GET", "/v1/notifications?limit=100")["items"]
        return [one["template"] for one in inbox if one["order_no"] == order_no]

    def escrow(self, order_no: str) -> dict[str, Any]:
        """Where the order's money is, as its seller sees it."""
        return dict(self.shop.do("GET", f"/v1/orders/{order_no}/escrow"))

    def extend(self, order_no: str) -> Answer:
        return self.buyer.ask("POST", f"/v1/orders/{order_no}/receipt/extend")

    def declare_lost(self, shipment_id: str) -> None:
        self.staff.do("POST", f"/v1/shipments/{shipment_id}/declare-lost")
        self.grounds.settle()
