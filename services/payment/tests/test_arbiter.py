"""The order asks whether something is paid; payment alone can tell, and never guesses."""

from services.payment.tests.makers import refund_wish
from shared.contracts.order import OrderCancelled, OrderPaymentDeadlineReached, OrderPriceAdjusted
from shared.contracts.payment import (
    LatePaymentReceived,
    PaymentConfirmed,
    PaymentExpired,
    PaymentFailed,
    PaymentInitiated,
    RefundCompleted,
)


def test_nobody_tried_to_pay_so_the_answer_comes_at_once(market):
    group_no = market.request(12900)
    market.deadline(group_no)
    (expired,) = market.said(PaymentExpired)
    assert (expired.order_nos, expired.closed_at_channel) == ((f"{group_no}-1",), False)
    assert market.payment(group_no).status == "EXPIRED"
    assert market.open(group_no, 12900).json["code"] == "payment_is_closed"


def test_an_open_attempt_is_closed_at_the_channel_before_the_answer(market):
    group_no = market.request(12900)
    charge = market.opened(group_no, 12900)
    market.deadline(group_no)
    assert not market.said(PaymentExpired)
    assert market.open(group_no, 12900).json["code"] == "payment_is_closing"
    market.stage.call()
    assert market.provider.charge(charge)["close_reason"] == "merchant"
    (expired,) = market.said(PaymentExpired)
    assert expired.closed_at_channel
    assert market.payment(group_no).deadlines == {}


def test_money_that_was_first_is_confirmed_and_not_expired(market):
    group_no = market.request(12900)
    market.provider.pay(market.opened(group_no, 12900))
    market.deadline(group_no)
    market.stage.call()
    assert len(market.said(PaymentConfirmed)) == 1
    assert not market.said(PaymentExpired)


def test_asked_again_it_answers_again_and_the_same(small):
    group_no = small.request(12900)
    small.opened(group_no, 12900)
    for asked in (1, 2, 3):
        small.deadline(group_no, asked=asked)
    small.stage.call()
    assert len(small.said(PaymentExpired)) == 1  # to the last of the three
    small.deadline(group_no, asked=4)
    first, second = small.said(PaymentExpired)
    assert first.order_nos == second.order_nos
    assert first.asked_by_event_id != second.asked_by_event_id


def test_asked_again_after_the_money_came_it_says_nothing_new(small):
    group_no = small.paid(12900)
    small.deadline(group_no)
    small.cancel(f"{group_no}-1")
    assert len(small.said(PaymentConfirmed)) == 1
    assert not small.said(PaymentExpired)


def test_while_the_channel_is_away_there_is_no_answer(small):
    group_no = small.request(12900)
    small.opened(group_no, 12900)
    small.provider.line.down = True
    small.deadline(group_no)
    assert small.hurry() == 0
    assert not small.said(PaymentExpired)
    small.provider.line.down = False
    assert small.hurry() == 1
    assert small.said(PaymentExpired)[0].closed_at_channel


def test_what_was_never_opened_is_not_opened_after_the_deadline(small):
    group_no = small.request(12900)
    small.provider.line.down = True
    assert small.open(group_no, 12900).json["status"] == "opening"
    small.deadline(group_no)
    small.provider.line.down = False
    assert not small.said(PaymentExpired)
    small.hurry()
    assert small.provider.charges() == []
    (expired,) = small.said(PaymentExpired)
    assert not expired.closed_at_channel
    assert not small.said(PaymentFailed)


def test_what_may_have_been_opened_is_found_and_closed(small):
    group_no = small.request(12900)
    small.provider.switch("error_after", scope={"what": "create_charge"})
    small.open(group_no, 12900)
    small.deadline(group_no)
    assert not small.said(PaymentExpired)
    small.hurry()  # finds it
    small.hurry()  # closes it
    assert small.provider.charges()[0]["status"] == "closed"
    assert small.said(PaymentExpired)[0].closed_at_channel


def test_an_answer_lost_while_closing_is_asked_for(small):
    group_no = small.request(12900)
    small.opened(group_no, 12900)
    small.provider.switch("error_after", scope={"what": "close_charge"})
    small.deadline(group_no)
    small.stage.call()
    assert not small.said(PaymentExpired)
    small.hurry()
    assert len(small.said(PaymentExpired)) == 1


def test_the_channel_closing_by_itself_answers_too(small):
    group_no = small.request(12900)
    charge = small.opened(group_no, 12900)
    small.provider.ask("POST", f"/v1/charges/{charge}/close")
    small.deadline(group_no)
    small.tell(charge)  # its callback comes before our own call
    assert small.said(PaymentExpired)[0].closed_at_channel
    small.stage.call()
    assert len(small.said(PaymentExpired)) == 1


def test_one_order_of_a_group_is_dropped_and_the_rest_may_be_paid(market):
    group_no = market.request(10000, 2900)
    old = market.opened(group_no, 12900)
    market.cancel(f"{group_no}-2")
    market.stage.call()
    (expired,) = market.said(PaymentExpired)
    assert expired.order_nos == (f"{group_no}-2",)
    assert market.provider.charge(old)["status"] == "closed"
    assert market.payment(group_no).status == "INITIATED"
    assert market.open(group_no, 12900).json["payable"] == 10000
    charge = market.opened(group_no, 10000)
    market.provider.pay(charge)
    market.tell(charge)
    (confirmed,) = market.said(PaymentConfirmed)
    assert [split.order_no for split in confirmed.splits] == [f"{group_no}-1"]
    market.cancel(f"{group_no}-2", asked=2)
    assert [fact.order_nos for fact in market.said(PaymentExpired)] == [(f"{group_no}-2",)] * 2


def test_late_money_for_a_group_that_lost_an_order_goes_back_whole(small):
    group_no = small.request(10000, 2900)
    old = small.opened(group_no, 12900)
    small.cancel(f"{group_no}-2")
    small.stage.call()
    small.provider.switch("after_close")
    small.provider.pay(old)
    small.tell(old)
    small.stage.call()
    assert small.said(LatePaymentReceived)[0].amount == 12900
    assert small.said(RefundCompleted)[0].amount == 12900
    assert small.payment(group_no).status == "INITIATED"
    assert small.opened(group_no, 10000)


def test_a_replaced_attempt_that_is_paid_after_all_pays_while_all_its_orders_wait(small):
    group_no = small.request(12900)
    old = small.opened(group_no, 12900)
    small.opened(group_no, 12900, instrument="card_redirect")
    small.stage.call()
    small.provider.switch("after_close")
    small.provider.pay(old)
    small.tell(old)
    assert small.said(PaymentConfirmed)[0].amount == 12900
    small.stage.call()  # the newer one is closed
    assert [charge["status"] for charge in small.provider.charges()] == ["paid", "closed"]
    assert not small.said(LatePaymentReceived)


def test_an_order_that_ended_elsewhere_is_no_longer_asked_for(small):
    group_no = small.request(10000, 2900)
    charge = small.opened(group_no, 12900)
    small.hear(
        OrderCancelled(
            group_no=group_no, order_no=f"{group_no}-2", seller_id="seller-2", buyer_id=small.buyer.account_id,
            reason="operator", was_paid=False, lines=(),
        )
    )  # fmt: skip
    small.stage.call()
    assert small.provider.charge(charge)["status"] == "closed"
    assert small.payment(group_no).payable == 10000
    assert not small.said(PaymentExpired)


def test_another_price_is_asked_for_from_now_on(small):
    group_no = small.request(12900)
    old = small.opened(group_no, 12900)
    adjust(small, group_no, 12900, 11900)
    assert small.open(group_no, 12900).json["payable"] == 11900
    new = small.opened(group_no, 11900)
    assert new != old
    assert [fact.amount for fact in small.said(PaymentInitiated)] == [12900, 11900]


def test_an_old_price_that_was_paid_first_is_confirmed_as_paid(small):
    group_no = small.request(12900)
    charge = small.opened(group_no, 12900)
    adjust(small, group_no, 12900, 11900)
    small.provider.pay(charge)
    small.tell(charge)
    (confirmed,) = small.said(PaymentConfirmed)
    assert confirmed.splits[0].amount == 12900  # the order asks for the difference back
    wish = refund_wish(f"{group_no}-1", 1000, "r1", small.buyer.account_id, lines=(), reason="overpaid")
    small.hear(wish, publisher="order")
    small.stage.call()
    assert small.said(RefundCompleted)[0].amount == 1000


def test_after_the_deadline_no_attempt_is_opened_even_before_the_order_asks(small):
    group_no = small.request(12900)
    small.stage.advance(minutes=31)
    assert small.open(group_no, 12900).json["code"] == "payment_deadline_passed"


def test_a_question_before_its_payment_waits_for_it(small):
    group_no, other = small.request(12900), "G0000000000000000"
    small.hear(
        OrderPaymentDeadlineReached(group_no=other, order_nos=(f"{other}-1",), pay_by=small.stage.now(), reason="timer")
    )
    assert [row.status for row in small.stage.kept()] == ["early"]
    small.cancel(f"{group_no}-1", stage="paid")  # shipping's business
    assert not small.said(PaymentExpired)


def adjust(market, group_no, old, new):
    market.hear(
        OrderPriceAdjusted(
            group_no=group_no, order_no=f"{group_no}-1", seller_id="seller-1", buyer_id=market.buyer.account_id,
            old_payable=old, new_payable=new, currency="CNY", by="seller", reason="gift",
        )
    )  # fmt: skip
