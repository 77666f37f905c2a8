"""What becomes of parcels: several of one order, late ones, ones nobody is home for, ones that come back or never."""

from __future__ import annotations

import threading

from tests.golden import matches_tape
from tests.journeys.depot import Depot

CUP, LAMP, FREIGHT = 10_000, 30_000, 800


def test_an_order_of_two_parcels_has_arrived_when_both_have(depot: Depot, request) -> None:
    order_no = depot.order(cup=1, lamp=1)
    first, second = (parcel["shipment_id"] for parcel in depot.parcels(order_no))

    depot.bring(depot.dispatch(first))
    assert depot.state(order_no) == "PARTIALLY_SHIPPED"
    tracking_no = depot.dispatch(second)
    assert depot.state(order_no) == "SHIPPED"
    depot.bring(tracking_no)
    assert depot.state(order_no) == "DELIVERED"

    matches_tape("two_parcels", depot.tape.news(), depot.group_no, request.config)
    depot.finish(order_no)


def test_a_packed_order_that_is_cancelled_can_no_longer_be_handed_over(depot: Depot, request) -> None:
    order_no, before = depot.order(cup=1), depot.on_shelf(depot.cup) + 1
    (parcel,) = depot.parcels(order_no)
    depot.pack(parcel["shipment_id"])
    depot.buyer.cancel(order_no)
    depot.grounds.settle()
    refused = depot.shop.ask("POST", f"/v1/shipments/{parcel['shipment_id']}/hand-over")

    assert (refused.status, refused.json["code"]) == (409, "wrong_shipment_state")
    assert (depot.state(order_no), depot.refund(order_no)) == ("CANCELLED", CUP + FREIGHT)
    assert depot.on_shelf(depot.cup) == before
    matches_tape("cancelled_in_the_warehouse", depot.tape.news(), depot.group_no, request.config)


def test_an_order_that_was_handed_over_can_no_longer_be_cancelled(depot: Depot) -> None:
    order_no = depot.order(cup=1)
    tracking_no = depot.dispatch(depot.parcels(order_no)[0]["shipment_id"])
    refused = depot.buyer.ask("POST", f"/v1/orders/{order_no}/cancel", {"reason": "changed_mind"})

    assert (refused.status, refused.json["code"]) == (409, "action_not_possible")
    assert refused.json["possible"] == ["receipt", "receipt/extend", "track"]
    depot.bring(tracking_no)
    depot.finish(order_no)


def test_cancelling_and_handing_over_at_once_have_one_winner(depot: Depot) -> None:
    order_no, before = depot.order(cup=1), depot.on_shelf(depot.cup)
    (parcel,) = depot.parcels(order_no)
    depot.pack(parcel["shipment_id"])
    depot.tape.news()
    start, answers = threading.Barrier(2), {}

    def hand_over() -> None:
        start.wait()
        answers["shop"] = depot.shop.ask("POST", f"/v1/shipments/{parcel['shipment_id']}/hand-over")

    clerk = threading.Thread(target=hand_over)
    clerk.start()
    start.wait()
    answers["buyer"] = depot.buyer.ask("POST", f"/v1/orders/{order_no}/cancel", {"reason": "changed_mind"})
    clerk.join()
    depot.grounds.settle()

    said = depot.said("Shipped", "ShipmentCancelled", "OrderCancelled", "OrderCancellationRejected", "RefundCompleted")
    if answers["shop"].status == 200:
        assert depot.state(order_no) == "SHIPPED"
        assert said.count("Shipped") == 1
        assert not {"OrderCancelled", "RefundCompleted"} & set(said)
        assert ("OrderCancellationRejected" in said) == (answers["buyer"].status < 300)
        depot.bring(answers["shop"].json["tracking_no"])
        depot.finish(order_no)
    else:
        assert depot.state(order_no) == "CANCELLED"
        assert sorted(said) == ["OrderCancelled", "RefundCompleted", "ShipmentCancelled"]
        assert depot.on_shelf(depot.cup) == before + 1
    depot.buyer.groups.clear()  # how it ended was chance


def test_a_buyer_gets_the_parcel_that_left_and_the_money_for_the_one_that_was_stopped(depot: Depot, request) -> None:
    order_no = depot.order(cup=1, lamp=1)
    left, stopped = (parcel["shipment_id"] for parcel in depot.parcels(order_no))
    tracking_no = depot.dispatch(left)
    depot.buyer.cancel(order_no)
    depot.grounds.settle()

    states = {parcel["shipment_id"]: parcel["state"] for parcel in depot.parcels(order_no)}
    assert states == {left: "SHIPPED", stopped: "CANCELLED"}
    in_first = {line["sku"] for line in depot.parcels(order_no)[0]["lines"]}
    assert depot.refund(order_no) == (LAMP if in_first == {depot.cup} else CUP)
    depot.bring(tracking_no)
    assert depot.state(order_no) == "DELIVERED"
    matches_tape("rest_cancelled", depot.tape.news(), depot.group_no, request.config)
    depot.finish(order_no)


def test_what_is_not_sent_in_time_may_be_cancelled_without_asking_the_shop(depot: Depot, request) -> None:
    order_no = depot.order(cup=1)
    depot.shop.pick(depot.parcels(order_no)[0]["shipment_id"])
    depot.grounds.settle()
    depot.grounds.advance(hours=49)

    late = depot.buyer.order(order_no)
    assert (late["state"], late["blocked_because"]["code"]) == ("FULFILLING", "not_shipped_in_time")
    assert depot.parcels(order_no)[0]["overdue"]
    depot.buyer.cancel(order_no, "too_slow")
    depot.grounds.settle()
    assert (depot.state(order_no), depot.refund(order_no)) == ("CANCELLED", CUP + FREIGHT)
    matches_tape("overdue", depot.tape.news(), depot.group_no, request.config)


def test_nobody_was_home_and_the_next_day_somebody_was(depot: Depot, request) -> None:
    order_no = depot.order(cup=1)
    tracking_no = depot.dispatch(depot.parcels(order_no)[0]["shipment_id"])
    depot.drive(tracking_no)
    depot.deed(tracking_no, "fail", reason="nobody_home")

    missed = depot.buyer.order(order_no)
    assert (missed["state"], missed["deadlines"]) == ("SHIPPED", {})
    assert missed["blocked_because"]["code"] == "delivery_troubled"
    depot.grounds.advance(days=1)
    depot.deed(tracking_no, "out-for-delivery")
    depot.deed(tracking_no, "deliver")
    arrived = depot.buyer.order(order_no)
    assert (arrived["state"], list(arrived["deadlines"])) == ("DELIVERED", ["receipt"])
    assert arrived["blocked_because"] is None
    matches_tape("failed_then_delivered", depot.tape.news(), depot.group_no, request.config)
    depot.finish(order_no)


def test_a_parcel_refused_at_the_door_comes_back_and_is_paid_back_with_its_freight(depot: Depot, request) -> None:
    order_no = depot.order(cup=2)
    tracking_no = depot.dispatch(depot.parcels(order_no)[0]["shipment_id"])
    depot.drive(tracking_no)
    depot.deed(tracking_no, "refuse", reason="changed_mind")
    assert (depot.state(order_no), depot.refund(order_no)) == ("SHIPPED", 0)
    depot.deed(tracking_no, "return")

    ended = depot.buyer.order(order_no)
    assert (ended["state"], ended["end_reason"], ended["payment_status"]) == ("CLOSED", "undeliverable", "refunded")
    assert depot.refund(order_no) == 2 * CUP + FREIGHT
    matches_tape("refused", depot.tape.news(), depot.group_no, request.config)


def test_of_two_parcels_one_arrives_and_one_comes_back(depot: Depot, request) -> None:
    order_no = depot.order(cup=1, lamp=1)
    cup, lamp = depot.by_sku(order_no, depot.cup, depot.lamp)
    depot.bring(depot.dispatch(cup))
    tracking_no = depot.dispatch(lamp)
    depot.drive(tracking_no)
    depot.deed(tracking_no, "fail", reason="wrong_address")
    depot.deed(tracking_no, "return")

    assert (depot.state(order_no), depot.refund(order_no)) == ("DELIVERED", LAMP)
    matches_tape("one_of_two_returned", depot.tape.news(), depot.group_no, request.config)
    depot.finish(order_no)


def test_a_lost_parcel_is_declared_lost_by_an_operator_and_paid_back(depot: Depot, request) -> None:
    order_no = depot.order(cup=1)
    (parcel,) = depot.parcels(order_no)
    tracking_no = depot.dispatch(parcel["shipment_id"])
    depot.courier.deed(tracking_no, "collect")
    depot.deed(tracking_no, "lose")
    assert (depot.state(order_no), depot.refund(order_no)) == ("SHIPPED", 0)
    reported = depot.staff.do("GET", f"/v1/shipments?attention=true&order_no={order_no}")["items"]
    assert [one["attention"] for one in reported] == ["carrier_reports_lost"]
    depot.declare_lost(parcel["shipment_id"])

    assert (depot.state(order_no), depot.refund(order_no)) == ("CLOSED", CUP + FREIGHT)
    matches_tape("lost", depot.tape.news(), depot.group_no, request.config)


def test_of_two_parcels_one_arrives_and_one_is_lost(depot: Depot) -> None:
    order_no = depot.order(cup=1, lamp=1)
    cup, lamp = depot.by_sku(order_no, depot.cup, depot.lamp)
    depot.dispatch(lamp)
    depot.declare_lost(lamp)
    depot.bring(depot.dispatch(cup))

    assert (depot.state(order_no), depot.refund(order_no)) == ("DELIVERED", LAMP)
    depot.finish(order_no)


def test_silence_is_receipt_but_a_buyer_may_have_five_days_more_once(idle_shop, depot: Depot, request) -> None:
    order_no = depot.order(cup=1)
    depot.bring(depot.dispatch(depot.parcels(order_no)[0]["shipment_id"]))
    assert depot.extend(order_no).status == 202
    again = depot.extend(order_no)
    assert (again.status, again.json["code"]) == (409, "receipt_already_extended")

    depot.grounds.advance(days=11, hours=23)
    assert depot.state(order_no) == "DELIVERED"
    depot.grounds.advance(hours=2)
    assert (depot.state(order_no), depot.escrow(order_no)["state"]) == ("RECEIVED", "RELEASED")
    depot.grounds.advance(days=9)
    assert depot.state(order_no) == "COMPLETED"
    matches_tape("extended_receipt", depot.tape.news(), depot.group_no, request.config)
