"""Rules of stock and reservations, with nothing around them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inventory.domain.plan import Wanted, plan
from services.inventory.domain.reservation import Reservation
from services.inventory.domain.stock import Overdrawn, Shelves, Stock
from shared.contracts.inventory import StockAllocated, StockReserved

NOW = datetime(2026, 3, 14, 15, tzinfo=UTC)


def shelf(sku: str, **units: int) -> list[Stock]:
    """Warehouses with so many units."""
    return [Stock(sku=sku, warehouse_id=w, seller_id="shop", on_hand=qty) for w, qty in units.items()]


def shelves(*rows: list[Stock]) -> Shelves:
    made = Shelves()
    for one in rows:
        made.put(one[0].sku, "shop", one)
    return made


def order(**qty: int) -> Reservation:
    return Reservation(
        reservation_id="R-1", group_no="G", order_no="G-1", seller_id="shop", state="RELEASED",
        wanted=[Wanted(line_id=sku, sku=sku, qty=units) for sku, units in qty.items()],
    )  # fmt: skip


def test_of_two_warehouses_that_have_it_all_the_fuller_serves():
    planned = plan([Wanted(line_id="1", sku="A", qty=2)], {"A": shelf("A", east=2, west=5)})
    assert [(take.warehouse_id, take.qty) for take in planned.takes] == [("west", 2)]


def test_the_warehouse_that_serves_most_comes_first():
    wanted = [Wanted(line_id="1", sku="A", qty=5), Wanted(line_id="2", sku="B", qty=1)]
    stock = {"A": shelf("A", east=3, north=1, west=4), "B": shelf("B", east=1)}
    planned = plan(wanted, stock)
    assert {(take.warehouse_id, take.sku, take.qty) for take in planned.takes} in (
        {("east", "A", 3), ("east", "B", 1), ("west", "A", 2)},
        {("west", "A", 4), ("east", "A", 1), ("east", "B", 1)},
    )
    assert "north" not in {take.warehouse_id for take in planned.takes}


def test_units_are_promised_ahead_only_when_no_warehouse_has_them():
    east, west = shelf("A", east=1, west=1)
    east.backorder_limit = 9
    planned = plan([Wanted(line_id="1", sku="A", qty=3)], {"A": [east, west]})
    assert {(take.warehouse_id, take.qty, take.backordered) for take in planned.takes} == {
        ("east", 1, 1),
        ("west", 1, 0),
    }


def test_what_others_wait_for_is_not_to_be_had():
    (row,) = shelf("A", east=5)
    row.backordered, row.backorder_limit = 3, 3
    assert (row.available, row.room) == (2, 0)


UNITS = st.integers(0, 6)


@given(
    stock=st.dictionaries(
        st.sampled_from("ABC"), st.dictionaries(st.sampled_from(["east", "north", "west"]), st.tuples(UNITS, UNITS))
    ),
    qty=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 8)), min_size=1, max_size=4),
)
def test_an_order_is_planned_whole_from_what_is_there_or_not_at_all(stock, qty):
    rows = {
        sku: [
            Stock(sku=sku, warehouse_id=w, seller_id="shop", on_hand=units, backorder_limit=room)
            for w, (units, room) in at.items()
        ]
        for sku, at in stock.items()
    }
    wanted = [Wanted(line_id=str(n), sku=sku, qty=units) for n, (sku, units) in enumerate(qty)]
    planned = plan(wanted, rows)
    for sku in "ABC":
        needed = sum(line.qty for line in wanted if line.sku == sku)
        can = sum(row.available + row.room for row in rows.get(sku, []))
        assert any(one.sku == sku for one in planned.shortages) == (needed > can)
    if planned.shortages:
        assert not planned.takes
        return
    for line in wanted:
        assert sum(t.qty + t.backordered for t in planned.takes if t.line_id == line.line_id) == line.qty
    for sku, kept in rows.items():
        for row in kept:
            mine = [t for t in planned.takes if (t.sku, t.warehouse_id) == (sku, row.warehouse_id)]
            assert sum(t.qty for t in mine) <= row.available
            assert sum(t.backordered for t in mine) <= row.room
        needed = sum(line.qty for line in wanted if line.sku == sku)
        here = sum(row.available for row in kept)
        assert sum(t.backordered for t in planned.takes if t.sku == sku) == max(0, needed - here)
    whole = [
        w
        for w in ("east", "north", "west")
        if all(
            sum(line.qty for line in wanted if line.sku == sku)
            <= sum(row.available for row in rows.get(sku, []) if row.warehouse_id == w)
            for sku in {line.sku for line in wanted}
        )
    ]
    if whole:
        assert len({t.warehouse_id for t in planned.takes}) == 1


def test_no_movement_takes_what_is_not_there():
    on = shelves(shelf("A", east=3))
    on.move("hold", "A", "east", held=2)
    changes: list[dict[str, Any]] = [{"on_hand": -2}, {"held": -3}, {"held": 2}, {"allocated": -1}, {"backordered": -1}]
    for change in changes:
        with pytest.raises(Overdrawn):
            on.move("adjust", "A", "east", **change)
    row = on.at("A", "east")
    assert (row.on_hand, row.held, row.allocated, row.backordered) == (3, 2, 0, 0)
    assert len(on.movements) == 1


def test_a_hold_is_only_ever_prolonged():
    on, one = shelves(shelf("A", east=3)), order(A=1)
    assert isinstance(one.take(on, NOW), StockReserved)
    assert not one.extend(NOW - timedelta(minutes=1))
    assert one.extend(NOW + timedelta(minutes=1))
    assert one.expire(on, NOW) is None
    assert one.expire(on, NOW + timedelta(minutes=1)) is not None
    assert not one.extend(NOW + timedelta(days=1)), "what ran out is not revived by a late word"
    assert one.state == "EXPIRED"


def test_a_hold_that_ran_out_can_still_be_confirmed_after_goods_came_in_for_others():
    on, one = shelves(shelf("A", east=3)), order(A=1)
    one.take(on, NOW)
    one.expire(on, NOW)
    assert one.fill(on, "A") == []
    assert isinstance(one.allocate(on, one.wanted, NOW), StockAllocated)


def test_every_end_of_a_reservation_is_reached_once():
    on, one = shelves(shelf("A", east=3)), order(A=2)
    one.take(on, NOW)
    assert one.allocate(on, one.wanted, NOW) is not None
    assert one.allocate(on, one.wanted, NOW) is None
    assert one.expire(on, NOW + timedelta(days=1)) is None
    assert one.release(on, "why") is not None
    assert one.release(on, "why") is None
    assert one.allocate(on, one.wanted, NOW) is None
    assert one.state == "RELEASED"
