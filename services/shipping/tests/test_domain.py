"""What is always true of shipments, whatever is done to them in whatever order."""

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.shipping.domain import Booking, Dispatch, OrderedLine, Report, underway
from services.shipping.tests.makers import GROUP, NOON, ORDER, cancel_wish
from shared.contracts.lines import SkuLine
from shared.contracts.shipping import Parcel, ShipmentCancellationRejected, ShipmentCancelled, Shipped
from shared.kernel.errors import Conflict

PARCELS = (Parcel(weight_g=800),)
STORY: list[tuple[Any, Any]] = [
    ("moved", "accepted"),
    ("moved", "out_for_delivery"),
    ("cash", "out_for_delivery"),
    ("delivered", "delivered"),
]
REPORTS = [
    Report(sequence=n, kind=kind, status=status, at=NOON, amount=900, currency="CNY")
    for n, (kind, status) in enumerate(STORY, 1)
]
DEEDS = ["pick", "pack", "booked", "hand-over", *REPORTS]


def dispatch(cod=900, **lines):
    ordered = tuple(OrderedLine(line_id=line, sku=f"sku-{line}", qty=qty) for line, qty in lines.items())
    return Dispatch(
        ORDER, GROUP, seller_id="shop-1", buyer_id="b", confirmed=True, lines=ordered, region="CN-SC", cod_amount=cod
    )


def plan(order, *units):
    wanted = [(where, SkuLine(line_id=line, sku=f"sku-{line}", qty=qty)) for where, line, qty in units]
    ids = (f"s{len(order.shipment_ids) + n}" for n in range(1, len(wanted) + 1))
    return order.plan(ids, wanted, NOON + timedelta(hours=48), NOON)


def do(shipment, deed):
    """One deed, as its door would do it; what is not possible now changes nothing."""
    if isinstance(deed, Report):
        return underway.hear(shipment, deed, NOON)
    with suppress(Conflict):
        if deed == "pick":
            return shipment.pick("somebody", NOON)
        if deed == "pack":
            shipment.pack(PARCELS, None, NOON)
        if deed == "booked" and shipment.booking is not None:
            answer = Booking(shipment.packings, "booked", "sh_1", "SBX1", "lb_1")
            return shipment.booked(answer) + underway.catch_up(shipment, NOON)
        if deed == "hand-over":
            return shipment.hand_over(NOON)
    return []


@given(st.lists(st.sampled_from(DEEDS), max_size=30))
def test_whatever_the_order_and_number_of_deeds_it_ends_at_the_door(deeds):
    (shipment,) = plan(dispatch(l1=2), ("w1", "l1", 2))
    said = []
    for deed in [*deeds, *DEEDS]:
        said += do(shipment, deed)
    counted = Counter(type(fact).__name__ for fact in said)
    assert shipment.state == "DELIVERED"
    assert counted == {
        "PickingStarted": 1, "ShipmentPacked": 1, "Shipped": 1, "TrackingUpdated": 2, "CashCollected": 1, "Delivered": 1
    }  # fmt: skip
    assert (shipment.attention, shipment.cash, shipment.heard, shipment.waiting) == ("", 900, 4, [])
    order = [type(fact).__name__ for fact in said]
    assert order.index("Shipped") < order.index("TrackingUpdated") < order.index("Delivered")


@given(st.lists(st.sampled_from([*DEEDS, "cancel", "ask again"]), max_size=40))
def test_a_unit_is_either_shipped_or_answered_for_as_stopped(deeds):
    order = dispatch(l1=2, l2=1)
    shipments = plan(order, ("w1", "l1", 2), ("w2", "l2", 1))
    said, asked = [], 0
    for deed in [*deeds, *DEEDS, "cancel"]:
        if deed in ("cancel", "ask again"):
            again = deed == "ask again" and asked > 0
            wish = cancel_wish(asked=2 if again else 1)
            before = order.answer
            answer, _ = order.answer_request(wish, shipments, "cause", NOON)
            asked += 1
            assert not again or order.answer == before
            if not again:
                said.append(answer)
        else:
            said += do(shipments[0], deed)
    shipped: Counter[str] = Counter()
    stopped: Counter[str] = Counter()
    for fact in said:
        if isinstance(fact, Shipped):
            shipped.update({line.line_id: line.qty for line in fact.lines})
        if isinstance(fact, ShipmentCancelled):
            stopped.update({kept.line_id: kept.qty for kept in fact.lines})
    answers = {id(fact): fact for fact in said if isinstance(fact, ShipmentCancelled | ShipmentCancellationRejected)}
    assert len(answers) >= 1
    assert shipped + Counter(order.stopped) == {"l1": 2, "l2": 1}
    assert sum(isinstance(fact, Shipped) for fact in said) <= 1
    assert set(stopped) == set(order.stopped)


@given(
    st.integers(0, 10**9),
    st.lists(st.integers(1, 50), min_size=1, max_size=8),
)
def test_the_shares_of_the_cash_sum_to_the_cash(cod, parts):
    order = dispatch(cod, l1=sum(parts))
    shares = [shipment.cod_amount for part in parts for shipment in plan(order, ("w1", "l1", part))]
    assert sum(shares) == cod
    assert min(shares) >= 0


@given(st.lists(st.sampled_from(["l1", "l2", "l3"]), max_size=6), st.permutations(["l1", "l2", "l3"]))
def test_line_by_line_each_unit_is_stopped_once(wishes, last):
    order = dispatch(l1=2, l2=1, l3=4)
    shipments = plan(order, ("w1", "l1", 2), ("w1", "l2", 1), ("w2", "l3", 3))  # one unit of l3 is back-ordered
    total: Counter[str] = Counter()
    seen = []
    for line in [*wishes, *last]:
        fact, _ = order.answer_request(cancel_wish(line), shipments, "cause", NOON)
        if order.answer not in seen:
            seen.append(order.answer)
            total.update({one.line_id: one.qty for one in fact.lines})
    assert total == {"l1": 2, "l2": 1, "l3": 4}
    assert {shipment.state for shipment in shipments} == {"CANCELLED"}
    assert plan(order, ("w2", "l3", 1)) == []
