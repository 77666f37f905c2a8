"""What an order does, by itself, once the buyer has the goods, and when money goes back."""

from datetime import UTC, datetime

import pytest

from services.order.domain.receiving import whole_days_after
from services.order.tests.story import Story, new_group, waits_for_nothing
from shared.contracts.lines import RefundLine
from shared.contracts.order import (
    OrderCompleted,
    ReceiptConfirmed,
)
from shared.contracts.refunds import RefundRequested

TWO_AND_ONE = [(2, 5_000), (1, 3_000)]
"""Line 1: two units of 50.00; line 2: one unit of 30.00. With freight: 138.00."""


@pytest.fixture
def story() -> Story:
    return Story(new_group(TWO_AND_ONE))


# --- receiving and refunding ----------------------------------------------------------------------------------------


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
