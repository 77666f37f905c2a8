"""The harness itself: it strikes at everything there is, it can tell right from wrong, and short runs pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest

from chaos.controls import CONTROLS
from chaos.faults import FAULTS
from chaos.figures import ZERO, Outcome
from chaos.report import failures
from chaos.run import Size, run
from chaos.shop import Shop
from chaos.traffic import WAY
from deploy.fleet import FLEET
from deploy.stack import Stack
from deploy.story.people import Unexpected
from shared.telemetry.faults import POINTS

SHORT = Size(orders=12, rate=8, seconds=1, patience=120)


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    stack.settle()
    yield Shop(stack)
    stack.settle(120)


@pytest.mark.servers
@pytest.mark.xdist_group("stack")
@pytest.mark.parametrize("name", ["poison", "duplicates", "stop.payment.worker"])
def test_a_shop_under_fire_loses_doubles_and_oversells_nothing(stack: Stack, shop: Shop, name: str) -> None:
    found = run(stack, shop, FAULTS[name], seed=7, size=SHORT, mode="stack")

    _leave(shop)
    assert found.outcome.orders >= SHORT.orders
    assert (found.outcome.broken, found.words, found.notes) == ([], {}, [])


def _leave(shop: Shop) -> None:
    """Nobody wants anything any more, and what is under way arrives: little of this rings in later stories."""
    for parcel in shop.seller.do("GET", "/v1/shipments?limit=100")["items"]:
        if parcel["tracking_no"]:
            for deed in WAY:  # those that were done are refused
                with suppress(Unexpected):
                    shop.courier.deed(parcel["tracking_no"], deed)
    shop.grounds.settle()
    for buyer in shop.buyers:
        for order in buyer.do("GET", "/v1/orders?limit=100")["items"]:
            place = f"/v1/orders/{order['order_no']}"
            if buyer.ask("POST", f"{place}/cancel", {"reason": "changed_mind"}).status >= 400:
                buyer.ask("POST", f"{place}/receipt")


def test_every_process_and_every_crash_point_is_struck_at() -> None:
    roles = [f"{one.name}.{role}" for one in FLEET for role in ("web", "worker")]

    assert {f"{deed}.{role}" for deed in ("kill", "stop") for role in roles} <= FAULTS.keys()
    assert {name.split(".", 2)[2] for name in FAULTS if name.startswith("crash.")} == set(POINTS)


def test_a_figure_that_must_be_zero_fails_a_run_and_one_that_stays_zero_fails_its_control() -> None:
    figures = {"mode": "stack", "fault": "nothing", "seed": 1, "orders": 100, "recovery_s": 0.0, "availability": 1.0}
    well, lost = (msgspec.convert(figures | dict.fromkeys(ZERO, 0) | {"lost": many}, Outcome) for many in (0, 1))

    assert (failures(well), failures(lost)) == ([], ["lost is 1"])
    paused = msgspec.structs.replace(well, fault="upgrade", availability=0.98)
    assert failures(paused) == ["available 98.0%"]
    lost.control = well.control = next(one.name for one in CONTROLS.values() if one.guards == ("lost",))
    assert (failures(well), failures(lost)) == (["lost stayed zero"], [])
