"""What dies, dies in the middle of work, and nobody notices: no order lost, no effect doubled, nothing stuck."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deploy.ops.invariants import recompute
from deploy.stack import Stack
from deploy.story import shop
from deploy.story.people import Buyer, Person
from shared.kernel import clock
from tests.journeys.conftest import Town

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("stack")]

AT_LEAST = 20
"""Messages a worker must hold, delivered and not acknowledged, when it is killed."""
PATIENCE = 60.0


class Crowd:
    """Buyers who order at once."""

    def __init__(self, town: Town, heads: int = 4) -> None:
        self.town = town
        self.buyers: list[Buyer] = [shop.new_buyer(town.grounds) for _ in range(heads)]
        self.placed: list[dict[str, Any]] = []

    def order(self, times: int) -> list[dict[str, Any]]:
        """`times` orders, each answered with 202."""

        def one(number: int) -> dict[str, Any]:
            buyer = self.buyers[number % len(self.buyers)]
            return buyer.place(buyer.quote({self.town.skus[0]: 1})) | {"buyer": buyer}

        with ThreadPoolExecutor(len(self.buyers)) as pool:
            groups = list(pool.map(one, range(times)))
        self.placed += groups
        return groups

    def pay(self, groups: list[dict[str, Any]]) -> None:
        for group in groups:
            buyer: Buyer = group["buyer"]
            assert buyer.pay(buyer.open_payment(group["group_no"], group["payable"])) == 200

    def states(self) -> dict[str, int]:
        """How many of all placed orders are in which state; an order that is not there counts as lost."""
        found: dict[str, int] = {}
        for group in self.placed:
            answer = group["buyer"].ask("GET", f"/v1/orders/{group['orders'][0]['order_no']}")
            state = answer.json["state"] if answer.status == 200 else "LOST"
            found[state] = found.get(state, 0) + 1
        return found


@pytest.fixture
def crowd(stack: Stack) -> Iterator[Crowd]:
    stack.settle()
    yield Crowd(Town(stack, stock=1000))
    stack.settle(180)
    broken = [str(verdict) for verdict in recompute(stack.stores) if verdict.breaches]
    assert broken == []


def leave(person: Person, times: int = 25) -> None:
    """Sign in and out again: every service hears of each session that ended."""
    for _ in range(times):
        person.sign_in(person.email)
        person.do("DELETE", "/v1/sessions/current")


def test_a_worker_killed_in_the_middle_of_its_messages_loses_and_doubles_nothing(stack: Stack, crowd: Crowd) -> None:
    """Each service's worker in turn: stopped while messages are delivered to it, killed while it holds them."""
    visitor = shop.new_buyer(stack)

    def buy_and_pay() -> None:
        groups = crowd.order(32)
        stack.kill("shipping", "worker", signal.SIGCONT)
        stack.settle(PATIENCE)
        stack.kill("shipping", "worker", signal.SIGSTOP)
        crowd.pay(groups)

    deeds: dict[str, Callable[[], Any]] = {
        "inventory": lambda: crowd.order(32),
        "payment": lambda: crowd.order(32),
        "order": lambda: crowd.order(32),
        "support": lambda: crowd.order(32),
        "shipping": buy_and_pay,
        "account": lambda: (leave(visitor), crowd.order(20)),
        "catalog": lambda: (leave(visitor), crowd.order(20)),
    }
    for service, deed in deeds.items():
        stack.kill(service, "worker", signal.SIGSTOP)
        deed()
        held = _until(lambda service=service: _unacknowledged(stack, service), AT_LEAST)
        stack.kill(service, "worker", signal.SIGKILL)
        stack.restart(service, "worker")
        assert held >= AT_LEAST, service
        stack.settle(180)

    assert len(crowd.placed) == 200
    assert crowd.states() == {"AWAITING_PAYMENT": 168, "CONFIRMED": 32}


def test_orders_are_taken_while_the_broker_is_away_and_all_finish_afterwards(stack: Stack, crowd: Crowd) -> None:
    stack.rabbit.stop_app()
    try:
        groups = crowd.order(40)
        meanwhile = crowd.states()
    finally:
        stack.rabbit.start_app()
    stack.settle(180)

    assert len({group["group_no"] for group in groups}) == 40
    assert meanwhile == {"PLACED": 40}
    assert crowd.states() == {"AWAITING_PAYMENT": 40}


def test_orders_survive_a_broker_that_is_killed(stack: Stack, crowd: Crowd) -> None:
    crowd.order(20)
    stack.rabbit.kill9()
    crowd.order(20)
    stack.rabbit.start()
    stack.settle(180)

    assert crowd.states() == {"AWAITING_PAYMENT": 40}


def test_a_shop_whose_database_is_away_says_so_and_comes_back_by_itself(stack: Stack, crowd: Crowd) -> None:
    crowd.order(10)
    stack.postgres.kill9()
    refused = crowd.buyers[0].ask("POST", "/v1/quotes", _wish(crowd))
    stack.postgres.start()
    _until(lambda: crowd.buyers[0].ask("POST", "/v1/quotes", _wish(crowd)).status == 200, True)
    crowd.order(10)
    stack.settle(180)

    assert (refused.status, refused.json["code"]) == (503, "unavailable")
    assert crowd.states() == {"AWAITING_PAYMENT": 20}


def _wish(crowd: Crowd) -> dict[str, Any]:
    address = {k: v for k, v in shop.ADDRESS.items() if k not in ("country", "default")}
    return {"lines": [{"sku": crowd.town.skus[0], "qty": 1}], "delivery": address}


def _unacknowledged(stack: Stack, service: str) -> int:
    found = stack.rabbit.api("GET", f"queues/caravan/caravan.{service}.in.v1.0")
    return int(found.get("messages_unacknowledged", 0))


def _until(look: Callable[[], Any], wanted: Any) -> Any:
    """Look until it is at least `wanted`, or patience ends; answers what was seen last."""
    end = clock.monotonic() + PATIENCE
    while (seen := look()) < wanted and clock.monotonic() < end:
        clock.pause(0.2)
    return seen
