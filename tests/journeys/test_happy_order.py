"""The story the shop is for: two shops, one order, paid, sent, received, reviewed, completed."""

from __future__ import annotations

from tests.golden import matches_tape
from tests.journeys.town import Town


def test_an_order_over_two_shops_goes_from_quote_to_completion(idle_shop, town: Town, ends_alike, request) -> None:
    group = town.place(*town.skus)
    first, second = (order["order_no"] for order in group["orders"])
    assert [town.state(first), town.state(second)] == ["AWAITING_PAYMENT"] * 2

    town.pay(group)
    assert [town.state(first), town.state(second)] == ["CONFIRMED"] * 2

    for seller, order_no in zip(town.sellers, (first, second), strict=True):
        for tracking_no in town.send(seller, order_no):
            town.courier.deliver(tracking_no)
    town.grounds.settle()
    assert [town.state(first), town.state(second)] == ["DELIVERED"] * 2

    town.buyer.confirm_receipt(first)
    town.grounds.settle()
    assert [town.state(first), town.state(second)] == ["RECEIVED", "DELIVERED"]

    town.grounds.advance(days=7)
    assert town.state(second) == "RECEIVED"

    town.buyer.review(second, "1", 5, "Just what I wanted.")
    town.grounds.advance(days=9)
    assert [town.state(first), town.state(second)] == ["COMPLETED"] * 2
    assert town.available(0) == 9
    for seller in town.sellers:  # 108.00 less a commission of 5 %, and nothing is held back any more
        assert seller.do("GET", "/v1/balance")["items"] == [{"currency": "CNY", "balance": 10_260, "in_escrow": 0}]
    matches_tape("happy_order", town.tape.news(), group["group_no"], request.config)
    ends_alike("happy_order", town.ids() | {group["group_no"]: "GROUP"})
