"""What dies, dies in the middle of work, and nobody notices: no order lost, no effect doubled, nothing stuck."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from deploy.ops.invariants import recompute
from deploy.stack import Stack
from deploy.story import shop
from deploy.story.people import Buyer, Person
from shared.kernel import clock
from tests.journeys.town import Town

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

    def leave(self) -> None:
        """Nobody wants anything any more: nothing of this rings in later stories."""

        def cancel(group: dict[str, Any]) -> None:
            group["buyer"].ask(
                "POST", f"/v1/orders/{group['orders'][0]['order_no']}/cancel", {"reason": "changed_mind"}
            )

        with ThreadPoolExecutor(len(self.buyers)) as pool:
            list(pool.map(cancel, self.placed))

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
    crowd = Crowd(Town(stack, stock=1000))
    yield crowd
    stack.settle(180)
    crowd.leave()
    stack.settle(180)
    broken = [str(verdict) for verdict in recompute(stack.stores) if verdict.breaches]
    assert broken == []


def leave(person: Person, times: int = 25) -> None:
    """Sign in and out again: every service hears of each session that ended."""
    for _ in range(times):
        person.sign_in(person.email)
        person.do("DELETE", "/v1/sessions/current")


def test_a_worker_killed_in_the_middle_of_its_messages_loses_and_doubles_nothing(stack: Stack, crowd: Crowd) -> None:
    """Each service's worker in turn: messages are delivered to it and held up, then it is killed while it has them."""
    visitor = shop.new_buyer(stack)

    def answers() -> None:
        """What order waits for, said only when order's own facts are out and its worker stands still."""
        with stopped(stack, "inventory", "payment"):
            crowd.order(32)
            _until(lambda: -_pending(stack, "order"), 0)
            stack.kill("order", "worker", signal.SIGSTOP)

    def confirmations() -> None:
        groups = crowd.order(32)
        stack.settle(PATIENCE)
        stack.kill("shipping", "worker", signal.SIGSTOP)
        crowd.pay(groups)

    def with_stopped(service: str, deed: Callable[[], Any]) -> Callable[[], Any]:
        def do() -> None:
            stack.kill(service, "worker", signal.SIGSTOP)
            deed()

        return do

    deeds: dict[str, Callable[[], Any]] = {
        "inventory": with_stopped("inventory", lambda: crowd.order(36)),
        "payment": with_stopped("payment", lambda: crowd.order(36)),
        "support": with_stopped("support", lambda: crowd.order(36)),
        "order": answers,
        "shipping": confirmations,
        "catalog": with_stopped("catalog", lambda: (leave(visitor), crowd.order(14))),
    }
    for service, deed in deeds.items():
        deed()
        assert _killed_with(stack, service) >= AT_LEAST, service
        stack.restart(service, "worker")
        stack.settle(180)
    with inbox_locked(stack, "account"):  # it hears only itself: its relay must go on while its consumer stands still
        leave(visitor)
        crowd.order(14)
        assert _killed_with(stack, "account") >= AT_LEAST
    stack.restart("account", "worker")
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
    # Every process finds its old connections dead once, and says so; after that all is as before.
    answers = [_until(lambda: _status(crowd.buyers[0], _wish(crowd)), 200) for _ in range(40)]
    crowd.order(10)
    stack.settle(180)

    assert (refused.status, refused.json["code"]) == (503, "unavailable")
    assert set(answers) == {200}
    assert crowd.states() == {"AWAITING_PAYMENT": 20}


def _wish(crowd: Crowd) -> dict[str, Any]:
    address = {k: v for k, v in shop.ADDRESS.items() if k not in ("country", "default")}
    return {"lines": [{"sku": crowd.town.skus[0], "qty": 1}], "delivery": address}


@contextmanager
def stopped(stack: Stack, *services: str) -> Iterator[None]:
    """Their workers stand still meanwhile."""
    for service in services:
        stack.kill(service, "worker", signal.SIGSTOP)
    try:
        yield
    finally:
        for service in services:
            stack.kill(service, "worker", signal.SIGCONT)


@contextmanager
def inbox_locked(stack: Stack, service: str) -> Iterator[None]:
    """Nothing is handled meanwhile, while all else goes on."""
    with stack.stores[service].direct() as connection, connection.transaction():
        connection.execute("LOCK TABLE inbox IN EXCLUSIVE MODE")
        yield


def _killed_with(stack: Stack, service: str) -> int:
    """Kill the worker once it holds enough; how many messages it held."""
    held: int = _until(lambda: _unacknowledged(stack, service), AT_LEAST)
    stack.kill(service, "worker", signal.SIGKILL)
    return held


def _pending(stack: Stack, service: str) -> int:
    """Facts that are committed and not yet confirmed by the broker."""
    with stack.stores[service].direct() as connection:
        (count,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return int(count)


def _unacknowledged(stack: Stack, service: str) -> int:
    found = stack.rabbit.api("GET", f"queues/caravan/caravan.{service}.in.v1.0")
    return int(found.get("messages_unacknowledged", 0))


def _until(look: Callable[[], Any], wanted: Any) -> Any:
    """Look until it is at least `wanted`, or patience ends; answers what was seen last."""
    end = clock.monotonic() + PATIENCE
    while (seen := look()) < wanted and clock.monotonic() < end:
        clock.pause(0.2)
    return seen


def _status(caller: Person, wish: dict[str, Any]) -> int:
    """Of asking for a quote, 503 counting as nothing yet."""
    status = caller.ask("POST", "/v1/quotes", wish).status
    return 0 if status == 503 else status
