"""Who wants out, and when: before payment payment decides, after it shipping does, and the money follows."""

from __future__ import annotations

from tests.golden import matches_tape
from tests.journeys.depot import Depot
from tests.journeys.market import FREIGHT, TEA, Market, silent, until

LAMP = 30_000


def test_one_order_of_a_group_is_cancelled_unpaid_and_the_other_is_paid(market: Market, request) -> None:
    group = market.place(market.tea, market.cup)
    first, second = market.orders(group)
    before = market.available()
    market.attempt(group)
    market.buyer.cancel(first)
    market.grounds.settle()
    assert (market.end(first), market.available()) == (("CANCELLED", "buyer"), before + 1)
    market.pay(group)

    assert market.states(group) == ["CANCELLED", "CONFIRMED"]
    assert market.at_provider(group) == ({"CNY": TEA + FREIGHT}, {})
    matches_tape("cancel_before_payment", market.tape.news(), group["group_no"], request.config)
    market.cancel_all(group)


def test_one_order_of_a_paid_group_is_cancelled_and_its_money_alone_goes_back(market: Market, request) -> None:
    group = market.place(market.tea, market.cup)
    first, second = market.orders(group)
    market.pay(group)
    before = market.available()
    market.buyer.cancel(first)
    market.grounds.settle()
    order = market.buyer.order(first)

    assert market.states(group) == ["CANCELLED", "CONFIRMED"]
    assert (order["payment_status"], order["refunded_amount"]) == ("refunded", TEA + FREIGHT)
    assert market.available() == before + 1
    assert market.at_provider(group) == ({"CNY": 2 * (TEA + FREIGHT)}, {"CNY": TEA + FREIGHT})
    matches_tape("cancel_after_payment", market.tape.news(), group["group_no"], request.config)
    market.sellers[1].do("POST", f"/v1/orders/{second}/cancel", {"reason": "cannot_deliver"})
    market.grounds.settle()
    assert market.end(second) == ("CANCELLED", "seller")


def test_a_cancel_that_shipping_does_not_answer_is_asked_again_and_shown(market: Market) -> None:
    group = market.place(market.tea)
    (order_no,) = market.orders(group)
    market.pay(group)
    with silent(market.grounds, "shipping"):
        market.buyer.cancel(order_no)
        market.grounds.world.leap(minutes=11)
        blocked = until(lambda: market.buyer.order(order_no)["blocked_because"])
        until(lambda: market.operators_know(order_no))
        assert market.states(group) == ["CANCEL_PENDING"]
    market.grounds.settle()

    assert (blocked["code"], blocked["waiting_for"]) == ("cancel_unanswered", ["shipping"])
    assert market.end(order_no) == ("CANCELLED", "buyer")
    assert market.at_provider(group) == ({"CNY": TEA + FREIGHT}, {"CNY": TEA + FREIGHT})


def test_who_cancels_while_the_parcel_leaves_is_told_that_it_is_gone(depot: Depot, request) -> None:
    """The shop hands it over before the order can know; the buyer still sees a button, and presses it."""
    order_no = depot.order(cup=1)
    (parcel,) = depot.parcels(order_no)
    depot.pack(parcel["shipment_id"])
    with silent(depot.grounds, "order"):
        tracking_no = depot.shop.hand_over(parcel["shipment_id"])
        wanted = depot.buyer.cancel(order_no)
    depot.grounds.settle()
    order = depot.buyer.order(order_no)

    assert wanted["state"] == "CANCEL_PENDING"
    assert (order["state"], order["refunded_amount"]) == ("SHIPPED", 0)
    matches_tape("cancel_too_late", depot.tape.news(), depot.group_no, request.config)
    depot.bring(tracking_no)
    depot.finish(order_no)


def test_who_cancels_while_one_of_two_parcels_leaves_gets_the_money_of_the_other(depot: Depot, request) -> None:
    order_no = depot.order(cup=1, lamp=1)
    first, _ = (parcel["shipment_id"] for parcel in depot.parcels(order_no))
    depot.pack(first)
    with silent(depot.grounds, "order"):
        tracking_no = depot.shop.hand_over(first)
        depot.buyer.cancel(order_no)
    depot.grounds.settle()
    order = depot.buyer.order(order_no)

    assert (order["state"], order["payment_status"]) == ("SHIPPED", "partially_refunded")
    assert order["refunded_amount"] == (LAMP if order["lines"][0]["shipped"] else TEA)
    matches_tape("cancel_half_gone", depot.tape.news(), depot.group_no, request.config)
    depot.bring(tracking_no)
    depot.finish(order_no)
