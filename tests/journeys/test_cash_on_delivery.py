"""Cash at the door: who may, who takes it, what becomes of what nobody takes, and when the shop sees it."""

from __future__ import annotations

from deploy.story.shop import ADDRESS
from tests.golden import matches_tape
from tests.journeys.depot import Depot

CUP, LAMP, FREIGHT = 10_000, 30_000, 800


def test_cash_taken_at_the_door_is_receipt_and_reaches_the_shop_once_the_carrier_has_paid(
    idle_shop, depot: Depot, request
) -> None:
    order_no = depot.cash_order(cup=1)
    depot.grounds.advance(hours=2)
    waiting = depot.buyer.order(order_no)
    assert (waiting["state"], waiting["payment_status"]) == ("CONFIRMED", "cod_pending")  # never unpaid-expired

    (parcel,) = depot.parcels(order_no)
    assert parcel["cod_amount"] == CUP + FREIGHT
    tracking_no = depot.dispatch(parcel["shipment_id"])
    depot.sell_at_the_door(tracking_no)
    paid = depot.buyer.order(order_no)
    assert (paid["state"], paid["payment_status"], paid["paid_amount"]) == ("RECEIVED", "paid", CUP + FREIGHT)

    depot.grounds.advance(hours=2)
    held = depot.escrow(order_no)
    assert (held["state"], held["reason"], held["held"]) == ("HELD", "cash_not_remitted", CUP + FREIGHT)
    statement = depot.remit(order_no, tracking_no)
    assert (statement["expected"], statement["difference"]) == (CUP + FREIGHT, 0)
    assert depot.escrow(order_no)["state"] == "RELEASED"

    depot.grounds.advance(days=9)
    assert depot.state(order_no) == "COMPLETED"
    matches_tape("cash_on_delivery", depot.tape.news(), depot.group_no, request.config)


def test_much_cash_and_far_places_are_looked_at_first_and_abroad_nobody_collects(depot: Depot, request) -> None:
    dear, also_dear = depot.cash_order(lamp=17), depot.cash_order(lamp=17)
    assert [depot.state(dear), depot.state(also_dear)] == ["AWAITING_REVIEW"] * 2
    depot.shop.do("POST", f"/v1/orders/{dear}/approve")
    depot.shop.do("POST", f"/v1/orders/{also_dear}/reject")
    depot.grounds.settle()
    assert [depot.state(dear), depot.state(also_dear)] == ["CONFIRMED", "CANCELLED"]
    matches_tape("cash_rejected", depot.tape.news(), depot.group_no, request.config)
    depot.buyer.cancel(dear)

    depot.buyer.address = ADDRESS | {"region": "CN-XZ", "city": "拉萨"}
    far = depot.cash_order(cup=1)
    assert (depot.state(far), depot.rules_hit(far)) == ("AWAITING_REVIEW", ["cod_remote"])
    depot.buyer.cancel(far)
    depot.buyer.address = ADDRESS | {"region": "KR-11", "city": "Seoul"}
    abroad = depot.cash_order(cup=1)
    assert depot.buyer.order(abroad)["end_reason"] == "risk"
    assert depot.state(depot.order(cup=1)) == "CONFIRMED"  # paid online it goes everywhere
    depot.buyer.cancel(f"{depot.group_no}-1")
    depot.grounds.settle()


def test_each_of_two_parcels_collects_what_is_in_it(depot: Depot, request) -> None:
    order_no = depot.cash_order(cup=1, lamp=1)
    cup, lamp = depot.by_sku(order_no, depot.cup, depot.lamp)
    shares = {parcel["shipment_id"]: parcel["cod_amount"] for parcel in depot.parcels(order_no)}
    assert shares == {cup: CUP + FREIGHT // 4, lamp: LAMP + FREIGHT * 3 // 4}

    first, second = depot.dispatch(cup), depot.dispatch(lamp)
    depot.sell_at_the_door(first)
    assert (depot.state(order_no), depot.said("PaymentConfirmed")) == ("SHIPPED", [])
    depot.sell_at_the_door(second)
    assert (depot.state(order_no), depot.buyer.order(order_no)["paid_amount"]) == ("RECEIVED", CUP + LAMP + FREIGHT)
    assert depot.said("PaymentConfirmed") == ["PaymentConfirmed"]


def test_of_two_parcels_one_is_paid_and_one_refused(depot: Depot, request) -> None:
    order_no = depot.cash_order(cup=1, lamp=1)
    cup, lamp = (depot.dispatch(shipment_id) for shipment_id in depot.by_sku(order_no, depot.cup, depot.lamp))
    depot.sell_at_the_door(cup)
    depot.drive(lamp)
    depot.courier.deed(lamp, "refuse", reason="changed_mind")
    depot.deed(lamp, "return")
    assert (depot.state(order_no), depot.refund(order_no)) == ("DELIVERED", 0)

    depot.finish(order_no)
    depot.grounds.advance(days=2, minutes=1)
    kept = depot.buyer.order(order_no)
    assert (kept["state"], kept["paid_amount"]) == ("RECEIVED", CUP + FREIGHT // 4)
    matches_tape("cash_partly_refused", depot.tape.news(), depot.group_no, request.config)


def test_who_refuses_two_cash_orders_gets_no_third(depot: Depot, request) -> None:
    first = depot.cash_order(cup=2, lamp=1)
    cups, lamp = depot.by_sku(first, depot.cup, depot.lamp)
    lines = {line["sku"]: line["line_id"] for parcel in depot.parcels(first) for line in parcel["lines"]}
    for shipment_id in (cups, lamp):
        depot.refuse(depot.dispatch(shipment_id))
    ended = depot.buyer.order(first)
    assert (ended["state"], ended["end_reason"], ended["payment_status"]) == ("CLOSED", "cod_refused", "unpaid")

    left = depot.on_shelf(depot.cup), depot.on_shelf(depot.lamp)
    assert depot.told(first).count("parcel_came_back") == 2
    assert {cups, lamp} <= {one["shipment_id"] for one in depot.shop.returns()}
    depot.shop.inspect(cups, (lines[depot.cup], 1, 0, "resellable"), (lines[depot.cup], 1, 0, "scrap"))
    depot.shop.inspect(lamp, (lines[depot.lamp], 0, 1, "scrap"))
    depot.grounds.settle()
    assert (depot.on_shelf(depot.cup), depot.on_shelf(depot.lamp)) == (left[0] + 1, left[1])  # half is fit for sale
    matches_tape("cash_refused", depot.tape.news(), depot.group_no, request.config)

    second = depot.cash_order(cup=1)  # two parcels refused were one order refused
    assert (depot.state(second), depot.rules_hit(second)) == ("AWAITING_REVIEW", ["cod_refused_once"])
    depot.shop.do("POST", f"/v1/orders/{second}/approve")
    depot.grounds.settle()
    depot.refuse(depot.dispatch(depot.parcels(second)[0]["shipment_id"]))

    third = depot.cash_order(cup=1)
    assert depot.buyer.order(third)["end_reason"] == "risk"
    paid = depot.order(cup=1)
    assert depot.state(paid) == "CONFIRMED"
    depot.buyer.cancel(paid)
    depot.grounds.settle()


def test_a_parcel_refused_because_it_was_damaged_is_not_held_against_the_buyer(depot: Depot) -> None:
    order_no = depot.cash_order(cup=1)
    depot.refuse(depot.dispatch(depot.parcels(order_no)[0]["shipment_id"]), reason="damaged")
    again = depot.cash_order(cup=1)

    assert depot.state(order_no) == "CLOSED"
    assert (depot.state(again), depot.rules_hit(again)) == ("CONFIRMED", [])
    depot.buyer.cancel(again)
    depot.grounds.settle()


def test_cash_the_carrier_forgot_to_tell_of_is_found_by_asking(depot: Depot) -> None:
    order_no = depot.cash_order(cup=1)
    tracking_no = depot.dispatch(depot.parcels(order_no)[0]["shipment_id"])
    depot.bring(tracking_no)
    depot.courier.switch("callback_lost", scope={"what": "cash_collected"})
    depot.deed(tracking_no, "collect-cash")
    assert depot.state(order_no) == "DELIVERED"
    depot.grounds.advance(days=1, minutes=1)

    assert depot.state(order_no) == "RECEIVED"


def test_a_courier_who_brings_no_cash_is_asked_for_it_and_a_wrong_sum_is_what_was_paid(depot: Depot) -> None:
    order_no = depot.cash_order(cup=1)
    (parcel,) = depot.parcels(order_no)
    tracking_no = depot.dispatch(parcel["shipment_id"])
    depot.bring(tracking_no)
    depot.grounds.advance(days=1, minutes=1)
    shown = depot.staff.do("GET", f"/v1/shipments/{parcel['shipment_id']}")
    assert (depot.state(order_no), shown["attention"]) == ("DELIVERED", "cash_missing")

    depot.courier.switch("wrong_cash", delta=-300)
    depot.deed(tracking_no, "collect-cash")
    assert depot.staff.do("GET", f"/v1/shipments/{parcel['shipment_id']}")["attention"] is None
    depot.finish(order_no)
    depot.grounds.advance(days=2, minutes=1)
    assert depot.buyer.order(order_no)["paid_amount"] == CUP + FREIGHT - 300
