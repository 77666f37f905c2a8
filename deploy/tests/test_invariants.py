"""Invariants that hold have teeth: of goods that came back and money that is paid out, what was done wrong is named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from deploy.ops.invariants import (
    money_is_somewhere,
    nothing_waits_for_nothing,
    stock_is_never_promised_twice,
    the_services_agree,
)
from deploy.ops.invariants.seeing import ALL


def seen(*, back: int, left: int, fit: int, kind: str = "sale", heard: bool = True) -> Any:
    """A parcel of cups: so many units left with it, were found fit for sale, and are back on the shelf."""
    finding = {"sku": "cup", "qty_accepted": fit, "disposition": "resellable"}
    scrap = {"sku": "cup", "qty_accepted": 1, "disposition": "scrap"}
    returned = {"shipment_id": "s-1", "warehouse_id": "east", "findings": [finding, scrap]}
    shipment = {"shipment_id": "s-1", "order_no": "G1-1", "state": "RETURNED_TO_SENDER", "kind": kind}

    def rows(_store: str, statement: str) -> list[Any]:
        if "kind = 'restock'" in statement:
            return [("s-1", "cup", "east", back)] if back else []
        return [("s-1", "cup", "east", -left)] if "kind = 'deduct'" in statement else []

    return SimpleNamespace(
        rows=rows,
        only=lambda *_: ALL,
        documents=lambda *_: [shipment],
        returns=[returned] if heard else [],
        transfers=[],
        orders=[],
        payments=[],
        reservations={},
    )


@pytest.mark.parametrize(
    ("back", "left", "fit", "broken"),
    [(2, 3, 2, False), (0, 3, 0, False), (3, 3, 2, True), (0, 3, 2, True), (4, 3, 4, True)],
)
def test_no_more_is_put_back_than_was_found_fit_or_had_left(back: int, left: int, fit: int, broken: bool) -> None:
    _, breaches = stock_is_never_promised_twice(seen(back=back, left=left, fit=fit))
    assert bool(breaches) == broken
    assert all("cup@east" in one and "s-1" in one for one in breaches)


@pytest.mark.parametrize(
    ("kind", "heard", "broken"), [("sale", True, 0), ("sale", False, 1), ("replacement", False, 0)]
)
def test_what_is_back_in_its_warehouse_is_known_to_be_inspected(kind: str, heard: bool, broken: int) -> None:
    _, breaches = the_services_agree(seen(back=0, left=0, fit=0, kind=kind, heard=heard))
    assert len(breaches) == broken


@pytest.mark.parametrize(
    ("state", "booked", "waits", "broken"),
    [
        ("REQUESTED", {"seller": -900, "payouts": 900}, True, (0, 0)),
        ("REQUESTED", {"seller": -900, "payouts": 900}, False, (0, 1)),
        ("COMPLETED", {"seller": -900, "payouts": 0, "channel": 900}, False, (0, 0)),
        ("COMPLETED", {"seller": -900, "payouts": 900}, False, (1, 0)),
        ("FAILED", {"seller": 0, "payouts": 0}, False, (0, 0)),
        ("FAILED", {"seller": -900, "payouts": 0, "channel": 900}, False, (1, 0)),
    ],
)
def test_a_payout_is_in_the_balance_on_its_way_or_gone(
    state: str, booked: dict[str, int], waits: bool, broken: tuple[int, int]
) -> None:
    def rows(_store: str, statement: str) -> list[Any]:
        if "FROM ledger_entry e" in statement:
            return [("p-1", family, amount) for family, amount in booked.items()]
        return [("p-1:1",)] if waits and "FROM intent" in statement else []

    see: Any = SimpleNamespace(
        rows=rows,
        only=lambda *_: ALL,
        scope=None,
        shipments=[],
        payments=[], orders=[], timers={"order": set(), "shipping": set(), "payment": set()},
        payouts=[{"payout_id": "p-1", "amount": 900, "state": state}],
    )  # fmt: skip
    found = [check(see)[1] for check in (money_is_somewhere, nothing_waits_for_nothing)]
    assert tuple(map(len, found)) == broken
