"""Money that comes late, twice, wrong or unheard of: the order and the provider's book agree in the end."""

from __future__ import annotations

from tests.golden import matches_tape
from tests.journeys.market import FREIGHT, TEA, Market, silent

WHOLE = TEA + FREIGHT


def test_an_order_nobody_pays_is_cancelled_and_its_goods_are_for_sale_again(idle_shop, market: Market, request) -> None:
    before = market.available()
    group = market.place(market.tea)
    held = market.available()
    market.grounds.advance(minutes=31)

    assert market.end(*market.orders(group)) == ("CANCELLED", "payment_timeout")
    assert (held, market.available()) == (before - 1, before)
    matches_tape("unpaid_expiry", market.tape.news(), group["group_no"], request.config)


def test_money_that_comes_after_the_end_goes_back(market: Market, request) -> None:
    """One order ran out of time, another was cancelled; both are paid at pages that should have been closed."""
    expired, cancelled = market.place(market.tea), market.place(market.cup)
    pages = [market.attempt(group) for group in (expired, cancelled)]
    market.buyer.cancel(*market.orders(cancelled))
    market.grounds.advance(minutes=31)
    assert [market.buyer.pay(page) for page in pages] == [409, 409]
    for group, page in zip((expired, cancelled), pages, strict=True):
        market.misbehave("after_close", group)
        assert market.buyer.pay(page) == 200
    market.grounds.settle()

    assert market.end(*market.orders(expired)) == ("CANCELLED", "payment_timeout")
    assert market.end(*market.orders(cancelled)) == ("CANCELLED", "buyer")
    for group in (expired, cancelled):
        assert market.at_provider(group) == ({"CNY": WHOLE}, {"CNY": WHOLE})
        assert market.heard(*market.orders(group))[-1] == "LatePaymentReceived"
    matches_tape("late_payment", market.tape.news(), cancelled["group_no"], request.config)


def test_who_pays_at_two_pages_gets_one_payment_back(market: Market, request) -> None:
    group = market.place(market.tea)
    market.misbehave("after_close", group)
    pages = [market.attempt(group), market.attempt(group, "wechat_qr")]
    market.grounds.settle()
    assert [market.buyer.pay(page) for page in reversed(pages)] == [200, 200]
    market.grounds.settle()

    assert market.states(group) == ["CONFIRMED"]
    assert market.at_provider(group) == ({"CNY": 2 * WHOLE}, {"CNY": WHOLE})
    matches_tape("paid_twice", market.tape.news(), group["group_no"], request.config)
    market.cancel_all(group)


def test_a_wrong_sum_and_a_wrong_currency_go_back_and_the_right_money_pays(market: Market, request) -> None:
    group = market.place(market.tea)
    market.misbehave("wrong_amount", group, times=1, delta=-1)
    market.buyer.pay(market.attempt(group))
    market.grounds.settle()
    market.misbehave("wrong_currency", group, times=1, currency="USD")
    market.buyer.pay(market.attempt(group))
    market.grounds.settle()
    assert market.states(group) == ["AWAITING_PAYMENT"]
    market.pay(group)

    assert market.states(group) == ["CONFIRMED"]
    assert market.at_provider(group) == (
        {"CNY": WHOLE - 1 + WHOLE, "USD": WHOLE},
        {"CNY": WHOLE - 1, "USD": WHOLE},
    )
    matches_tape("wrong_money", market.tape.news(), group["group_no"], request.config)
    market.cancel_all(group)


def test_a_declined_buyer_pays_another_way_until_the_same_deadline(market: Market, request) -> None:
    group = market.place(market.tea)
    (order_no,) = market.orders(group)
    pay_by = market.buyer.order(order_no)["deadlines"]["pay_by"]
    market.buyer.pay(market.attempt(group), "decline")
    market.grounds.settle()
    order = market.buyer.order(order_no)
    assert (order["state"], order["payment_status"], order["deadlines"]["pay_by"]) == (
        "AWAITING_PAYMENT", "unpaid", pay_by,
    )  # fmt: skip
    market.buyer.pay(market.attempt(group, "card_redirect"))
    market.grounds.settle()

    assert market.states(group) == ["CONFIRMED"]
    assert market.at_provider(group) == ({"CNY": WHOLE}, {})
    matches_tape("declined_then_paid", market.tape.news(), group["group_no"], request.config)
    market.cancel_all(group)


def test_money_whose_callback_was_lost_is_found_by_asking(market: Market) -> None:
    """One was paid in good time; one at the very last moment, when the deadline's question finds it."""
    soon, late = market.place(market.tea), market.place(market.cup)
    for group in (soon, late):
        market.misbehave("callback_lost", group)
    page = market.attempt(late)
    market.pay(soon)
    assert market.states(soon) == ["AWAITING_PAYMENT"]
    market.grounds.advance(minutes=6)
    assert market.states(soon) == ["CONFIRMED"]
    market.grounds.advance(minutes=23, seconds=30)
    market.buyer.pay(page)
    market.grounds.advance(minutes=2)

    assert market.states(late) == ["CONFIRMED"]
    assert "PaymentDeadline" in market.heard(*market.orders(late))
    for group in (soon, late):
        market.cancel_all(group)


def test_a_provider_that_does_not_answer_keeps_the_order_open_and_nobody_guesses(market: Market) -> None:
    """The time to pay is over, and the provider is away: the order is neither paid nor cancelled until it is back."""
    group = market.place(market.tea)
    (order_no,) = market.orders(group)
    market.attempt(group)
    market.misbehave("callback_lost", group)
    with market.provider_away():
        market.grounds.advance(minutes=37)
        blocked = market.buyer.order(order_no)["blocked_because"]
        assert market.states(group) == ["AWAITING_PAYMENT"]
        assert (blocked["code"], blocked["waiting_for"]) == ("payment_unanswered", ["payment"])
        assert market.operators_know(order_no)
    market.provider.do("POST", "/sandbox/callbacks/replay", {"reference": f"pay_{group['group_no']}"})
    market.grounds.settle()

    assert market.end(order_no) == ("CANCELLED", "payment_timeout")


def test_a_page_the_provider_was_slow_to_show_is_paid_all_the_same(market: Market) -> None:
    group = market.place(market.tea)
    market.misbehave("error_after", group, times=1)
    page = market.attempt(group)
    assert (page["status"], page["display"]) == ("opening", None)
    market.buyer.pay(page)
    market.grounds.settle()
    assert market.end(*market.orders(group)) == ("CONFIRMED", "")
    market.cancel_all(group)


def test_a_payment_told_three_times_is_booked_once(market: Market) -> None:
    group = market.place(market.tea)
    market.misbehave("callback_duplicate", group, copies=2)
    market.pay(group)

    assert market.said("PaymentConfirmed", "FundsHeld") == ["PaymentConfirmed", "FundsHeld"]
    market.cancel_all(group)


def test_a_price_the_shop_lowered_is_what_is_paid_and_given_back(market: Market, request) -> None:
    """It cannot be lowered while the buyer stands at the till; once the attempt has failed it can."""
    group = market.place(market.tea)
    (order_no,), tea_house = market.orders(group), market.sellers[0]
    page = market.attempt(group)
    market.grounds.settle()
    refused = market.price(tea_house, order_no, 9_000)
    market.buyer.pay(page, "decline")
    market.grounds.settle()
    lowered = market.price(tea_house, order_no, 9_000)
    market.grounds.settle()
    old = market.buyer.ask(
        "POST",
        f"/v1/groups/{group['group_no']}/payments",
        {"method": "online", "channel": "sandbox", "expected_amount": WHOLE},
    )
    market.pay(group)
    market.cancel_all(group)

    assert (refused.status, refused.json["code"], lowered.status) == (409, "attempt_in_flight", 202)
    assert (old.status, old.json["code"], old.json["payable"]) == (409, "amount_changed", 9_000)
    assert market.states(group) == ["CANCELLED"]
    assert market.at_provider(group) == ({"CNY": 9_000}, {"CNY": 9_000})
    matches_tape("price_lowered", market.tape.news(), group["group_no"], request.config)


def test_who_paid_the_old_price_gets_the_difference_back(market: Market, request) -> None:
    """The shop lowers the price before it can know that the buyer stands at the till."""
    group = market.place(market.tea)
    (order_no,) = market.orders(group)
    with silent(market.grounds, "order"):
        page = market.attempt(group)
        lowered = market.price(market.sellers[0], order_no, 9_000)
    market.grounds.settle()
    market.buyer.pay(page)
    market.grounds.settle()
    order = market.buyer.order(order_no)

    assert lowered.status == 202
    assert (order["state"], order["payable"], order["paid_amount"]) == ("CONFIRMED", 9_000, WHOLE)
    assert market.at_provider(group) == ({"CNY": WHOLE}, {"CNY": WHOLE - 9_000})
    matches_tape("paid_too_much", market.tape.news(), group["group_no"], request.config)
    market.cancel_all(group)
    assert market.at_provider(group) == ({"CNY": WHOLE}, {"CNY": WHOLE})
