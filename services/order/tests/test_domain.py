"""What an order does, by itself: stories a shopkeeper would tell, without a store or a door."""

from datetime import UTC, datetime, timedelta

import pytest

from services.order.domain.group import ActionNotPossible, AttemptInFlight, PriceOutOfRange, ReceiptAlreadyExtended
from services.order.domain.receiving import whole_days_after
from services.order.tests.story import FREIGHT, NOON, Story, new_group, waits_for_nothing
from shared.contracts.lines import RefundLine
from shared.contracts.order import (
    OrderCancellationRejected,
    OrderCancellationRequested,
    OrderCancelled,
    OrderClosed,
    OrderCompleted,
    OrderConfirmed,
    OrderDelivered,
    OrderFullyShipped,
    OrderHeldForReview,
    OrderLinesCancelled,
    OrderPaymentDeadlineReached,
    OrderPaymentRequested,
    ReceiptConfirmed,
    ReceiptExtended,
)
from shared.contracts.refunds import RefundRequested
from shared.kernel.errors import Fatal

TWO_AND_ONE = [(2, 5_000), (1, 3_000)]
"""Line 1: two units of 50.00; line 2: one unit of 30.00. With freight: 138.00."""


@pytest.fixture
def story() -> Story:
    return Story(new_group(TWO_AND_ONE))


# --- paying: payment is the arbiter -----------------------------------------------------------------------------------


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


# --- placing and review -----------------------------------------------------------------------------------------------


def test_the_last_order_that_is_waited_for_may_also_be_the_one_that_is_cancelled():
    story = Story(new_group(TWO_AND_ONE, TWO_AND_ONE))
    second = story.group.orders[1].order_no
    story.tell(story.group.stock_reserved(second, story.now) + story.group.risk_assessed(second, "allow", story.now))
    assert story.said(OrderPaymentRequested) == []
    story.cancel()

    assert story.states == ["CANCELLED", "AWAITING_PAYMENT"]
    assert story.said(OrderPaymentRequested)[0].payable_total == 13_800


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


# --- cancelling: shipping is the arbiter ------------------------------------------------------------------------------


def test_a_paid_order_is_cancelled_once_shipping_has_stopped_it(story):
    story.confirmed().planned("a", l1=2, l2=1).picking("a")
    story.cancel()
    assert story.states == ["CANCEL_PENDING"]
    story.stopped("a", l1=2, l2=1)

    assert story.states == ["CANCELLED"]
    (back,) = story.said(RefundRequested)
    assert (back.amount, back.freight_amount, back.reason) == (13_800, FREIGHT, "cancelled")
    story.stopped("a", l1=2, l2=1)
    assert len(story.said(OrderCancelled)) == len(story.said(RefundRequested)) == 1


def test_what_is_gone_is_gone_and_the_order_is_where_it_was(story):
    story.confirmed().planned("a", l1=2, l2=1).picking("a")
    story.cancel()
    story.gone("a")

    assert story.states == ["FULFILLING"]
    assert story.said(OrderCancellationRejected)[0].reason == "handed_over"
    story.shipped("a", l1=2, l2=1)
    assert story.states == ["SHIPPED"]
    assert len(story.said(OrderCancellationRejected)) == 1


def test_a_mixed_answer_cancels_what_stayed_and_sends_what_went(story):
    story.confirmed().planned("a", l1=2).planned("b", l2=1)
    story.cancel()
    story.shipped("a", l1=2)
    assert story.states == ["CANCEL_PENDING"]
    story.stopped("b", gone=["a"], l2=1)

    assert story.states == ["SHIPPED"]
    assert story.said(OrderCancellationRejected)[0].reason == "partly_handed_over"
    assert [(one.line_id, one.qty) for one in story.said(OrderLinesCancelled)[0].lines] == [("2", 1)]
    assert [(fact.reason, fact.amount) for fact in story.said(RefundRequested)] == [("lines_cancelled", 3_000)]


def test_a_mixed_answer_said_twice_before_the_carrier_is_heard_cancels_once():
    story = Story(new_group([(5, 1_000)])).confirmed().planned("a", l1=3).planned("b", l1=2)
    story.cancel()
    story.stopped("b", gone=["a"], l1=2)
    story.cancel()
    story.stopped("b", gone=["a"], l1=2)

    assert sum(line.qty for fact in story.said(OrderLinesCancelled) for line in fact.lines) == 2
    story.shipped("a", l1=3)
    assert story.states == ["SHIPPED"]
    assert sum(fact.amount for fact in story.said(RefundRequested)) == 2_000


def test_the_rest_of_a_half_shipped_order_can_be_cancelled_and_is_asked_for_once(story):
    story.confirmed().shipped("a", l1=2)
    assert len(story.cancel()) == 1
    assert story.cancel() == []
    story.stopped(gone=["a"], l2=1)

    assert story.states == ["SHIPPED"]
    assert story.said(OrderCancellationRejected) == []
    assert story.said(RefundRequested)[0].amount == 3_000


def test_who_wanted_the_rest_cancelled_is_told_when_the_rest_leaves_first(story):
    story.confirmed().shipped("a", l1=2)
    story.cancel()
    story.shipped("b", l2=1)

    assert story.states == ["SHIPPED"]
    assert [fact.shipment_ids for fact in story.said(OrderCancellationRejected)] == [("a", "b")]
    assert "cancel_answer" not in story.order.deadlines
    story.gone("a", "b")
    assert len(story.said(OrderCancellationRejected)) == 1


def test_shipping_that_does_not_answer_is_asked_again(story):
    story.confirmed()
    story.cancel()
    story.wait(minutes=25)

    assert story.states == ["CANCEL_PENDING"]
    assert [fact.asked for fact in story.said(OrderCancellationRequested)] == [1, 2, 3]


# --- shipping ---------------------------------------------------------------------------------------------------------


def test_parcels_may_leave_in_any_order_and_the_last_one_counts(story):
    story.confirmed().shipped("b", l2=1)
    assert story.states == ["PARTIALLY_SHIPPED"]
    story.delivered("b").shipped("a", l1=2)
    assert story.states == ["SHIPPED"]
    story.delivered("a")

    assert story.states == ["DELIVERED"]
    assert len(story.said(OrderFullyShipped)) == len(story.said(OrderDelivered)) == 1


def test_a_plan_heard_of_after_the_parcel_left_does_not_call_it_back(story):
    story.confirmed().all_shipped().planned("a", l1=2, l2=1)

    assert story.states == ["SHIPPED"]
    assert story.order.parcels["a"].state == "shipped"


def test_what_arrives_must_have_left(story):
    story.confirmed().delivered("a", l1=2, l2=1)
    assert story.states == ["DELIVERED"]
    story.all_shipped()

    assert story.states == ["DELIVERED"]
    assert len(story.said(OrderFullyShipped)) == 1
    assert [line.shipped for line in story.order.lines] == [2, 1]


def test_a_parcel_packed_anew_carries_what_left_not_what_was_planned():
    story = Story(new_group([(5, 1_000)])).confirmed().planned("a", l1=5)
    story.shipped("a", l1=3).delivered("a").shipped("b", l1=2)
    assert (story.order.lines[0].shipped, story.order.lines[0].delivered) == (5, 3)
    story.delivered("b")

    assert story.states == ["DELIVERED"]


def test_an_order_that_does_not_leave_in_time_shows_it_every_day_until_it_does(story):
    story.confirmed().wait(hours=49)
    assert story.order.overdue
    story.wait(days=2)
    assert "ship_by" in story.order.deadlines
    story.all_shipped()

    assert not story.order.overdue
    assert "ship_by" not in story.order.deadlines


def test_the_time_to_confirm_receipt_stands_still_while_a_parcel_is_in_trouble(story):
    story.confirmed().shipped("a", l1=2).shipped("b", l2=1)
    by = story.order.deadlines["receipt"]
    story.wait(days=3).failed("b").wait(days=30)
    assert story.states == ["SHIPPED"]
    story.delivered("b")

    assert story.order.deadlines["receipt"] == by + timedelta(days=30)
    story.delivered("a")
    assert story.order.deadlines["receipt"] == story.now + timedelta(days=7)


def test_five_days_more_are_not_lost_to_a_standstill_or_to_the_last_parcel(story):
    story.confirmed().all_shipped().failed("a")
    story.tell(story.group.extend_receipt(story.no, story.now))
    assert story.said(ReceiptExtended)[0].new_receipt_by == NOON + timedelta(days=20)
    story.delivered("a")

    assert story.order.deadlines["receipt"] == NOON + timedelta(days=12)
    with pytest.raises(ReceiptAlreadyExtended):
        story.group.extend_receipt(story.no, story.now)


@pytest.mark.parametrize("returned_last", [True, False])
def test_a_parcel_that_comes_back_is_refunded_and_the_rest_is_delivered(story, returned_last):
    story.confirmed().shipped("a", l1=2).shipped("b", l2=1).refused("b")
    ends = [lambda: story.delivered("a"), lambda: story.returned("b")]
    for end in ends if returned_last else reversed(ends):
        end()

    assert story.states == ["DELIVERED"]
    assert [(fact.reason, fact.amount) for fact in story.said(RefundRequested)] == [("returned_to_sender", 3_000)]
    story.wait(days=8)
    assert [(line.line_id, line.qty) for line in story.said(ReceiptConfirmed)[0].lines] == [("1", 2)]


def test_an_order_that_comes_back_whole_is_closed_and_paid_back_with_its_freight(story):
    story.confirmed().shipped("a", l1=2).shipped("b", l2=1).returned("a").returned("b")

    assert story.states == ["CLOSED"]
    assert story.said(OrderClosed)[0].reason == "undeliverable"
    assert [(fact.amount, fact.freight_amount) for fact in story.said(RefundRequested)] == [(10_000, 0), (3_800, 800)]


def test_an_order_whose_sent_part_came_back_is_closed_when_the_rest_is_cancelled(story):
    story.confirmed().shipped("a", l1=2).returned("a")
    story.cancel()
    story.stopped(gone=["a"], l2=1)

    assert story.states == ["CLOSED"]
    assert sum(fact.amount for fact in story.said(RefundRequested)) == 13_800


@pytest.mark.parametrize("delivered_last", [True, False])
def test_a_lost_parcel_is_refunded_and_does_not_hold_up_the_one_that_arrived(story, delivered_last):
    story.confirmed().shipped("a", l1=2).shipped("b", l2=1)
    ends = [lambda: story.lost("b"), lambda: story.delivered("a")]
    for end in ends if delivered_last else reversed(ends):
        end()

    assert story.states == ["DELIVERED"]
    assert story.said(RefundRequested)[0].amount == 3_000
    assert story.wait(days=8).states == ["RECEIVED"]


def test_an_order_that_is_lost_whole_waits_for_its_money_and_is_then_closed(story):
    story.confirmed().all_shipped().lost("a")
    (back,) = story.said(RefundRequested)
    assert story.wait(days=60).states == ["SHIPPED"]
    assert story.order.pauses == [back.refund_id]
    story.refunded(back.refund_id, back.amount, fully=True)

    assert story.states == ["CLOSED"]
    assert story.said(OrderClosed)[0].reason == "fully_refunded"


def test_a_parcel_that_comes_back_after_the_buyer_confirmed_is_still_paid_back(story):
    story.confirmed().all_shipped()
    story.tell(story.group.confirm_receipt(story.no, story.now))
    story.wait(days=9)
    assert story.states == ["COMPLETED"]
    story.returned("a")

    assert story.said(RefundRequested)[0].amount == 13_800


def test_who_speaks_of_an_order_or_a_line_that_never_was_is_not_believed(story):
    story.confirmed()
    with pytest.raises(Fatal):
        story.group.stock_reserved("G0000000000000000-7", story.now)
    with pytest.raises(Fatal):
        story.shipped("a", l9=1)


# --- cash on delivery -------------------------------------------------------------------------------------------------


@pytest.fixture
def cash() -> Story:
    return Story(new_group(TWO_AND_ONE, method="cod")).answered()


def test_cash_of_several_parcels_is_receipt_once_all_of_it_is_there(cash):
    cash.shipped("a", l1=2).delivered("a").shipped("b", l2=1).delivered("b")
    assert cash.states == ["DELIVERED"]
    cash.paid(13_800, method="cod")

    assert cash.states == ["RECEIVED"]
    assert cash.said(ReceiptConfirmed)[0].by == "cod"


def test_cash_heard_of_before_the_parcel_is_receipt_as_soon_as_the_parcel_is(cash):
    cash.paid(13_800, method="cod").all_shipped()

    assert cash.states == ["RECEIVED"]
    assert cash.order.paid_amount == 13_800


def test_cash_that_was_never_taken_is_not_given_back(cash):
    cash.shipped("a", l1=2).delivered("a").shipped("b", l2=1)
    cash.tell(cash.group.confirm_receipt(cash.no, cash.now))
    cash.paid(10_000, method="cod").returned("b", cod=True)

    assert cash.said(RefundRequested) == []
    assert cash.states == ["RECEIVED"]


def test_a_refused_cash_order_is_closed_without_a_refund(cash):
    cash.all_shipped().refused("a").returned("a", cod=True)

    assert cash.states == ["CLOSED"]
    assert cash.said(OrderClosed)[0].reason == "cod_refused"
    assert cash.said(RefundRequested) == []


def test_a_cash_order_that_is_lost_whole_is_closed_at_once(cash):
    cash.all_shipped().lost("a")

    assert cash.states == ["CLOSED"]
    assert cash.said(OrderClosed)[0].reason == "undeliverable"


# --- receiving and refunding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "region", "until"),
    [
        ("2026-03-02T12:00", "CN-ZJ", "2026-03-09T16:00"),  # 2 March in China: the 3rd to the 9th are whole days
        ("2026-03-02T15:59", "CN", "2026-03-09T16:00"),
        ("2026-03-02T16:00", "CN", "2026-03-10T16:00"),  # already the 3rd there
        ("2026-03-02T12:00", "US-CA", "2026-03-10T12:00"),  # many clocks: never less than the law's days
    ],
)
def test_seven_whole_days_are_counted_from_the_day_after_by_the_buyers_calendar(received, region, until):
    moment = datetime.fromisoformat(received).replace(tzinfo=UTC)

    assert whole_days_after(moment, 7, region) == datetime.fromisoformat(until).replace(tzinfo=UTC)


def test_an_order_is_completed_when_the_window_closes(story):
    story.confirmed().all_shipped().delivered("a")
    story.tell(story.group.confirm_receipt(story.no, story.now))
    assert story.group.confirm_receipt(story.no, story.now) == []
    until = story.said(ReceiptConfirmed)[0].after_sale_until
    assert story.order.deadlines == {"after_sale_window": until}
    story.refunded("case-1", 1_000).wait(days=8)

    assert story.states == ["COMPLETED"]
    assert (story.said(OrderCompleted)[0].net_amount, story.said(OrderCompleted)[0].refunded_amount) == (12_800, 1_000)


def test_a_refund_counts_once_and_the_last_one_closes_the_order(story):
    story.confirmed().all_shipped().delivered("a")
    story.refunded("case-1", 10_000).refunded("case-1", 10_000)
    assert (story.order.refunded_amount, story.states) == (10_000, ["DELIVERED"])
    story.refunded("case-2", 3_800, fully=True)

    assert story.states == ["CLOSED"]
    assert waits_for_nothing(story.group) == []


def test_what_an_after_sale_case_gave_back_is_not_given_back_again(story):
    story.confirmed().shipped("a", l1=2).shipped("b", l2=1)
    part = (RefundLine(line_id="1", qty=1, amount=5_000),)
    story.tell(story.group.refunded(story.no, "case-1", 5_000, False, story.now, part))
    story.returned("a")

    assert [(line.qty, line.amount) for line in story.said(RefundRequested)[0].lines] == [(1, 5_000)]


def test_what_was_given_out_of_goodwill_is_not_given_twice(story):
    story.confirmed().shipped("a", l1=1).shipped("b", l1=1, l2=1).returned("a")
    part = (RefundLine(line_id="1", qty=0, amount=2_000),)
    story.tell(story.group.refunded(story.no, "case-1", 2_000, False, story.now, part))
    story.returned("b")

    assert [line.amount for fact in story.said(RefundRequested) for line in fact.lines] == [5_000, 3_000, 3_000]


def test_odd_cents_are_given_back_to_the_last_one():
    story = Story(new_group([(3, 0)], [(1, 1)]))
    line = story.order.lines[0]
    line.amount, line.qty = 100, 3
    shares = []
    for _ in range(3):
        shares.append(line.price_of_next(1))
        line.refunded += 1
        line.refunded_amount += shares[-1]

    assert shares == [34, 33, 33]
