"""What becomes of the stock when orders are placed, paid, cancelled and shipped."""

from datetime import timedelta

import pytest

from services.inventory.store import book
from services.inventory.tests import makers
from services.inventory.tests.makers import (
    check_books,
    confirmed,
    numbers,
    placed,
    put_in,
    shipped,
    stage,
    state,
    stocked,
    terms,
    warehouse,
)
from shared.contracts.inventory import (
    BackorderFilled,
    StockAllocated,
    StockDeducted,
    StockDepleted,
    StockLow,
    StockReleased,
    StockReplenished,
    StockReservationExpired,
    StockReservationFailed,
    StockReserved,
)


def test_an_order_is_held_then_firm_then_gone_from_the_shelf(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=5, B=2)
    order = placed(on, A=2, B=1)
    on.hear(order)
    assert numbers(on, "A", main) == (5, 2, 0, 0)
    (reserved,) = on.said(StockReserved)
    assert reserved.order_no == order.order_no
    assert [(line.line_id, line.sku, line.warehouse_id, line.qty) for line in reserved.lines] == [
        ("l-A", "A", main, 2),
        ("l-B", "B", main, 1),
    ]
    on.hear(confirmed(order))
    assert numbers(on, "A", main) == (5, 0, 2, 0)
    assert len(on.said(StockAllocated)[0].allocations) == 2
    on.hear(shipped(order, main, "s-1"))
    assert numbers(on, "A", main) == (3, 0, 0, 0)
    (deducted,) = on.said(StockDeducted)
    assert [(line.sku, line.qty, line.on_hand_after) for line in deducted.lines] == [("A", 2, 3), ("B", 1, 1)]
    assert state(on, order) == "CONSUMED"
    assert not on.kept()
    check_books(on)


def test_an_order_is_had_whole_or_not_at_all(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=5, B=2)
    order = placed(on, A=5, B=3)
    on.hear(order)
    (failed,) = on.said(StockReservationFailed)
    assert [(one.line_id, one.sku, one.wanted, one.available) for one in failed.shortages] == [("l-B", "B", 3, 2)]
    assert numbers(on, "A", main) == (5, 0, 0, 0)
    assert state(on, order) == "REFUSED"
    on.hear(makers.cancelled(order))
    assert not on.said(StockReleased), "nothing was held, so nothing is given back"
    check_books(on)


def test_two_lines_of_one_sku_share_what_there_is(sqlite_url, tmp_path):
    on, _ = stocked(sqlite_url, tmp_path, A=5)
    on.hear(placed(on, lines={"l1": ("A", 3), "l2": ("A", 3)}))
    (short,) = on.said(StockReservationFailed)[0].shortages
    assert (short.line_id, short.wanted, short.available) == ("l2", 3, 2)


def test_another_shops_stock_and_unknown_skus_serve_nobody(sqlite_url, tmp_path):
    on = stage(sqlite_url, tmp_path)
    theirs = warehouse(on, shop=makers.OTHER_SHOP)
    makers.seller(on, makers.OTHER_SHOP).post(
        "/v1/stock-receipts", {"warehouse_id": theirs, "lines": [{"sku": "X", "qty": 5}]}
    )
    on.hear(placed(on, X=1), placed(on, nonsense=1))
    assert [fact.shortages[0].available for fact in on.said(StockReservationFailed)] == [0, 0]


def test_one_warehouse_that_has_everything_is_preferred_else_several_serve(database_url, tmp_path):
    on = stage(database_url, tmp_path)
    east, west = warehouse(on, "East"), warehouse(on, "West")
    put_in(on, east, A=9)
    put_in(on, west, A=3, B=1)
    whole, split = placed(on, A=2, B=1), placed(on, A=10)
    on.hear(whole, split)
    first, second = on.said(StockReserved)
    assert {line.warehouse_id for line in first.lines} == {west}
    assert sorted((line.warehouse_id, line.qty) for line in second.lines) == sorted([(east, 9), (west, 1)])
    assert {line.line_id for line in second.lines} == {"l-A"}
    check_books(on)


def test_a_hold_ends_when_nobody_comes_back_for_it(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=1)
    order = placed(on, A=1)
    on.hear(order)
    until = on.said(StockReserved)[0].expires_at
    assert until >= order.placed_at + timedelta(minutes=45)
    on.advance(minutes=44)
    assert numbers(on, "A", main) == (1, 1, 0, 0)
    on.advance(minutes=2)
    assert numbers(on, "A", main) == (1, 0, 0, 0)
    (expired,) = on.said(StockReservationExpired)
    assert [(line.sku, line.qty) for line in expired.lines] == [("A", 1)]
    on.hear(makers.cancelled(order))
    assert not on.said(StockReleased), "it was given back already"
    check_books(on)


@pytest.mark.parametrize("why", ["asked_to_pay", "paying", "reviewed"])
def test_a_hold_lasts_as_long_as_the_buyer_may_still_get_the_goods(sqlite_url, tmp_path, why):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    order = placed(on, A=1)
    on.hear(order)
    deadline = on.now() + timedelta(hours=72)
    on.hear(
        {
            "asked_to_pay": makers.payment_requested(order, pay_by=deadline),
            "paying": makers.payment_initiated(order, expires_at=deadline),
            "reviewed": makers.held_for_review(order, deadline - timedelta(hours=24)),
        }[why]
    )
    on.advance(hours=72, minutes=14)
    assert numbers(on, "A", main) == (1, 1, 0, 0)
    on.advance(minutes=2)
    assert numbers(on, "A", main) == (1, 0, 0, 0)


def test_a_nearer_deadline_does_not_shorten_a_hold(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    order = placed(on, A=1)
    on.hear(order, makers.payment_initiated(order, expires_at=on.now() + timedelta(minutes=1)))
    on.advance(minutes=44)
    assert numbers(on, "A", main) == (1, 1, 0, 0)


def test_a_confirmed_order_never_expires(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    order = placed(on, A=1)
    on.hear(order, confirmed(order))
    on.advance(days=30)
    assert numbers(on, "A", main) == (1, 0, 1, 0)
    assert not on.said(StockReservationExpired)


def test_an_order_confirmed_after_its_hold_ran_out_gets_the_goods_again(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=1)
    order = placed(on, A=1)
    on.hear(order)
    on.advance(hours=1)
    on.hear(confirmed(order))
    assert numbers(on, "A", main) == (1, 0, 1, 0)
    assert len(on.said(StockAllocated)) == 1
    check_books(on)


def test_or_hears_that_they_are_sold(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    late, lucky = placed(on, A=1), placed(on, A=1)
    on.hear(late)
    on.advance(hours=1)
    on.hear(lucky, confirmed(late))
    (failed,) = on.said(StockReservationFailed)
    assert failed.order_no == late.order_no
    assert not on.said(StockAllocated)
    assert numbers(on, "A", main) == (1, 1, 0, 0)
    on.hear(makers.cancelled(late))
    check_books(on)


@pytest.mark.parametrize("firm", [False, True])
def test_a_cancelled_order_gives_its_stock_back_once(database_url, tmp_path, firm):
    on, main = stocked(database_url, tmp_path, A=3)
    order = placed(on, A=2)
    on.hear(order, *([confirmed(order)] if firm else []))
    body = on.bytes_of(makers.cancelled(order))
    on.hear_bytes(body)
    on.hear_bytes(body)
    assert numbers(on, "A", main) == (3, 0, 0, 0)
    (released,) = on.said(StockReleased)
    assert [(line.sku, line.warehouse_id, line.qty) for line in released.lines] == [("A", main, 2)]
    assert released.cause_event_id in body.decode()
    on.advance(hours=2)
    assert not on.said(StockReservationExpired)
    check_books(on)


@pytest.mark.parametrize("batch", ["together", "apart"])
def test_an_order_cancelled_before_it_is_heard_of_is_never_held(database_url, tmp_path, batch):
    on, main = stocked(database_url, tmp_path, A=3)
    order = placed(on, A=2)
    if batch == "together":
        on.hear(makers.cancelled(order), order)
    else:
        on.hear(makers.cancelled(order))
        on.hear(order)
    assert numbers(on, "A", main) == (3, 0, 0, 0)
    assert not on.said(StockReserved)
    assert not on.kept()


def test_a_fact_ahead_of_its_order_waits_for_it(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=3)
    order = placed(on, A=2)
    on.hear(confirmed(order))
    assert [row.status for row in on.kept()] == ["early"]
    on.hear(order)
    assert numbers(on, "A", main) == (3, 0, 2, 0)
    assert not on.kept()


def test_a_shipment_ahead_of_the_confirmation_waits_for_it(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=3)
    order = placed(on, A=2)
    on.hear(order, shipped(order, main))
    assert numbers(on, "A", main) == (3, 2, 0, 0)
    on.hear(confirmed(order))
    assert numbers(on, "A", main) == (1, 0, 0, 0)
    assert not on.kept()


def test_each_shipment_takes_its_own_units_once(database_url, tmp_path):
    on = stage(database_url, tmp_path)
    east, west = warehouse(on, "East"), warehouse(on, "West")
    put_in(on, east, A=3)
    put_in(on, west, A=2)
    order = placed(on, A=5)
    on.hear(order, confirmed(order))
    put_in(on, east, A=1)
    first = on.bytes_of(shipped(order, east, "s-1", A=3))
    on.hear_bytes(first)
    on.hear_bytes(first)
    on.hear(shipped(order, east, "s-1", A=1))  # said once more under another id
    assert numbers(on, "A", east) == (1, 0, 0, 0), "the unit that was put in meanwhile is still there"
    assert state(on, order) == "ALLOCATED"
    assert not on.kept()
    on.hear(shipped(order, west, "s-2", A=2))
    assert numbers(on, "A", west) == (0, 0, 0, 0)
    assert state(on, order) == "CONSUMED"
    assert len(on.said(StockDeducted)) == 2
    check_books(on)


def test_a_parcel_sent_back_to_its_buyer_was_never_in_stock(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=3)
    order = placed(on, A=1)
    on.hear(order, confirmed(order), shipped(order, main, kind="return_back"))
    assert numbers(on, "A", main) == (3, 0, 1, 0)


def test_what_is_cancelled_of_an_order_is_given_back_and_the_rest_is_shipped(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=4, B=1)
    order = placed(on, A=3, B=1)
    on.hear(order, confirmed(order), makers.lines_cancelled(order, A=1, B=1))
    assert numbers(on, "A", main) == (4, 0, 2, 0)
    assert numbers(on, "B", main) == (1, 0, 0, 0)
    assert sorted((line.sku, line.qty) for line in on.said(StockReleased)[0].lines) == [("A", 1), ("B", 1)]
    on.hear(shipped(order, main, A=2))
    assert state(on, order) == "CONSUMED"
    check_books(on)


def test_whose_units_were_cancelled_is_decided_once_the_other_warehouse_has_shipped(database_url, tmp_path):
    on = stage(database_url, tmp_path)
    east, west = warehouse(on, "East"), warehouse(on, "West")
    put_in(on, east, A=3)
    put_in(on, west, A=2)
    order = placed(on, A=5)
    on.hear(order, confirmed(order))
    on.hear(makers.lines_cancelled(order, A=3))  # east was stopped, west has left, and we have not heard that yet
    assert [row.status for row in on.kept()] == ["early"]
    on.hear(shipped(order, west, A=2))
    assert numbers(on, "A", east) == (3, 0, 0, 0)
    assert numbers(on, "A", west) == (0, 0, 0, 0)
    assert state(on, order) == "CONSUMED"
    assert not on.kept()
    check_books(on)


def test_closing_an_order_waits_for_shipments_that_are_still_to_be_heard_of(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=2)
    order = placed(on, A=2)
    on.hear(order, confirmed(order), makers.closed(order))
    assert numbers(on, "A", main) == (2, 0, 2, 0)
    on.hear(shipped(order, main))
    assert numbers(on, "A", main) == (0, 0, 0, 0)
    assert not on.said(StockReleased)
    assert not on.kept()


def test_units_that_left_after_they_were_given_back_are_taken_from_what_is_free(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=2)
    order = placed(on, A=2)
    on.hear(order, confirmed(order), makers.cancelled(order), shipped(order, main))
    assert numbers(on, "A", main) == (0, 0, 0, 0)
    check_books(on)


def test_units_that_left_though_the_books_have_none_are_a_case_for_the_operator(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=2)
    order, other = placed(on, A=2), placed(on, A=2)
    on.hear(order, confirmed(order), makers.cancelled(order), other, confirmed(other))
    on.hear(shipped(order, main))
    (row,) = on.kept()
    assert row.status == "failed"
    assert "Overdrawn" in row.error
    assert numbers(on, "A", main) == (2, 0, 2, 0)
    check_books(on)


def test_goods_not_here_yet_are_promised_within_the_limit_and_sent_when_they_come(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=1)
    terms(on, "A", main, backorders=3)
    first, second, third = placed(on, A=3), placed(on, A=1), placed(on, A=1)
    on.hear(first, second, third)
    assert [(line.qty, line.backordered_qty) for line in on.said(StockReserved)[0].lines] == [(1, 2)]
    assert [(line.qty, line.backordered_qty) for line in on.said(StockReserved)[1].lines] == [(0, 1)]
    assert [fact.order_no for fact in on.said(StockReservationFailed)] == [third.order_no]
    assert numbers(on, "A", main) == (1, 1, 0, 3)
    on.hear(confirmed(first), confirmed(second))
    assert state(on, first) == "BACKORDERED"
    check_books(on)

    put_in(on, main, A=2)
    on.fire()
    (filled,) = on.said(BackorderFilled)  # first come, first served
    assert (filled.order_no, filled.qty, filled.still_backordered_qty) == (first.order_no, 2, 0)
    assert state(on, first) == "ALLOCATED"
    assert state(on, second) == "BACKORDERED"
    assert numbers(on, "A", main) == (3, 0, 3, 1)

    put_in(on, main, A=5)
    on.fire()
    assert on.said(BackorderFilled)[1].order_no == second.order_no
    assert numbers(on, "A", main) == (8, 0, 4, 0)
    check_books(on)


def test_what_came_in_for_those_who_wait_is_not_sold_to_others_meanwhile(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=0 + 1)
    terms(on, "A", main, backorders=2)
    waiting, hasty = placed(on, A=3), placed(on, A=1)
    on.hear(waiting, confirmed(waiting))
    terms(on, "A", main, backorders=0)
    put_in(on, main, A=2)  # and before the goods are given out,
    on.hear(hasty)
    assert [fact.order_no for fact in on.said(StockReservationFailed)] == [hasty.order_no]
    on.fire()
    assert numbers(on, "A", main) == (3, 0, 3, 0)


def test_who_came_to_wait_while_others_were_served_is_served_next(sqlite_url, tmp_path, monkeypatch):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    terms(on, "A", main, backorders=5)
    orders = [placed(on, A=1) for _ in range(4)]
    on.hear(*orders, *map(confirmed, orders))
    put_in(on, main, A=5)
    real, calls = book._turn, []

    def nobody_yet(tx, sku):
        calls.append(sku)
        return real(tx, sku)[:1] if len(calls) > 1 else []

    monkeypatch.setattr(book, "_turn", nobody_yet)
    on.fire()
    assert [fact.order_no for fact in on.said(BackorderFilled)] == [order.order_no for order in orders[1:]]
    assert numbers(on, "A", main) == (6, 0, 4, 0)
    check_books(on)


def test_goods_given_back_go_to_who_waits_for_them(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=2)
    terms(on, "A", main, backorders=2)
    has, waits = placed(on, A=2), placed(on, A=2)
    on.hear(has, waits, confirmed(waits), makers.cancelled(has))
    on.fire()
    assert numbers(on, "A", main) == (2, 0, 2, 0)
    assert on.said(BackorderFilled)[0].order_no == waits.order_no
    check_books(on)


def test_an_unpaid_order_that_waited_hears_of_its_goods_when_it_is_confirmed(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    terms(on, "A", main, backorders=1)
    order = placed(on, A=2)
    on.hear(order)
    put_in(on, main, A=1)
    on.fire()
    assert numbers(on, "A", main) == (2, 2, 0, 0)
    assert not on.said(BackorderFilled)
    on.hear(confirmed(order))
    assert [(line.qty, line.backordered_qty) for line in on.said(StockAllocated)[0].allocations] == [(2, 0)]
    check_books(on)


def test_a_cancelled_line_gives_up_what_is_not_here_before_what_is(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=2)
    terms(on, "A", main, backorders=2)
    order = placed(on, A=4)
    on.hear(order, confirmed(order), makers.lines_cancelled(order, A=3))
    assert numbers(on, "A", main) == (2, 0, 1, 0)
    (line,) = on.said(StockReleased)[0].lines
    assert (line.qty, line.backordered_qty) == (1, 2)
    check_books(on)


def test_low_and_sold_out_are_said_once_each_time_it_happens(database_url, tmp_path):
    on, main = stocked(database_url, tmp_path, A=5)
    assert [fact.available for fact in on.said(StockReplenished)] == [5]
    terms(on, "A", main, low=3)
    assert not on.said(StockLow)
    orders = [placed(on, A=1) for _ in range(5)]
    on.hear(*orders)
    (low,) = on.said(StockLow)
    assert (low.warehouse_id, low.available, low.threshold, low.suggested_qty) == (main, 2, 3, 4)
    terms(on, "A", main, low=3)
    assert [fact.sku for fact in on.said(StockDepleted)] == ["A"], "said when it happened, not again"
    on.hear(makers.cancelled(orders[0]))
    assert [fact.available for fact in on.said(StockReplenished)] == [5, 1]
    put_in(on, main, A=2)
    assert len(on.said(StockLow)) == 1
    on.hear(placed(on, A=1))
    assert len(on.said(StockLow)) == 2


def test_a_sku_is_sold_out_only_when_no_warehouse_has_it_and_none_takes_orders_for_it(sqlite_url, tmp_path):
    on = stage(sqlite_url, tmp_path)
    east, west = warehouse(on, "East"), warehouse(on, "West")
    put_in(on, east, A=1)
    put_in(on, west, A=1)
    terms(on, "A", west, backorders=1)
    on.hear(placed(on, A=1), placed(on, A=1))
    assert not on.said(StockDepleted)
    on.hear(placed(on, A=1))
    assert len(on.said(StockDepleted)) == 1


def test_a_sku_stays_with_the_seller_who_named_it_first(sqlite_url, tmp_path):
    on, main = stocked(sqlite_url, tmp_path, A=1)
    on.hear(makers.submitted("A", seller_id=makers.OTHER_SHOP, product_id="thief"))
    body = {"warehouse_id": main, "lines": [{"sku": "A", "qty": 1}]}
    assert makers.seller(on).post("/v1/stock-receipts", body).status == 201
    assert makers.seller(on, makers.OTHER_SHOP).get("/v1/stock/A").status == 404
    assert makers.seller(on).get("/v1/stock/A").json["product_id"] == f"p-{makers.SHOP}"
