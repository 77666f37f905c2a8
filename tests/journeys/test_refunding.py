"""Money that will not go back: tried again and again, and then another way."""

from __future__ import annotations

from tests.golden import matches_tape
from tests.journeys.depot import Depot
from tests.journeys.market import FREIGHT, TEA, Market

WHOLE = TEA + FREIGHT
FIVE_PERCENT = 20


def test_a_refund_that_fails_is_tried_again_and_one_that_never_works_goes_by_bank(market: Market, request) -> None:
    groups = stubborn, hopeless = market.place(market.print), market.place(market.print)
    for group, times in zip(groups, (2, 6), strict=True):
        market.pay(group)
        market.misbehave("refund_fail", group, times=times)
        market.buyer.cancel(*market.orders(group))
    market.grounds.settle()
    assert market.states(stubborn) == market.states(hopeless) == ["CANCELLED"]
    market.grounds.advance(minutes=6)
    assert market.at_provider(stubborn) == ({"CNY": WHOLE}, {"CNY": WHOLE})
    market.grounds.advance(hours=15)
    (refund,) = market.refunds(*market.orders(hopeless))
    assert (refund["state"], refund["attempts"]) == ("NEEDS_OTHER_ROUTE", 6)
    waiting = market.staff.do("GET", "/v1/refunds?limit=100")["items"]
    assert refund["refund_id"] in [one["refund_id"] for one in waiting]
    market.staff.do("POST", f"/v1/refunds/{refund['refund_id']}/settlement", {"route": "bank"})
    market.grounds.settle()

    order = market.buyer.order(*market.orders(hopeless))
    assert (order["payment_status"], order["refunded_amount"]) == ("refunded", WHOLE)
    assert market.at_provider(hopeless) == ({"CNY": WHOLE}, {})
    told = market.tape.news()
    matches_tape("refund_tried_again", told, stubborn["group_no"], request.config)
    matches_tape("refund_by_bank", told, hopeless["group_no"], request.config)


def test_what_is_lost_after_the_shop_was_paid_is_taken_back_with_its_commission(
    idle_shop, depot: Depot, request
) -> None:
    """The buyer confirmed receipt of a cup and a lamp while the lamp was still under way."""
    order_no = depot.order(cup=1, lamp=1)
    cup, lamp = depot.by_sku(order_no, depot.cup, depot.lamp)
    depot.bring(depot.dispatch(cup))
    depot.dispatch(lamp)
    before = _balance(depot)
    depot.buyer.confirm_receipt(order_no)
    depot.grounds.advance(hours=2)
    assert depot.escrow(order_no)["state"] == "RELEASED"
    depot.declare_lost(lamp)

    assert depot.refund(order_no) == 30_000
    assert depot.escrow(order_no)["commission"] == WHOLE // FIVE_PERCENT
    assert _balance(depot) - before == WHOLE - WHOLE // FIVE_PERCENT
    matches_tape("refund_after_release", depot.tape.news(), depot.group_no, request.config)


def _balance(depot: Depot) -> int:
    """What the platform owes the shop, minor units."""
    return sum(line["balance"] for line in depot.shop.do("GET", "/v1/balance")["items"])
