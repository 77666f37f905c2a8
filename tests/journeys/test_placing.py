"""What becomes of orders that cannot be, or that wait for somebody's word: nobody pays for what is not there."""

from __future__ import annotations

from tests.golden import matches_tape
from tests.journeys.market import FREIGHT, TEA, Market, silent, until


def test_out_of_stock_in_one_shop_ends_the_whole_wish_and_frees_what_the_other_set_aside(
    market: Market, request
) -> None:
    before = market.available()
    group = market.wish({market.tea: 1, market.fig: 2})

    assert [market.end(order_no) for order_no in market.orders(group)] == [
        ("CANCELLED", "sibling_failed"),
        ("CANCELLED", "out_of_stock"),
    ]
    assert market.available() == before
    refused = market.buyer.ask("GET", f"/v1/groups/{group['group_no']}/payments")
    assert refused.status == 404
    matches_tape("out_of_stock", market.tape.news(), group["group_no"], request.config)


def test_a_buyer_who_takes_what_there_is_pays_for_that_only(market: Market, request) -> None:
    group = market.wish({market.tea: 1, market.fig: 2}, stock_policy="ship_available")
    refused = market.buyer.ask(
        "POST",
        f"/v1/groups/{group['group_no']}/payments",
        {"method": "online", "channel": "sandbox", "expected_amount": group["payable"]},
    )
    market.pay(group)

    assert (refused.status, refused.json["payable"]) == (409, TEA + FREIGHT)
    assert market.states(group) == ["CONFIRMED", "CANCELLED"]
    assert market.at_provider(group) == ({"CNY": TEA + FREIGHT}, {})
    matches_tape("ship_available", market.tape.news(), group["group_no"], request.config)
    market.cancel_all(group)


def test_an_order_that_inventory_does_not_answer_says_so_and_goes_on_when_it_does(market: Market) -> None:
    with silent(market.grounds, "inventory"):
        group = market.buyer.place(market.buyer.quote({market.tea: 1}))
        (order_no,) = market.orders(group)
        until(lambda: "RiskAssessed" in market.heard(order_no))
        market.grounds.world.leap(seconds=31)
        blocked = until(lambda: market.buyer.order(order_no)["blocked_because"])
        until(lambda: market.operators_know(order_no))
        assert market.states(group) == ["PLACED"]
    market.grounds.settle()

    assert (blocked["code"], blocked["waiting_for"]) == ("placement_unanswered", ["inventory"])
    assert market.states(group) == ["AWAITING_PAYMENT"]
    assert market.buyer.order(order_no)["blocked_because"] is None
    market.cancel_all(group)
