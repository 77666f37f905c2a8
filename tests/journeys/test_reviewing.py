"""Orders that a human should see first: approved, rejected, or met with silence."""

from __future__ import annotations

from tests.golden import matches_tape
from tests.journeys.market import FREIGHT, PAINTING, TEA, Market


def test_the_shop_says_yes_to_one_order_and_no_to_another(market: Market, request) -> None:
    yes, no = market.place(market.print), market.place(market.print)
    for group in (yes, no):
        market.pay(group)
    assert market.states(yes) == market.states(no) == ["AWAITING_REVIEW"]
    market.gallery.do("POST", f"/v1/orders/{market.orders(yes)[0]}/approve")
    market.gallery.do("POST", f"/v1/orders/{market.orders(no)[0]}/reject")
    market.grounds.settle()

    assert market.states(yes) == ["CONFIRMED"]
    assert market.end(*market.orders(no)) == ("CANCELLED", "review_rejected")
    assert market.at_provider(no) == ({"CNY": TEA + FREIGHT}, {"CNY": TEA + FREIGHT})
    told = market.tape.news()
    matches_tape("review_approved", told, yes["group_no"], request.config)
    matches_tape("review_rejected", told, no["group_no"], request.config)
    market.cancel_all(yes)


def test_silence_lets_an_order_without_risk_go_on_and_gives_a_risky_ones_money_back(
    idle_shop, market: Market, request
) -> None:
    """Their goods were let go meanwhile, and are taken again when an order goes on."""
    safe, risky = market.place(market.print), market.place(market.painting)
    for group in (safe, risky):
        market.pay(group)
    market.grounds.advance(hours=24)
    assert (market.states(safe), market.states(risky)) == (["CONFIRMED"], ["AWAITING_REVIEW"])
    market.cancel_all(safe)
    market.grounds.advance(hours=24)

    assert market.end(*market.orders(risky)) == ("CANCELLED", "review_rejected")
    assert market.at_provider(risky) == ({"CNY": PAINTING}, {"CNY": PAINTING})
    told = market.tape.news()
    matches_tape("review_silence", told, safe["group_no"], request.config)
    matches_tape("review_silence_risky", told, risky["group_no"], request.config)


def test_a_buyer_who_does_not_want_to_wait_for_the_review_is_let_go_at_once(market: Market) -> None:
    group = market.place(market.painting)
    market.pay(group)
    market.cancel_all(group)

    assert market.end(*market.orders(group)) == ("CANCELLED", "buyer")
    assert market.at_provider(group) == ({"CNY": PAINTING}, {"CNY": PAINTING})
