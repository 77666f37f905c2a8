"""What an order does, by itself, once there are parcels: they are stopped, leave, arrive, come back, are lost."""

from datetime import timedelta

import pytest

from services.order.domain.group import ReceiptAlreadyExtended
from services.order.tests.story import FREIGHT, NOON, Story, new_group
from shared.contracts.order import (
    OrderCancellationRejected,
    OrderCancellationRequested,
    OrderCancelled,
    OrderClosed,
    OrderDelivered,
    OrderFullyShipped,
    OrderLinesCancelled,
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


# --- cancelling: shipping is the arbiter ----------------------------------------------------------------------------


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


# --- shipping -------------------------------------------------------------------------------------------------------


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


# --- cash on delivery -----------------------------------------------------------------------------------------------


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
