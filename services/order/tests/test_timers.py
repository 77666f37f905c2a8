"""What happens when nothing happens: every silence has its end, or is at least shown."""

import pytest
import sqlalchemy as sa

from services.order import store
from services.order.app import service
from services.order.tests import makers
from shared.contracts.order import (
    OrderCancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderPlaced,
    OrderStalled,
    ReceiptConfirmed,
)
from shared.storage.types import timer
from shared.testing.stage import Stage


@pytest.fixture
def stage(sqlite_url, tmp_path):
    stage = Stage(service, sqlite_url, tmp_path)
    makers.open_shops(stage, "red")
    yield stage
    stage.close()


@pytest.fixture
def buyer(stage):
    return makers.buyer(stage)


@pytest.fixture
def red(stage, buyer):
    """A confirmed order."""
    makers.place(buyer, "p-red-1")
    (placed,) = stage.said(OrderPlaced)
    stage.hear(makers.reserved(placed), makers.risk(placed), makers.paid(placed))
    return placed


def view(buyer, order):
    return buyer.get(f"/v1/orders/{order.order_no}").json


def waiting(stage):
    with stage.node.database.read() as connection:
        names = connection.execute(sa.select(timer.c.name).where(timer.c.name != "sweep_quotes")).scalars()
        return sorted(names)


def test_an_order_that_does_not_leave_in_time_says_whom_it_waits_for(stage, buyer, red):
    assert list(view(buyer, red)["deadlines"]) == ["ship_by"]
    stage.advance(hours=49)
    assert view(buyer, red)["blocked_because"]["code"] == "not_shipped_in_time"
    assert waiting(stage) == ["ship_by"]
    stage.hear(makers.shipped(red))

    assert view(buyer, red)["blocked_because"] is None
    assert waiting(stage) == ["receipt"]


def test_shipping_may_say_first_that_it_is_late(stage, buyer, red):
    stage.hear(makers.planned(red), makers.overdue(red))

    assert view(buyer, red)["blocked_because"]["waiting_for"] == ["seller"]


def test_shipping_that_does_not_answer_is_asked_every_ten_minutes_and_that_is_shown(stage, buyer, red):
    buyer.post(f"/v1/orders/{red.order_no}/cancel")
    asked_at = stage.now()
    assert view(buyer, red)["blocked_because"] is None
    stage.advance(minutes=21)

    assert [fact.asked for fact in stage.said(OrderCancellationRequested)] == [1, 2, 3]
    assert [fact.code for fact in stage.said(OrderStalled)] == ["cancel_unanswered"]
    blocked = view(buyer, red)["blocked_because"]
    assert (blocked["code"], blocked["waiting_for"]) == ("cancel_unanswered", ["shipping"])
    assert blocked["since"][:16] == asked_at.isoformat()[:16]
    stage.hear(makers.stopped(red))
    assert view(buyer, red)["state"] == "CANCELLED"
    assert waiting(stage) == []


def test_a_parcel_nobody_takes_in_stops_the_clock_until_it_arrives(stage, buyer, red):
    stage.hear(makers.shipped(red), makers.failed(red))
    assert waiting(stage) == []
    assert view(buyer, red)["blocked_because"]["code"] == "delivery_troubled"
    stage.advance(days=40)
    assert view(buyer, red)["state"] == "SHIPPED"
    stage.hear(makers.delivered(red))
    stage.advance(days=8)

    assert [fact.by for fact in stage.said(ReceiptConfirmed)] == ["system"]


def test_five_days_more_are_five_days_more(stage, buyer, red):
    stage.hear(makers.shipped(red), makers.delivered(red))
    buyer.post(f"/v1/orders/{red.order_no}/receipt/extend")
    stage.advance(days=11)
    assert view(buyer, red)["state"] == "DELIVERED"
    stage.advance(days=2)

    assert view(buyer, red)["state"] == "RECEIVED"


def test_the_end_leaves_no_clock_ticking(stage, buyer, red):
    stage.hear(makers.shipped(red), makers.delivered(red))
    buyer.post(f"/v1/orders/{red.order_no}/receipt")
    assert waiting(stage) == ["after_sale_window"]
    stage.advance(days=8, hours=1)

    assert len(stage.said(OrderCompleted)) == 1
    assert waiting(stage) == []


def test_an_order_that_is_looked_at_by_nobody_goes_on_after_a_day_and_a_doubtful_one_does_not(stage, buyer):
    makers.open_shops(stage, "careful", review_orders=True)
    makers.place(buyer, "p-careful-1")
    makers.place(buyer, "p-red-1")
    calm, odd = stage.said(OrderPlaced)
    stage.hear(makers.reserved(calm), makers.risk(calm), makers.paid(calm))
    stage.hear(makers.reserved(odd), makers.risk(odd, "review"), makers.paid(odd))
    stage.advance(hours=24, minutes=1)
    assert [view(buyer, order)["state"] for order in (calm, odd)] == ["CONFIRMED", "AWAITING_REVIEW"]
    assert [(fact.order_no, fact.code) for fact in stage.said(OrderStalled)] == [(odd.order_no, "review_unanswered")]
    assert view(buyer, odd)["blocked_because"]["waiting_for"] == ["seller", "operator"]
    stage.advance(hours=24)

    assert view(buyer, odd)["state"] == "CANCELLED"
    assert [fact.reason for fact in stage.said(OrderCancelled)] == ["review_rejected"]


def test_only_unpaid_orders_show_the_deadline_of_their_groups_payment(stage, buyer):
    makers.open_shops(stage, "blue")
    makers.place(buyer, "p-red-1", "p-blue-1")
    red, blue = stage.said(OrderPlaced)
    stage.hear(*(fact for order in (red, blue) for fact in (makers.reserved(order), makers.risk(order))))
    assert list(view(buyer, red)["deadlines"]) == ["pay_by"]
    buyer.post(f"/v1/orders/{red.order_no}/cancel")
    stage.hear(makers.unpaid(red))

    assert view(buyer, red)["deadlines"] == {}
    assert list(view(buyer, blue)["deadlines"]) == ["pay_by"]


def test_quotes_nobody_took_up_are_forgotten_and_what_was_placed_is_not(stage, buyer, red):
    makers.ask_quote(buyer, "p-red-1")
    stage.advance(days=3)
    with stage.node.database.read() as connection:
        left = connection.execute(sa.select(sa.func.count()).select_from(store.quotes.table)).scalar()

    assert left == 0
    assert view(buyer, red)["state"] == "CONFIRMED"
