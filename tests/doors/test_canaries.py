"""Whatever is personal lies nowhere in the open: a person with an unmistakable name leaves no trace but sealed ones."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import pytest

from deploy.docs.openapi import merged
from deploy.embedded import Platform
from deploy.stack import Stack
from deploy.story import shop
from deploy.story.people import Buyer, Grounds
from shared.contracts.event import REGISTRY, schema
from shared.storage.inspect import logged
from tests.doors.cards import cards_in
from tests.doors.operations import operations
from tests.journeys.town import Town

CARD = re.compile(r"^(?:card_?(?:no|number|holder)|pan|cvv2?|cvc2?|expiry|exp_(?:month|year)|security_code)$")


class Canary:
    """Somebody who registers, keeps an address, orders and pays; `marks` are what must not be found."""

    def __init__(self, grounds: Grounds) -> None:
        mark = secrets.token_hex(5)
        town = Town(grounds)
        town.buyer = buyer = Buyer(grounds)
        buyer.register(f"Bird {mark}")
        phone = f"+86138{secrets.randbelow(10**8):08}"
        buyer.live_at(shop.ADDRESS | {"name": f"Nest {mark}", "phone": phone, "lines": [f"Branch {mark}"]})
        group = town.place()
        town.pay(group)
        town.send(town.sellers[0], group["orders"][0]["order_no"])
        grounds.settle()
        self.marks = [mark, buyer.email, phone, phone[1:]]

    def seen_in(self, what: bytes) -> list[str]:
        return [mark for mark in self.marks if mark.encode() in what]


def test_no_file_of_the_embedded_platform_holds_anything_personal_in_the_open(platform: Platform) -> None:
    canary = Canary(platform)
    files = [path for path in platform.home.rglob("*") if path.is_file() and path.parent == platform.home]
    assert len([path for path in files if ".sqlite" in path.name]) >= len(platform.stores)
    found = {path.name: canary.seen_in(path.read_bytes()) for path in files}
    assert {name: marks for name, marks in found.items() if marks} == {}
    # Whatever stories this platform has seen: queues' bodies, kept messages and answers are in the same files.
    cards = {path.name: cards_in(path.read_bytes()) for path in files}
    assert {name: numbers for name, numbers in cards.items() if numbers} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"note": "4111111111111111"}', ["4111111111111111"]),
        (b"paid with 5555 5555 5555 4444.", ["5555555555554444"]),
        (b"\x00378282246310005\x00", ["378282246310005"]),
        (b"'6200000000000005'", ["6200000000000005"]),
        (b"4111111111111112", []),  # the check digit is wrong
        (b"G4111111111111111", []),  # an order's number
        (b"0192f0c4-1111-7111-8111-411111111111", []),
        (b"1764000000000", []),  # milliseconds
    ],
)
def test_a_planted_card_number_is_found_and_our_own_numbers_are_none(text: bytes, found: list[str]) -> None:
    assert cards_in(text) == found


def test_nothing_that_is_sent_answered_or_told_has_a_field_for_a_card() -> None:
    def names(part: Any) -> set[str]:
        if isinstance(part, list):
            return {name for one in part for name in names(one)}
        if not isinstance(part, dict):
            return set()
        here = part.get("properties")
        own = set(here) if isinstance(here, dict) else set()
        return own | {name for one in part.values() for name in names(one)}

    spoken = names(merged()) | {name for one in operations() for name in one.query}
    told = {name for kind in REGISTRY.values() for name in names(schema(kind))}
    assert {"buyer_id", "payable"} <= spoken
    assert {"group_no", "payment_id"} <= told
    assert CARD.match("card_number")
    assert [name for name in spoken | told if CARD.match(name)] == []


@pytest.mark.servers
@pytest.mark.xdist_group("stack")
def test_neither_logs_nor_facts_of_the_stack_hold_anything_personal_in_the_open(stack: Stack) -> None:
    canary = Canary(stack)
    logs: list[Path] = [path for path in stack.home.rglob("*.log") if path.is_file()]
    assert logs
    found: dict[str, Any] = {path.name: canary.seen_in(path.read_bytes()) for path in logs}
    for name, database in stack.stores.items():
        found[f"{name} facts"] = [mark for _, body in logged(database) for mark in canary.seen_in(body)]
    assert {name: marks for name, marks in found.items() if marks} == {}
    assert {path.name: numbers for path in logs if (numbers := cards_in(path.read_bytes()))} == {}
