"""Many at the same moment, on the stack with real processes: nothing is sold, ordered or booked twice."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
import pytest
import requests
import sqlalchemy as sa

from deploy.ops.invariants import recompute
from deploy.sandbox.desk.signing import webhook_secret
from deploy.stack import Stack
from deploy.story import shop
from deploy.story.people import Provider
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.web import signatures

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("stack")]
T = TypeVar("T")
HEADS, UNITS = 100, 10


class Fair:
    """One shop with few units of one thing."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.sku = stack, f"{secrets.token_hex(4)}-rare"
        staff = shop.operator(stack)
        self.seller = shop.open_shop(stack, staff, f"Shop {self.sku}")
        warehouse = self.seller.open_warehouse("Main", "CN-ZJ")
        shop.list_goods(staff, self.seller, [shop.simple_product(self.sku)], {warehouse: UNITS})

    def rows(self, store: str, query: str, **about: Any) -> list[Any]:
        with self.stack.stores[store].read() as connection:
            return list(connection.execute(sa.text(query), about))


@pytest.fixture
def fair(stack: Stack) -> Iterator[Fair]:
    stack.settle()
    yield Fair(stack)
    stack.settle()
    assert [str(verdict) for verdict in recompute(stack.stores) if verdict.breaches] == []


def at_once(deeds: list[Callable[[], T]]) -> list[T]:
    """All of it at the same moment; what each answered."""
    barrier = threading.Barrier(len(deeds))

    def do(deed: Callable[[], T]) -> T:
        barrier.wait(30)
        return deed()

    with ThreadPoolExecutor(len(deeds)) as crowd:
        return list(crowd.map(do, deeds))


def test_of_a_hundred_buyers_at_once_ten_get_the_ten_units_and_ninety_are_told_why_not(fair: Fair) -> None:
    with ThreadPoolExecutor(4) as door:
        buyers = list(door.map(lambda _: shop.new_buyer(fair.stack), range(HEADS)))
        quotes = list(door.map(lambda buyer: buyer.quote({fair.sku: 1}), buyers))
    groups = at_once(
        [lambda buyer=buyer, quote=quote: buyer.place(quote) for buyer, quote in zip(buyers, quotes, strict=True)]
    )
    fair.stack.settle()

    orders = [
        (buyer, group, buyer.order(group["orders"][0]["order_no"])) for buyer, group in zip(buyers, groups, strict=True)
    ]
    assert Counter(order["state"] for _, _, order in orders) == {"AWAITING_PAYMENT": UNITS, "CANCELLED": HEADS - UNITS}
    lucky = [(buyer, group) for buyer, group, order in orders if order["state"] == "AWAITING_PAYMENT"]
    attempts = at_once([lambda one=one: one[0].open_payment(one[1]["group_no"], one[1]["payable"]) for one in lucky])
    at_once([lambda one=one: one[0][0].pay(one[1]) for one in zip(lucky, attempts, strict=True)])
    fair.stack.settle()

    assert {buyer.order(group["orders"][0]["order_no"])["state"] for buyer, group in lucky} == {"CONFIRMED"}
    for buyer, _, order in orders:
        if order["state"] == "CANCELLED":
            assert order["end_reason"] == "out_of_stock"
            told = buyer.do("GET", f"/v1/notifications?order_no={order['order_no']}&limit=10")["items"]
            assert [message["template"] for message in told].count("order_cancelled") == 1
    (shelf,) = fair.seller.do("GET", f"/v1/stock/{fair.sku}")["warehouses"]
    assert (shelf["on_hand"], shelf["held"], shelf["allocated"]) == (UNITS, 0, UNITS)
    for buyer, group in lucky:  # nothing of it rings in later stories
        buyer.cancel(group["orders"][0]["order_no"])


def test_fifty_requests_at_once_with_one_idempotency_key_are_one_order(fair: Fair) -> None:
    buyer = shop.new_buyer(fair.stack)
    quote, key = buyer.quote({fair.sku: 1}), new_id()
    body = {"quote_token": quote["quote_token"], "expected_amount": quote["payable"]}

    headers = {"Authorization": str(buyer.http.headers["Authorization"]), "Idempotency-Key": key}

    def place() -> requests.Response:
        """Again at once for as long as the first of them is being answered, as impatient clients do."""
        while True:
            answer = requests.post(f"{fair.stack.url}/v1/orders", json=body, headers=headers, timeout=40)
            if answer.status_code != 409:
                return answer
            assert answer.json()["code"] == "request_in_flight"

    answers = at_once([place] * 50)
    fair.stack.settle()

    assert {answer.status_code for answer in answers} == {202}
    (group_no,) = {answer.json()["group_no"] for answer in answers}
    groups = fair.rows("order", "SELECT group_no FROM order_group WHERE buyer_id = :who", who=buyer.account_id)
    assert groups == [(group_no,)]


def test_one_callback_a_hundred_times_at_once_is_booked_once(fair: Fair) -> None:
    buyer, provider = shop.new_buyer(fair.stack), Provider(fair.stack)
    group = buyer.place(buyer.quote({fair.sku: 1}))
    fair.stack.settle()
    provider.switch("callback_lost", scope={"reference": f"*{group['group_no']}*"}, times="always")
    attempt = buyer.open_payment(group["group_no"], group["payable"])
    assert buyer.pay(attempt) == 200
    charge = provider.do("GET", f"/v1/charges/{attempt['display']['value'].rsplit('/', 1)[1]}")
    send = _callback(fair.stack, charge)

    statuses = Counter(at_once([send] * 100))
    fair.stack.settle()

    assert statuses == {200: 100}
    postings = fair.rows(
        "payment", "SELECT key FROM ledger_posting WHERE key LIKE :about", about=f"%{group['group_no']}%"
    )
    assert len(postings) == 1
    assert buyer.order(group["orders"][0]["order_no"])["state"] == "CONFIRMED"


def _callback(stack: Stack, charge: dict[str, Any]) -> Callable[[], int]:
    """Sends what the provider would say of this charge, always the same bytes; answers the status."""
    event_id, moment = f"evt_{new_id()}", int(clock.machine_seconds())
    told = {"event_id": event_id, "type": "charge.succeeded", "created": clock.rfc3339(clock.machine_now())}
    body = msgspec.json.encode(told | {"data": charge})
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(moment),
        "webhook-signature": signatures.sign(webhook_secret(stack.sandbox_key), event_id, moment, body),
        "content-type": "application/json",
    }
    return lambda: (
        requests.post(f"{stack.url}/v1/callbacks/payments/sandbox", data=body, headers=headers, timeout=40).status_code
    )
