"""Orders at a steady rate through the gateway, each with a fate of its own that is drawn before the first is placed.

Every customer is as patient as customers of a shop under fire must be: what was not answered is asked again with the
same Idempotency-Key, what was refused with a new one. Of each order that was accepted the journal knows what must
become of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import requests
import sqlalchemy as sa

from chaos.shop import Shop
from chaos.standing import Target, text
from deploy.story.people import Answer, Buyer, Person
from shared.kernel import clock
from shared.kernel.ids import new_id

BOARD_POLL = 0.25
AGAIN = 0.4
WAY = ("collect", "out-for-delivery", "deliver")


@dataclass(frozen=True)
class Fate:
    """What a buyer means to do with an order, and the state in which it then ends."""

    name: str
    share: int
    ends: str
    pays: bool = False


FATES = (
    Fate("left unpaid", 15, "AWAITING_PAYMENT"),
    Fate("cancelled unpaid", 12, "CANCELLED"),
    Fate("paid", 33, "CONFIRMED", pays=True),
    Fate("cancelled paid", 15, "CANCELLED", pays=True),
    Fate("sent", 15, "SHIPPED", pays=True),
    Fate("received", 10, "RECEIVED", pays=True),
)
SCARCE_SHARE = 0.15


@dataclass
class Errand:
    """One buyer's order. `group_no` is empty until it was accepted; `refusals` is what stood in the way last."""

    number: int
    buyer: Buyer
    fate: Fate
    wanted: dict[str, int]
    group_no: str = ""
    order_no: str = ""
    payable: int = 0
    refusal: str = ""
    done: bool = False


@dataclass
class Count:
    """Answers of the gateway: what refused by a rule is neither."""

    served: int = 0
    failed: int = 0

    @property
    def share(self) -> float:
        asked = self.served + self.failed
        return self.served / asked if asked else 1.0


class GaveUp(Exception):
    """The run is over; whoever waits for something goes home."""


@dataclass
class Traffic:
    """See the module. `start`, then `wait_placed`, then `finish`."""

    stack: Target
    shop: Shop
    orders: int
    rate: float
    dice: Random
    errands: list[Errand] = field(default_factory=list)
    keys: int = 0
    during: Count | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._enough, self._over = threading.Event(), threading.Event()
        self._placed = threading.Condition()
        self._states: dict[str, str] = {}
        self._parcels: dict[str, str] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to place orders, and go on until `finish`, be they more than `orders`."""
        self._spawn(self._watch)
        self._spawn(self._place_all)

    def wait_placed(self, number: int, seconds: float = 120.0) -> None:
        """Return when so many orders were accepted, or time is up."""
        with self._placed:
            self._placed.wait_for(lambda: len(self.journal) >= number, seconds)

    @contextmanager
    def counted(self) -> Iterator[Count]:
        """Answers to what is asked meanwhile."""
        self.during = count = Count()
        try:
            yield count
        finally:
            self.during = None

    def finish(self, seconds: float) -> None:
        """No new orders; return when every errand is done, or nobody has `seconds` more patience."""
        self._enough.set()
        until = clock.monotonic() + seconds
        for thread in list(self._threads)[1:]:
            thread.join(max(0.0, until - clock.monotonic()))
        for thread in list(self._threads)[1:]:  # those that were started meanwhile
            thread.join(max(0.0, until - clock.monotonic()))
        self._over.set()
        for thread in self._threads:
            thread.join(45)

    @property
    def journal(self) -> list[Errand]:
        """The errands whose order was accepted."""
        return [one for one in self.errands if one.group_no]

    # --- one order after the other ----------------------------------------------------------------------------------

    def _place_all(self) -> None:
        begun, number = clock.monotonic(), 0
        while not (self._enough.is_set() and number >= self.orders) and number < 4 * self.orders:
            errand = self._next(number)
            self.errands.append(errand)
            self._spawn(partial(self._run, errand))
            number += 1
            self._over.wait(max(0.0, begun + number / self.rate - clock.monotonic()))

    def _next(self, number: int) -> Errand:
        fate = self.dice.choices(FATES, [one.share for one in FATES])[0]
        if self.dice.random() < SCARCE_SHARE:
            wanted = {self.shop.scarce: 1}
        else:
            wanted = dict.fromkeys(self.dice.sample(self.shop.skus, self.dice.choice((1, 1, 2))), 1)
        return Errand(number, self.shop.buyers[number % len(self.shop.buyers)], fate, wanted)

    def _run(self, errand: Errand) -> None:
        try:
            self._carry(errand)
        except GaveUp:
            return
        errand.done = True

    def _carry(self, one: Errand) -> None:
        buyer = one.buyer
        delivery = {name: value for name, value in buyer.address.items() if name not in ("country", "default")}
        lines = [{"sku": sku, "qty": qty} for sku, qty in one.wanted.items()]
        quote = self._insist(one, buyer, "/v1/quotes", {"lines": lines, "delivery": delivery})
        wish = {"quote_token": quote["quote_token"], "expected_amount": quote["payable"]}
        with self._lock:
            self.keys += 1
        group = self._insist(one, buyer, "/v1/orders", wish)
        one.payable, one.order_no = quote["payable"], group["orders"][0]["order_no"]
        one.group_no = group["group_no"]
        with self._placed:
            self._placed.notify_all()
        if one.fate.name == "left unpaid":
            return
        if self._await(one, {"AWAITING_PAYMENT"}) == "CANCELLED":
            return  # it had run out
        if one.fate.pays:
            self._pay(one)
            if self._await(one, {"CONFIRMED"}) == "CANCELLED":
                return
        if one.fate.name.startswith("cancelled"):
            self._insist(one, buyer, f"/v1/orders/{one.order_no}/cancel", {"reason": "changed_mind"}, one.fate.ends)
        elif one.fate.name in ("sent", "received"):
            self._send(one)
        if one.fate.name == "received":
            self._await(one, {"DELIVERED"})
            self._insist(one, buyer, f"/v1/orders/{one.order_no}/receipt", None, one.fate.ends)

    def _pay(self, one: Errand) -> None:
        """Open an attempt until there is a page, and pay there until the provider says so."""
        wish = {"method": "online", "channel": "sandbox", "expected_amount": one.payable, "instrument": "alipay_qr"}
        shown = None
        while shown is None:
            attempt = self._insist(one, one.buyer, f"/v1/groups/{one.group_no}/payments", wish)
            shown = attempt["display"]
            self._rest(0.0 if shown else AGAIN)
        self._outside(lambda: requests.post(shown["value"], json={"outcome": "succeed"}, timeout=20))

    def _send(self, one: Errand) -> None:
        while one.order_no not in self._parcels:
            self._rest(BOARD_POLL)
        parcel = self._parcels[one.order_no]
        seller = self.shop.seller
        for deed, body in (("pick", None), ("pack", {"parcels": [{"weight_g": 900}]}), ("hand-over", None)):
            answer = self._insist(one, seller, f"/v1/shipments/{parcel}/{deed}", body, "SHIPPED")
        if one.fate.name == "received":
            tracking_no = answer["tracking_no"] if answer else self._tracking(one)
            for deed in WAY:
                self._outside(partial(self._report, tracking_no, deed))

    def _tracking(self, one: Errand) -> str:
        return str(self.shop.seller.shipments(one.order_no)[0]["tracking_no"])

    def _report(self, tracking_no: str, deed: str) -> requests.Response:
        courier = self.shop.courier
        return courier.http.post(f"{courier.url}/courier/{tracking_no}/{deed}", json={"location": "town"}, timeout=20)

    # --- patience ---------------------------------------------------------------------------------------------------

    def _insist(self, one: Errand, person: Person, path: str, body: Any, until: str = "") -> Any:
        """The JSON of a 2xx answer, however often it takes; None once the order is in the state `until` anyway."""
        key = new_id()
        while True:
            counted = self.during
            answer = self._ask(person, path, body, key)
            if answer is not None and 200 <= answer.status < 300:
                self._count(counted, served=True)
                return answer.json
            if answer is None or answer.status >= 500:
                self._count(counted, served=False)
            elif "Retry-After" not in answer.headers:
                key = new_id()  # refused by a rule: the same key would be refused for ever
            one.refusal = f"{path}: {'no answer' if answer is None else f'{answer.status} {answer.json}'}"[:200]
            if until and self._states.get(one.order_no) == until:
                return None
            self._rest(AGAIN)

    @staticmethod
    def _ask(person: Person, path: str, body: Any, key: str) -> Answer | None:
        try:
            return person.ask("POST", path, body, Idempotency_Key=key)
        except (requests.RequestException, ValueError):
            return None

    def _outside(self, say: Callable[[], requests.Response]) -> None:
        """To the provider or the carrier: 409 is what it says of a thing that is done already."""
        while True:
            try:
                if (status := say().status_code) < 300 or status == 409:
                    return
            except requests.RequestException:
                self._rest(AGAIN)
                continue
            self._rest(AGAIN)

    def _count(self, count: Count | None, *, served: bool) -> None:
        if count is not None:
            with self._lock:
                count.served += served
                count.failed += not served

    def _rest(self, seconds: float) -> None:
        if self._over.wait(seconds):
            raise GaveUp

    def _await(self, one: Errand, wanted: set[str]) -> str:
        """The order's state, once it is among those or cancelled."""
        while (state := self._states.get(one.order_no, "")) not in wanted | {"CANCELLED"}:
            self._rest(BOARD_POLL)
        return state

    # --- what the errands look at -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        """One look for all of them."""
        who = {"buyers": [buyer.account_id for buyer in self.shop.buyers]}
        looks = {
            "order": (self._states, text("SELECT order_no, state FROM order_index WHERE buyer_id IN :buyers", who)),
            "shipping": (
                self._parcels,
                text("SELECT order_no, shipment_id FROM shipment WHERE buyer_id IN :buyers", who),
            ),
        }
        while not self._over.wait(BOARD_POLL):
            for store, (board, statement) in looks.items():
                try:
                    with self.stack.stores[store].read() as connection:
                        board.update(dict(connection.execute(statement, who).all()))
                except sa.exc.SQLAlchemyError:
                    continue  # the store is away

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()
