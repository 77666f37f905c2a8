"""Whatever is personal lies nowhere in the open: a person with an unmistakable name leaves no trace but sealed ones."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import Platform
from deploy.stack import Stack
from deploy.story import shop
from deploy.story.people import Buyer, Grounds
from shared.storage.inspect import logged
from tests.journeys.town import Town


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
