"""A developer asks for an order in a certain state, or for something to go wrong, and gets it over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from deploy.embedded import Platform
from deploy.story.people import Buyer, Grounds
from deploy.story.scenarios import SCENARIOS
from services.order.domain.states import TERMINAL, State

WHILE_NOBODY_ANSWERS = {State.PLACED, State.CANCEL_PENDING}


@pytest.fixture(scope="module")
def premises(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of our own: what is left half way here would ring for weeks in other stories."""
    with Platform(tmp_path_factory.mktemp("scenarios")) as platform:
        yield platform


def ask(grounds: Grounds, method: str, path: str, body: Any = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {grounds.sandbox_key}"}
    return requests.request(method, f"{grounds.url}/v1/sandbox/{path}", json=body, headers=headers, timeout=90)


def bought(grounds: Grounds, told: dict[str, Any]) -> dict[str, Any]:
    """The order as its buyer sees it."""
    buyer = Buyer(grounds)
    buyer.sign_in(told["buyer"]["email"], told["buyer"]["password"])
    return buyer.order(told["order_no"])


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_order_is_brought_where_its_scenario_says(premises: Platform, name: str) -> None:
    answer = ask(premises, "POST", f"scenarios/{name}")
    assert answer.status_code == 201, answer.text
    order = bought(premises, answer.json())
    assert (order["state"], order["end_reason"] or "") == (SCENARIOS[name].state, SCENARIOS[name].reason)


def test_there_is_a_scenario_for_every_state_and_end(premises: Platform) -> None:
    listed = ask(premises, "GET", "scenarios").json()["items"]
    assert [one["name"] for one in listed] == list(SCENARIOS)
    assert {one["state"] for one in listed} == set(State) - WHILE_NOBODY_ANSWERS
    assert {one["state"] for one in listed if one["reason"]} == TERMINAL
    assert ask(premises, "POST", "scenarios/none-such").json()["code"] == "no_such_scenario"


def test_faults_come_and_go_at_the_desks_and_in_a_service(grounds: Grounds) -> None:
    assert ask(grounds, "DELETE", "faults").status_code == 204  # what earlier stories left on
    wish = {"where": "provider", "kind": "decline", "scope": {"reference": "*nobody"}, "times": "always"}
    declined = ask(grounds, "POST", "faults", wish).json()
    assert wish["kind"] == declined["kind"]
    told = ask(grounds, "POST", "scenarios/cancelled-placement-timeout")
    assert told.status_code == 201, told.text
    assert told.json()["end_reason"] == "placement_timeout"

    silent = ask(grounds, "POST", "faults", {"where": "support", "kind": "silent"}).json()
    assert ask(grounds, "GET", "faults").json()["items"] == [declined, silent]
    assert ask(grounds, "DELETE", f"faults/{declined['fault_id']}").status_code == 204
    assert ask(grounds, "DELETE", "faults").status_code == 204
    assert ask(grounds, "GET", "faults").json() == {"items": []}
    grounds.settle()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "silent"}, "where"),
        ({"where": "moon", "kind": "silent"}, "where"),
        ({"where": "order", "kind": "loud"}, "kind"),
        ({"where": "provider", "kind": "loud"}, "kind"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(premises: Platform, body: dict[str, str], field: str) -> None:
    answer = ask(premises, "POST", "faults", body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert ask(premises, "DELETE", "faults/provider-999999").json()["code"] == "no_such_fault"
