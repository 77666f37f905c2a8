"""Whoever is first: paid, expired or cancelled; cancelled or shipped. However the moves fall, every order ends well.

``python -m tests.races`` goes on where these stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from services.payment.domain import paying
from services.shipping.domain.shipment import DEEDS
from shared.telemetry import logs
from tests.races.explorer import Explorer, Finding, Race, replay
from tests.races.quarter import Quarter
from tests.races.races import PAY, PAY_LATE, PLACE, SHIP


@pytest.fixture
def quarters() -> Iterator[list[Quarter]]:
    """Fresh ones; what goes wrong in them on purpose is not worth a log."""
    logs.configure("tests", "CRITICAL")
    opened = [Quarter(), Quarter()]
    yield opened
    for quarter in opened:
        quarter.close()
    logs.configure("tests", "WARNING")


@pytest.mark.parametrize(
    ("race", "moves", "interleavings"),
    [(PAY, 2400, 2000), (SHIP, 1600, 2000), (PAY_LATE, 500, 50), (PLACE, 300, 1)],
    ids=["paid, expired or cancelled", "cancelled or shipped", "paid after all was over", "cancelled at once"],
)
def test_however_the_moves_fall_every_order_ends_well(
    quarters: list[Quarter], race: Race, moves: int, interleavings: int
) -> None:
    explorer = Explorer(quarters[0], race, seed=1)
    explorer.run(moves)

    assert explorer.paths() >= interleavings


def test_a_payment_that_takes_one_sum_for_two_is_found(
    quarters: list[Quarter], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, numbers = paying.observe, count()

    def careless(payment, attempt, charge, now):
        made_up = [replace(money, txn=f"{money.txn}-{next(numbers)}") for money in charge.captures]
        return honest(payment, attempt, replace(charge, captures=tuple(made_up)), now)

    monkeypatch.setattr(paying, "observe", careless)
    _is_found(quarters, PAY)


def test_a_warehouse_that_hands_over_what_was_stopped_is_found(
    quarters: list[Quarter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEEDS["hand-over"], "CANCELLED", "SHIPPED")
    _is_found(quarters, SHIP)


def _is_found(quarters: list[Quarter], race: Race) -> None:
    """And the moves that are shown lead there again, in another quarter."""
    first, second = quarters
    with pytest.raises(Finding) as found:
        Explorer(first, race, seed=1).run(1500)
    with pytest.raises(Finding) as again:
        replay(second, race, found.value.moves)
    assert again.value.wrong == found.value.wrong
