"""Orders brought on request to any state in which one can rest and to any end: a table of small stories.

    stage = Stage(grounds, silence)
    told = stage.play("cancelled-payment-timeout")

Each order has a buyer of its own, whose e-mail address and password are told, and is left where the scenario says. The
shops are the stage's, opened when first needed. A story that waits moves business time for the whole platform.
"""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from deploy.story import shop
from deploy.story.people import PASSWORD, Buyer, Courier, Grounds, Operator, Person, Seller, Unexpected
from shared.kernel import clock
from shared.kernel.errors import Conflict, NotFound

CUP, LAMP, PRINT = 10_000, 30_000, 10_000
PLENTY = 100_000
RISKY = 170
"""So many lamps at once are refused to anybody whom nobody knows yet."""
PATIENCE_SECONDS = 30.0


class NoSuchScenario(NotFound):
    """No scenario has this name; `GET /v1/sandbox/scenarios` lists them."""


class ScenarioStrayed(Conflict):
    """The order did not get where the scenario leads: a fault is on, or business time was moved meanwhile."""


class Grounded(Grounds, Protocol):
    """Grounds whose time can also be moved without waiting for anything."""

    def leap(self, **span: float) -> None: ...


@dataclass(frozen=True)
class Scenario:
    """`play` answers the order's number; `state` and `reason` are where it is then."""

    name: str
    state: str
    reason: str
    says: str
    play: Callable[[Stage], str]


SCENARIOS: dict[str, Scenario] = {}


def scenario(state: str, reason: str = "") -> Callable[[Callable[[Stage], str]], Callable[[Stage], str]]:
    def add(play: Callable[[Stage], str]) -> Callable[[Stage], str]:
        name = play.__name__.replace("_", "-")
        SCENARIOS[name] = Scenario(name, state, reason, (play.__doc__ or "").strip(), play)
        return play

    return add


class Stage:
    """Where scenarios are played, one at a time. `silence` makes a service hear nothing while it is entered."""

    def __init__(self, grounds: Grounded, silence: Callable[[str], AbstractContextManager[None]]) -> None:
        self.grounds, self.silence = grounds, silence
        self.courier = Courier(grounds)
        self.mark = secrets.token_hex(4)
        self.cup, self.lamp, self.print, self.last = (f"{self.mark}-{one}" for one in ("cup", "lamp", "print", "last"))
        self.buyer = Buyer(grounds)
        self._lock = threading.Lock()

    def play(self, name: str) -> dict[str, Any]:
        """The order as it is now, and who bought it. Raises NoSuchScenario, ScenarioStrayed, NotQuiet."""
        story = SCENARIOS.get(name)
        if story is None:
            raise NoSuchScenario(field="name")
        with self._lock:
            self._gather()
            try:
                order_no = story.play(self)
            except Unexpected as surprise:
                raise ScenarioStrayed(str(surprise)[:300]) from surprise
            order = self.buyer.order(order_no)
            if (order["state"], order["end_reason"] or "") != (story.state, story.reason):
                raise ScenarioStrayed(f"it is {order['state']} {order['end_reason'] or ''}".strip())
            return {
                "scenario": name,
                **{one: order[one] for one in ("order_no", "group_no", "state", "end_reason", "payment_status")},
                "buyer": {"email": self.buyer.email, "password": PASSWORD},
                "seller": {"email": self._seller_of(order).email, "password": PASSWORD},
            }

    # --- people and goods -------------------------------------------------------------------------------------

    @functools.cached_property
    def staff(self) -> Operator:
        return shop.operator(self.grounds)

    @functools.cached_property
    def depot(self) -> Seller:
        """Cups lie in the east, lamps in the west: an order of both is two parcels."""
        seller = shop.open_shop(self.grounds, self.staff, f"Depot {self.mark}")
        for sku, price, title, region in ((self.cup, CUP, "East", "CN-ZJ"), (self.lamp, LAMP, "West", "CN-SC")):
            warehouse = seller.open_warehouse(title, region)
            shop.list_goods(self.staff, seller, [shop.simple_product(sku, price)], {warehouse: PLENTY})
        return seller

    @functools.cached_property
    def gallery(self) -> Seller:
        """A shop that looks at every order before it goes on. Of its last piece there is none left."""
        seller = shop.open_shop(self.grounds, self.staff, f"Gallery {self.mark}", review_orders=True)
        warehouse = seller.open_warehouse("Main", "CN-ZJ")
        goods = [shop.simple_product(sku, PRINT) for sku in (self.print, self.last)]
        shop.list_goods(self.staff, seller, goods, {warehouse: PLENTY})
        sold = {"warehouse_id": warehouse, "lines": [{"sku": self.last, "counted": 0}]}
        seller.do("POST", "/v1/stocktakes", sold)
        self.grounds.settle()
        return seller

    def _gather(self) -> None:
        """A new buyer; and the others, whose tokens may have run out since they were last needed."""
        self.staff.sign_in(*self.grounds.operator)
        known: list[Person] = [self.depot, self.gallery]
        for person in known:
            person.sign_in(person.email)
        self.buyer = shop.new_buyer(self.grounds)
        self.grounds.settle()

    def _seller_of(self, order: dict[str, Any]) -> Seller:
        return self.gallery if order["seller_id"] == self.gallery.seller_id else self.depot

    # --- what they do -----------------------------------------------------------------------------------------

    def place(self, *skus: str, qty: int = 1, **wish: Any) -> list[str]:
        """The numbers of the orders, once the services have answered."""
        group = self.buyer.place(self.buyer.quote(dict.fromkeys(skus, qty), **wish))
        self.grounds.settle()
        self.group_no = str(group["group_no"])
        return [order["order_no"] for order in group["orders"]]

    def paid(self, *skus: str) -> str:
        """The number of an order that is paid."""
        (order_no,) = self.place(*skus)
        payable = self.buyer.do("GET", f"/v1/groups/{self.group_no}")["payable"]
        self.buyer.pay(self.buyer.open_payment(self.group_no, payable))
        self.grounds.settle()
        return order_no

    def send(self, order_no: str, parcels: int | None = None) -> list[str]:
        """Pick, pack and hand over so many parcels, all if not said; the tracking numbers."""
        numbers = []
        for shipment in self.depot.shipments(order_no)[:parcels]:
            self.depot.pick(shipment["shipment_id"])
            self.depot.pack(shipment["shipment_id"])
            self.grounds.settle()
            numbers.append(self.depot.hand_over(shipment["shipment_id"]))
        self.grounds.settle()
        return numbers

    def sent(self, **wish: Any) -> tuple[str, str]:
        """An order under way, and its tracking number."""
        order_no = self.place(self.cup, **wish)[0] if wish else self.paid(self.cup)
        (tracking_no,) = self.send(order_no)
        return order_no, tracking_no

    def courier_does(self, tracking_no: str, *deeds: str) -> None:
        for deed in deeds:
            self.courier.deed(tracking_no, deed)
        self.grounds.settle()

    def cancelled_by(self, person: Person, reason: str) -> str:
        order_no = self.paid(self.cup)
        person.do("POST", f"/v1/orders/{order_no}/cancel", {"reason": reason})
        self.grounds.settle()
        return order_no


# --- where an order can rest ----------------------------------------------------------------------------------


@scenario("AWAITING_PAYMENT")
def awaiting_payment(stage: Stage) -> str:
    """Placed; the goods are held, the money is asked for."""
    return stage.place(stage.cup)[0]


@scenario("AWAITING_REVIEW")
def awaiting_review(stage: Stage) -> str:
    """Paid, to a shop that looks at every order before it goes on."""
    return stage.paid(stage.print)


@scenario("CONFIRMED")
def confirmed(stage: Stage) -> str:
    """Paid; the shop has not begun."""
    return stage.paid(stage.cup)


@scenario("FULFILLING")
def fulfilling(stage: Stage) -> str:
    """Picked in the warehouse."""
    order_no = stage.paid(stage.cup)
    stage.depot.pick(stage.depot.shipments(order_no)[0]["shipment_id"])
    stage.grounds.settle()
    return order_no


@scenario("PARTIALLY_SHIPPED")
def partially_shipped(stage: Stage) -> str:
    """One of two parcels is under way."""
    order_no = stage.paid(stage.cup, stage.lamp)
    stage.send(order_no, parcels=1)
    return order_no


@scenario("SHIPPED")
def shipped(stage: Stage) -> str:
    """With the carrier."""
    return stage.sent()[0]


@scenario("DELIVERED")
def delivered(stage: Stage) -> str:
    """At the buyer's, who has not said so yet."""
    order_no, tracking_no = stage.sent()
    stage.courier_does(tracking_no, "collect", "out-for-delivery", "deliver")
    return order_no


@scenario("RECEIVED")
def received(stage: Stage) -> str:
    """The buyer confirmed receipt; the after-sale window is open."""
    order_no = delivered(stage)
    stage.buyer.confirm_receipt(order_no)
    stage.grounds.settle()
    return order_no


@scenario("COMPLETED", "completed")
def completed(stage: Stage) -> str:
    """The after-sale window closed nine days on, the money is the seller's."""
    order_no = received(stage)
    stage.grounds.advance(days=9)
    return order_no


# --- cancelled ------------------------------------------------------------------------------------------------


@scenario("CANCELLED", "payment_timeout")
def cancelled_payment_timeout(stage: Stage) -> str:
    """Not paid within half an hour."""
    order_no = awaiting_payment(stage)
    stage.grounds.advance(minutes=31)
    return order_no


@scenario("CANCELLED", "buyer")
def cancelled_by_buyer(stage: Stage) -> str:
    """Paid, then not wanted any more; the money went back."""
    return stage.cancelled_by(stage.buyer, "changed_mind")


@scenario("CANCELLED", "seller")
def cancelled_by_seller(stage: Stage) -> str:
    """Paid, but the shop cannot deliver; the money went back."""
    return stage.cancelled_by(stage.depot, "cannot_deliver")


@scenario("CANCELLED", "operator")
def cancelled_by_operator(stage: Stage) -> str:
    """Paid, and ended by the platform; the money went back."""
    return stage.cancelled_by(stage.staff, "other")


@scenario("CANCELLED", "review_rejected")
def cancelled_review_rejected(stage: Stage) -> str:
    """The shop looked at it and said no; the money went back."""
    order_no = awaiting_review(stage)
    stage.gallery.do("POST", f"/v1/orders/{order_no}/reject")
    stage.grounds.settle()
    return order_no


@scenario("CANCELLED", "out_of_stock")
def cancelled_out_of_stock(stage: Stage) -> str:
    """Of the last piece there was none left."""
    return stage.place(stage.last)[0]


@scenario("CANCELLED", "sibling_failed")
def cancelled_sibling_failed(stage: Stage) -> str:
    """Of two shops' goods one was sold out, and the buyer wanted all or nothing."""
    numbers = stage.place(stage.cup, stage.last, stock_policy="all_or_nothing")
    return next(one for one in numbers if stage.buyer.order(one)["seller_id"] == stage.depot.seller_id)


@scenario("CANCELLED", "risk")
def cancelled_risk(stage: Stage) -> str:
    """Somebody whom nobody knows wants 170 lamps at once."""
    return stage.place(stage.lamp, qty=RISKY)[0]


@scenario("CANCELLED", "placement_timeout")
def cancelled_placement_timeout(stage: Stage) -> str:
    """Inventory did not answer for a quarter of an hour."""
    with stage.silence("inventory"):
        group = stage.buyer.place(stage.buyer.quote({stage.cup: 1}))
        order_no = str(group["orders"][0]["order_no"])
        until = clock.monotonic() + PATIENCE_SECONDS
        stage.grounds.leap(minutes=16)
        while stage.buyer.order(order_no)["state"] != "CANCELLED" and clock.monotonic() < until:
            clock.pause(0.05)
    stage.grounds.settle()
    return order_no


# --- over after it was shipped --------------------------------------------------------------------------------


@scenario("CLOSED", "cod_refused")
def closed_cod_refused(stage: Stage) -> str:
    """Cash on delivery, refused at the door and brought back."""
    order_no, tracking_no = stage.sent(payment_method="cod")
    stage.courier_does(tracking_no, "collect", "out-for-delivery", "refuse", "return")
    return order_no


@scenario("CLOSED", "undeliverable")
def closed_undeliverable(stage: Stage) -> str:
    """Nobody was at home, the parcel came back, and so did the money."""
    order_no, tracking_no = stage.sent()
    stage.courier_does(tracking_no, "collect", "out-for-delivery", "fail", "return")
    return order_no


@scenario("CLOSED", "fully_refunded")
def closed_fully_refunded(stage: Stage) -> str:
    """The carrier lost it; an operator declared it lost, and the money went back."""
    order_no, tracking_no = stage.sent()
    stage.courier_does(tracking_no, "collect", "lose")
    (parcel,) = stage.depot.shipments(order_no)
    stage.staff.do("POST", f"/v1/shipments/{parcel['shipment_id']}/declare-lost")
    stage.grounds.settle()
    return order_no
