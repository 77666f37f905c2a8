"""With a server away: what needs the store says so, in the one form, and what needs only the broker goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from deploy.replay.world import World
from deploy.stack import Stack
from deploy.story import shop
from deploy.story.people import Answer, Person
from tests.doors.operations import Operation, body_for, operations

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("stack")]
_ASKED_FOR = {"seller_id": "01980000-0000-7000-8000-000000000000", "q": "shirt"}
ASK_THE_BROKER = {"GET /v1/ops/topology", "POST /v1/ops/topology"}
ABSENT = {"sku": "no-such-thing", "category_id": "no-such-shelf"}


@pytest.fixture(scope="module")
def people(stack: Stack) -> dict[str, Person]:
    """By role, somebody who is signed in; under "anyone" and "signature" somebody who is not."""
    staff = shop.operator(stack)
    seller = shop.open_shop(stack, staff, "Shop of a dark day")
    nobody = Person(stack)
    stack.settle()  # every service knows the key that signs tokens
    return {"operator": staff, "seller": seller, "buyer": shop.new_buyer(stack), "anyone": nobody, "signature": nobody}


@pytest.fixture
def at_rest(stack: Stack) -> Iterator[World]:
    stack.settle()
    yield World(stack)
    stack.settle(180)


def ask(one: Operation, people: dict[str, Person]) -> Answer:
    """Somebody who may asks about something that is not there."""
    ids = {name: ABSENT.get(name, "01980000-0000-7000-8000-000000000000") for name in one.arguments}
    query = {name: _ASKED_FOR[name] for name in one.query.keys() & _ASKED_FOR}
    return people[min(one.who)].ask(one.method, f"{one.path(ids)}?{urlencode(query)}", body_for(one.body, {}))


def test_without_its_store_every_operation_says_503_and_when_to_come_back(
    at_rest: World, stack: Stack, people: dict[str, Person]
) -> None:
    for one in people.values():
        one.ask("GET", "/v1/me")  # who they are is known before the lights go out
    found: dict[str, Any] = {}
    stack.postgres.kill9()
    try:
        for one in operations():
            found[str(one)] = ask(one, people)
    finally:
        stack.postgres.start()
    unsaid = {
        name: (answer.status, answer.json)
        for name, answer in found.items()
        if (answer.status, answer.headers["Content-Type"]) != (503, "application/problem+json")
        or not answer.headers.get("Retry-After")
    }
    # A signature is looked at before the store is, and a carrier or channel nobody knows is refused without it.
    assert unsaid.keys() <= {str(one) for one in operations() if "signature" in one.who}, unsaid
    at_rest.until(lambda: requests.get(f"{stack.url}/v1/categories", timeout=20).status_code == 200)


def test_without_the_broker_every_operation_answers_as_ever(
    at_rest: World, stack: Stack, people: dict[str, Person]
) -> None:
    asked = [one for one in operations() if not one.stream and one.method != "DELETE"]
    stack.rabbit.stop_app()
    try:
        found = {str(one): ask(one, people).status for one in asked}
        made = [
            people["anyone"].ask("POST", "/v1/accounts", body_for(_body("POST", "/v1/accounts"), {"email": _mail(n)}))
            for n in range(2)
        ]
        drafted = people["seller"].ask("POST", "/v1/products", shop.simple_product("dark-day"))
    finally:
        stack.rabbit.start_app()
    assert {name for name, status in found.items() if status >= 500} == ASK_THE_BROKER
    assert {found[name] for name in ASK_THE_BROKER} == {503}
    assert [one.status for one in (*made, drafted)] == [201] * 3
    lists = [str(one) for one in asked if one.method == "GET" and not one.arguments]
    strange = {name: found[name] for name in lists if found[name] != 200 and name not in ASK_THE_BROKER}
    assert strange == {"GET /v1/freight-template": 404, "GET /v1/payout-account": 404}  # of a shop that is new


def _body(method: str, rule: str) -> dict[str, Any] | None:
    return next(one.body for one in operations() if (one.method, one.rule) == (method, rule))


def _mail(number: int) -> str:
    return f"dark-{number}@example.com"
