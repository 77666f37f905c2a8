"""Goods that lie in several warehouses, and goods that are sold before they are there."""

from __future__ import annotations

from tests.golden import matches_tape
from tests.journeys.depot import Depot

CHAIR, FREIGHT = 20_000, 800


def test_what_is_there_leaves_at_once_and_the_rest_when_it_comes_in(depot: Depot, request) -> None:
    depot.stock_chairs(east=1)
    order_no = depot.order(chair=3)
    assert [parcel["lines"][0]["qty"] for parcel in depot.parcels(order_no)] == [1]
    first = depot.dispatch(depot.parcels(order_no)[0]["shipment_id"])
    depot.bring(first)
    assert depot.state(order_no) == "PARTIALLY_SHIPPED"

    depot.grounds.advance(days=3)
    depot.receive_chairs(depot.east, 5)
    _, later = depot.parcels(order_no)
    assert (later["lines"][0]["qty"], later["overdue"]) == (2, False)
    depot.bring(depot.dispatch(later["shipment_id"]))

    assert (depot.state(order_no), depot.on_shelf(depot.chair)) == ("DELIVERED", 3)
    matches_tape("backorder", depot.tape.news(), depot.group_no, request.config)
    depot.finish(order_no)


def test_no_warehouse_has_all_of_it_so_two_send_a_part(depot: Depot) -> None:
    depot.stock_chairs(east=2, west=1)
    order_no = depot.order(chair=3)
    parts = {parcel["warehouse_id"]: parcel["lines"][0]["qty"] for parcel in depot.parcels(order_no)}
    assert parts == {depot.east: 2, depot.west: 1}

    for parcel in depot.parcels(order_no):
        depot.bring(depot.dispatch(parcel["shipment_id"]))
    assert (depot.state(order_no), depot.on_shelf(depot.chair)) == ("DELIVERED", 0)
    depot.finish(order_no)


def test_who_will_not_wait_gets_the_money_and_the_next_in_line_the_goods(depot: Depot) -> None:
    depot.stock_chairs()
    impatient, patient = depot.order(chair=2), depot.order(chair=1)
    depot.buyer.cancel(impatient)
    depot.grounds.settle()
    assert (depot.state(impatient), depot.refund(impatient)) == ("CANCELLED", 2 * CHAIR + FREIGHT)
    assert depot.parcels(patient) == []
    depot.receive_chairs(depot.east, 1)

    (parcel,) = depot.parcels(patient)
    depot.bring(depot.dispatch(parcel["shipment_id"]))
    assert (depot.state(patient), depot.on_shelf(depot.chair)) == ("DELIVERED", 0)
    depot.finish(patient)


def test_the_part_that_never_came_is_cancelled_and_paid_back_and_what_comes_later_is_for_sale(depot: Depot) -> None:
    depot.stock_chairs(east=1)
    order_no = depot.order(chair=3)
    depot.bring(depot.dispatch(depot.parcels(order_no)[0]["shipment_id"]))
    depot.buyer.cancel(order_no, "too_slow")
    depot.grounds.settle()

    assert (depot.state(order_no), depot.refund(order_no)) == ("DELIVERED", 2 * CHAIR)
    depot.receive_chairs(depot.east, 2)
    assert (len(depot.parcels(order_no)), depot.on_shelf(depot.chair)) == (1, 2)
    depot.finish(order_no)


def test_of_a_cash_order_each_parcel_collects_its_part_whenever_it_comes(depot: Depot) -> None:
    depot.stock_chairs(east=1)
    order_no = depot.cash_order(chair=2)
    depot.sell_at_the_door(depot.dispatch(depot.parcels(order_no)[0]["shipment_id"]))
    assert (depot.state(order_no), depot.buyer.order(order_no)["payment_status"]) == (
        "PARTIALLY_SHIPPED",
        "cod_pending",
    )
    depot.receive_chairs(depot.east, 1)
    first, later = (parcel["cod_amount"] for parcel in depot.parcels(order_no))
    assert (first, later) == ((CHAIR + FREIGHT // 2),) * 2
    depot.sell_at_the_door(depot.dispatch(depot.parcels(order_no)[1]["shipment_id"]))

    paid = depot.buyer.order(order_no)
    assert (paid["state"], paid["paid_amount"]) == ("RECEIVED", 2 * CHAIR + FREIGHT)
