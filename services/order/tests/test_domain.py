"""What an order does, by itself, before it leaves: stories a shopkeeper would tell, without a store or a door."""

from datetime import timedelta

import pytest

from services.order.domain.group import ActionNotPossible, AttemptInFlight, PriceOutOfRange
from services.order.tests.story import FREIGHT, NOON, Story, new_group
from shared.contracts.order import (
    OrderCancellationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderHeldForReview,
    OrderPaymentDeadlineReached,
    OrderPaymentRequested,
    OrderStalled,
)
from shared.contracts.refunds import RefundRequested

TWO_AND_ONE = [(2, 5_000), (1, 3_000)]
"""Line 1: two units of 50.00; line 2: one unit of 30.00. With freight: 138.00."""


@pytest.fixture
def story() -> Story:
    return Story(new_group(TWO_AND_ONE))


# --- paying: payment is the arbiter ---------------------------------------------------------------------------------


def test_one_order_of_an_unpaid_group_is_cancelled_and_the_other_can_still_be_paid():
    story = Story(new_group(TWO_AND_ONE, TWO_AND_ONE)).answered()
    story.cancel()
    story.tell(story.group.payment_expired([story.no], story.now))

    assert story.states == ["CANCELLED", "AWAITING_PAYMENT"]
    assert "pay_by" in story.group.deadlines
    assert "arbiter" not in story.group.deadlines
    story.tell(story.group.paid({story.group.orders[1].order_no: 13_800}, "online", story.now))
    assert story.states == ["CANCELLED", "CONFIRMED"]
    assert story.group.deadlines == {}


def test_a_group_that_is_paid_while_one_order_wants_out_takes_that_order_out_by_itself():
    story = Story(new_group(TWO_AND_ONE, TWO_AND_ONE)).answered()
    story.cancel()
    story.paid()

    assert story.states == ["CANCEL_PENDING", "CONFIRMED"]
    assert [(fact.stage, fact.asked) for fact in story.said(OrderCancellationRequested)] == [("unpaid", 1), ("paid", 1)]
    story.stopped()
    assert story.states == ["CANCELLED", "CONFIRMED"]
    assert [(fact.amount, fact.by) for fact in story.said(RefundRequested)] == [(13_800, "buyer")]


def test_who_wanted_out_is_let_out_when_the_paid_order_would_only_wait_for_review():
    story = Story(new_group(review_reasons=["seller_audit"])).answered()
    story.cancel()
    story.paid()

    assert story.states == ["CANCELLED"]
    assert story.said(OrderCancelled)[0].reason == "buyer"
    assert story.said(RefundRequested)[0].amount == 13_800


def test_a_shop_that_takes_back_an_unpaid_order_is_named_as_who_did_it(story):
    story.answered().cancel(by="seller")
    story.tell(story.group.payment_expired([story.no], story.now))

    assert story.said(OrderCancelled)[0].reason == "seller"


def test_wanting_out_twice_is_asked_once_and_asked_again_by_the_clock_only(story):
    story.answered()
    assert len(story.cancel()) == 1
    assert story.cancel() == []
    story.wait(minutes=5)

    assert [fact.asked for fact in story.said(OrderCancellationRequested)] == [1, 2, 3]


def test_a_change_of_mind_is_not_forgotten_when_the_time_to_pay_runs_out():
    for end, states in (("expired", ["CANCELLED"]), ("paid", ["CANCEL_PENDING"])):
        story = Story(new_group()).answered()
        story.cancel()
        story.wait(minutes=31)
        if end == "paid":
            story.paid()
        else:
            story.tell(story.group.payment_expired([story.no], story.now))
            assert story.said(OrderCancelled)[0].reason == "buyer"
        assert story.states == states


def test_the_arbiter_is_asked_on_for_those_it_has_not_answered():
    story = Story(new_group(TWO_AND_ONE, TWO_AND_ONE, TWO_AND_ONE)).answered()
    first, second, _ = (order.order_no for order in story.group.orders)
    for order_no in (first, second):
        story.tell(story.group.cancel(order_no, "buyer", "changed_mind", story.now))
    story.tell(story.group.payment_expired([first], story.now))
    story.wait(minutes=3)

    assert [fact.asked for fact in story.said(OrderCancellationRequested) if fact.order_no == second] == [1, 2]


def test_the_arbiter_is_asked_every_two_minutes_until_it_answers_and_never_guessed(story):
    story.answered().wait(minutes=39)

    assert story.states == ["AWAITING_PAYMENT"]
    assert [fact.asked for fact in story.said(OrderPaymentDeadlineReached)] == [1, 2, 3, 4, 5]
    assert [(fact.code, fact.waiting_for) for fact in story.said(OrderStalled)] == [
        ("payment_unanswered", ("payment",))
    ]
    story.paid()
    assert story.states == ["CONFIRMED"]
    assert story.group.deadlines == {}


def test_a_stock_hold_that_ran_out_closes_the_till(story):
    story.answered()
    story.tell(story.group.stock_expired(story.no, story.now))

    assert story.said(OrderPaymentDeadlineReached)[0].reason == "stock_safety"
    assert set(story.group.deadlines) == {"arbiter"}
    story.paid()
    assert story.group.stock_expired(story.no, story.now) == []
    assert story.group.notes[-1].trigger == "StockReservationExpired"


def test_a_transfer_between_banks_has_three_days():
    story = Story(new_group(method="bank_transfer")).answered()

    assert story.said(OrderPaymentRequested)[0].pay_by == NOON + timedelta(hours=72)


def test_who_paid_more_than_the_order_costs_by_now_gets_the_difference_back(story):
    story.answered()
    story.tell(story.group.adjust_price(story.no, 10_000, "seller", "unspecified", story.now))
    story.paid(13_800)

    assert story.states == ["CONFIRMED"]
    assert [(fact.reason, fact.amount, fact.lines) for fact in story.said(RefundRequested)] == [("overpaid", 3_800, ())]


def test_who_paid_less_has_paid_and_gets_no_more_than_that_back(story):
    story.answered().paid(13_000)
    assert story.states == ["CONFIRMED"]
    assert story.said(OrderConfirmed)[0].paid_amount == 13_000
    story.cancel()
    story.stopped()

    (back,) = story.said(RefundRequested)
    assert back.amount == 13_000
    assert back.amount == sum(line.amount for line in back.lines) + back.freight_amount


def test_money_for_an_order_that_is_over_goes_back(story):
    story.answered()
    story.tell(story.group.payment_expired([story.no], story.now))
    story.paid()

    assert story.states == ["CANCELLED"]
    assert [fact.amount for fact in story.said(RefundRequested)] == [13_800]
    story.paid()
    assert len(story.said(RefundRequested)) == 1


def test_a_payment_told_again_changes_nothing(story):
    story.confirmed()
    told = len(story.told)
    story.paid()

    assert len(story.told) == told
    assert story.order.paid_amount == 13_800


def test_the_price_of_an_unpaid_order_can_be_lowered_and_put_back_but_not_raised(story):
    story.answered()
    story.tell(story.group.adjust_price(story.no, 9_999, "seller", "loyal_customer", story.now))
    assert [line.amount for line in story.order.lines] == [7_076, 2_123]
    assert story.order.payable == 7_076 + 2_123 + FREIGHT
    assert story.group.adjust_price(story.no, 9_999, "seller", "again", story.now) == []
    story.tell(story.group.adjust_price(story.no, 13_800, "seller", "mistake", story.now))

    assert (story.order.payable, story.order.discount) == (13_800, 0)
    for wrong in (13_801, FREIGHT, 0):
        with pytest.raises(PriceOutOfRange) as refused:
            story.group.adjust_price(story.no, wrong, "seller", "greed", story.now)
        assert refused.value.more == {"least": FREIGHT + 1, "most": 13_800}


def test_a_price_stands_still_while_somebody_pays(story):
    story.answered()
    story.group.payment_opened([story.no], story.now + timedelta(minutes=10))
    with pytest.raises(AttemptInFlight):
        story.group.adjust_price(story.no, 9_999, "seller", "x", story.now)
    story.group.payment_failed([story.no])

    assert len(story.group.adjust_price(story.no, 9_999, "seller", "x", story.now)) == 1


# --- placing and review ---------------------------------------------------------------------------------------------


def test_the_last_order_that_is_waited_for_may_also_be_the_one_that_is_cancelled():
    story = Story(new_group(TWO_AND_ONE, TWO_AND_ONE))
    second = story.group.orders[1].order_no
    story.tell(story.group.stock_reserved(second, story.now) + story.group.risk_assessed(second, "allow", story.now))
    assert story.said(OrderPaymentRequested) == []
    story.cancel()

    assert story.states == ["CANCELLED", "AWAITING_PAYMENT"]
    assert story.said(OrderPaymentRequested)[0].payable_total == 13_800


def test_a_denied_order_ends_alike_whoever_answered_first():
    ends = []
    for first, then in (("stock", "risk"), ("risk", "stock")):
        story = Story(new_group(TWO_AND_ONE))
        for answer in (first, then):
            if answer == "stock":
                story.tell(story.group.stock_reserved(story.no, story.now))
            else:
                story.tell(story.group.risk_assessed(story.no, "deny", story.now))
        ends.append(story.order)

    assert ends[0] == ends[1]
    assert (ends[0].state, ends[0].end_reason) == ("CANCELLED", "risk")


def test_what_is_short_in_one_shop_does_not_hold_up_who_takes_what_there_is():
    story = Story(new_group(TWO_AND_ONE, TWO_AND_ONE, policy="ship_available"))
    second = story.group.orders[1].order_no
    story.tell(story.group.stock_reserved(second, story.now) + story.group.risk_assessed(second, "allow", story.now))
    story.tell(story.group.stock_failed(story.no, story.now))

    assert story.states == ["CANCELLED", "AWAITING_PAYMENT"]


def test_free_goods_are_not_paid_for():
    group = new_group([(1, 0)])
    group.orders[0].freight = group.orders[0].payable = 0

    assert Story(group).answered().states == ["CONFIRMED"]


def test_an_order_that_nobody_reviews_goes_on_after_a_day_unless_somebody_must_look():
    calm = Story(new_group(review_reasons=["seller_audit"])).confirmed().wait(hours=25)
    strict = Story(new_group(review_reasons=["seller_audit"], auto_approve=False)).confirmed().wait(hours=25)
    risky = Story(new_group()).answered("review").paid().wait(hours=25)

    assert (calm.states, strict.states, risky.states) == (["CONFIRMED"], ["AWAITING_REVIEW"], ["AWAITING_REVIEW"])
    assert calm.said(OrderConfirmed)[0].reviewed_by == "system"
    assert risky.wait(hours=24).states == ["CANCELLED"]
    assert risky.said(RefundRequested)[0].reason == "review_rejected"


def test_saying_yes_or_no_twice_is_saying_it_once():
    held = Story(new_group(review_reasons=["seller_audit"])).confirmed()
    held.tell(held.group.approve(held.no, "ann", held.now))
    assert held.group.approve(held.no, "ann", held.now) == []
    with pytest.raises(ActionNotPossible):
        held.group.reject(held.no, "seller", held.now)
    refused = Story(new_group(review_reasons=["seller_audit"])).confirmed()
    refused.tell(refused.group.reject(refused.no, "seller", refused.now))

    assert refused.group.reject(refused.no, "seller", refused.now) == []
    assert len(refused.said(RefundRequested)) == 1
    assert held.said(OrderHeldForReview)[0].review_by == NOON + timedelta(hours=24)


def test_goods_that_are_gone_after_all_end_a_confirmed_order(story):
    story.confirmed()
    story.tell(story.group.stock_failed(story.no, story.now))

    assert story.states == ["CANCELLED"]
    assert [(fact.reason, fact.amount) for fact in story.said(RefundRequested)] == [("out_of_stock", 13_800)]
    assert story.order.deadlines == {}
