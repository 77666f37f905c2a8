"""The life of an order as the others' facts tell it, on both databases."""

import dataclasses
import random
from collections import Counter

import pytest
import sqlalchemy as sa

from services.order import store
from services.order.app import service
from services.order.tests import makers
from shared.contracts.event import decode_envelope
from shared.contracts.order import (
    OrderCancelled,
    OrderClosed,
    OrderCompleted,
    OrderConfirmed,
    OrderFullyShipped,
    OrderHeldForReview,
    OrderPaymentDeadlineReached,
    OrderPaymentRequested,
    OrderPlaced,
    OrderStalled,
    ReceiptConfirmed,
)
from shared.contracts.refunds import RefundRequested
from shared.storage import migrate
from shared.storage.types import timer
from shared.testing.stage import Stage


@pytest.fixture
def stage(database_url, tmp_path):
    stage = Stage(service, database_url, tmp_path)
    makers.open_shops(stage, "red", "blue")
    yield stage
    stage.close()


def place(stage, *skus, **wish):
    """The OrderPlaced facts of a new group."""
    before = len(stage.said(OrderPlaced))
    makers.place(makers.buyer(stage), *skus, **wish)
    return stage.said(OrderPlaced)[before:]


def states(stage, *orders):
    with stage.node.database.read() as connection:
        return [str(store.groups.peek(connection, o.group_no).order(o.order_no).state) for o in orders]


def answered(stage, *orders):
    for order in orders:
        stage.hear(makers.reserved(order), makers.risk(order))


def test_the_money_is_asked_for_once_when_every_order_of_the_group_has_its_answers(stage):
    red, blue = place(stage, "p-red-1", "p-blue-1")
    stage.hear(makers.reserved(red), makers.risk(blue), makers.risk(red))

    assert stage.said(OrderPaymentRequested) == []
    stage.hear(makers.reserved(blue))
    (asked,) = stage.said(OrderPaymentRequested)
    assert [share.order_no for share in asked.orders] == [red.order_no, blue.order_no]
    assert asked.payable_total == red.payable + blue.payable
    assert states(stage, red, blue) == ["AWAITING_PAYMENT"] * 2


def test_a_paid_order_goes_all_the_way(stage):
    (red,) = place(stage, "p-red-1")
    answered(stage, red)
    stage.hear(makers.paid(red))
    stage.hear(makers.planned(red), makers.picking(red), makers.shipped(red), makers.delivered(red))

    assert states(stage, red) == ["DELIVERED"]
    (confirmed,) = stage.said(OrderConfirmed)
    assert stage.node.vault.open(confirmed.delivery, "delivery")["city"] == "杭州"
    assert len(stage.said(OrderFullyShipped)) == 1
    stage.advance(days=8)
    assert [fact.by for fact in stage.said(ReceiptConfirmed)] == ["system"]
    stage.advance(days=9)
    assert states(stage, red) == ["COMPLETED"]
    assert stage.said(OrderCompleted)[0].net_amount == red.payable


def test_out_of_stock_ends_the_whole_group_when_the_buyer_wanted_all_or_nothing(stage):
    red, blue = place(stage, "p-red-1", "p-blue-1")
    stage.hear(makers.reserved(red), makers.risk(red), makers.risk(blue), makers.short(blue))

    assert states(stage, red, blue) == ["CANCELLED", "CANCELLED"]
    assert {fact.order_no: fact.reason for fact in stage.said(OrderCancelled)} == {
        blue.order_no: "out_of_stock",
        red.order_no: "sibling_failed",
    }
    assert stage.said(OrderPaymentRequested) == []


def test_out_of_stock_shrinks_the_group_when_the_buyer_takes_what_there_is(stage):
    red, blue = place(stage, "p-red-1", "p-blue-1", stock_policy="ship_available")
    stage.hear(makers.reserved(red), makers.risk(red), makers.risk(blue), makers.short(blue))

    assert states(stage, red, blue) == ["AWAITING_PAYMENT", "CANCELLED"]
    assert stage.said(OrderPaymentRequested)[0].payable_total == red.payable


def test_an_unpaid_order_is_never_cancelled_by_its_own_clock(stage):
    (red,) = place(stage, "p-red-1")
    answered(stage, red)
    stage.advance(minutes=35)

    assert states(stage, red) == ["AWAITING_PAYMENT"]
    asked = stage.said(OrderPaymentDeadlineReached)
    assert [fact.asked for fact in asked] == [1, 2, 3]  # at 30, 32 and 34 minutes
    stage.hear(makers.unpaid(red))
    stage.advance(minutes=10)
    assert states(stage, red) == ["CANCELLED"]
    assert stage.said(OrderCancelled)[0].reason == "payment_timeout"
    assert len(stage.said(OrderPaymentDeadlineReached)) == 3


def test_money_that_came_at_the_last_moment_saves_the_order(stage):
    (red,) = place(stage, "p-red-1")
    answered(stage, red)
    stage.advance(minutes=31)
    stage.hear(makers.paid(red))
    stage.advance(minutes=10)

    assert states(stage, red) == ["CONFIRMED"]
    assert stage.said(OrderCancelled) == []


def test_an_order_the_risk_rules_deny_is_cancelled_and_one_they_doubt_waits_for_a_human(stage):
    (bad,) = place(stage, "p-red-1")
    (odd,) = place(stage, "p-red-1")
    stage.hear(makers.reserved(bad), makers.risk(bad, "deny"))
    stage.hear(makers.reserved(odd), makers.risk(odd, "review"), makers.paid(odd))

    assert states(stage, bad, odd) == ["CANCELLED", "AWAITING_REVIEW"]
    assert stage.said(OrderHeldForReview)[0].reasons == ("risk",)
    stage.advance(hours=25)
    assert states(stage, odd) == ["AWAITING_REVIEW"]
    stage.advance(hours=24)
    assert states(stage, odd) == ["CANCELLED"]
    assert stage.said(RefundRequested)[0].amount == odd.payable


def test_a_shop_that_wants_to_see_its_orders_approves_them(stage):
    makers.open_shops(stage, "careful", review_orders=True)
    (order,) = place(stage, "p-careful-1")
    answered(stage, order)
    stage.hear(makers.paid(order))
    shop = stage.caller("seller", seller_id="careful")

    assert states(stage, order) == ["AWAITING_REVIEW"]
    assert stage.caller("seller", seller_id="red").post(f"/v1/orders/{order.order_no}/approve").status == 404
    assert shop.post(f"/v1/orders/{order.order_no}/approve").json["state"] == "CONFIRMED"


def test_silence_of_the_others_cancels_a_placement_after_a_quarter_of_an_hour_only(stage):
    (red,) = place(stage, "p-red-1")
    stage.hear(makers.risk(red))
    stage.advance(minutes=14)
    assert states(stage, red) == ["PLACED"]
    (stalled,) = stage.said(OrderStalled)
    assert (stalled.code, stalled.waiting_for) == ("placement_unanswered", ("inventory",))
    stage.advance(minutes=2)

    assert states(stage, red) == ["CANCELLED"]
    assert stage.said(OrderCancelled)[0].reason == "placement_timeout"


def test_cash_on_delivery_is_confirmed_without_money_and_received_at_the_door(stage):
    (red,) = place(stage, "p-red-1", payment_method="cod")
    answered(stage, red)
    assert stage.said(OrderPaymentRequested) == []
    assert stage.said(OrderConfirmed)[0].cod_amount == red.payable
    stage.hear(makers.planned(red), makers.shipped(red), makers.paid(red, method="cod"))

    assert states(stage, red) == ["RECEIVED"]
    assert stage.said(ReceiptConfirmed)[0].by == "cod"


def hear_in_disorder(stage, dice, *facts):
    """Each fact twice, shuffled, in batches of any size; some batches are redelivered whole."""
    heard = [stage.bytes_of(fact) for fact in facts] * 2
    dice.shuffle(heard)
    while heard:
        cut = dice.randint(1, len(heard))
        for _ in range(dice.choice([1, 1, 2])):
            stage.hear_bytes(*heard[:cut])
        heard = heard[cut:]


@pytest.mark.parametrize("seed", range(4))
def test_facts_in_any_order_and_any_number_of_times_lead_to_the_same_end(stage, seed):
    """A whole life, chapter by chapter: what cannot be said before something was answered is not."""
    dice = random.Random(seed)
    groups = [place(stage, "p-red-1", "p-blue-1", qty=2) for _ in range(3)]
    orders = [order for group in groups for order in group]
    one = {order.order_no: (makers.part(order, 1), makers.part(order, 1)) for order in orders}
    hear_in_disorder(stage, dice, *(f for o in orders for f in (makers.reserved(o), makers.risk(o))))
    assert states(stage, *orders) == ["AWAITING_PAYMENT"] * 6

    hear_in_disorder(stage, dice, *(makers.paid(*group) for group in groups))
    assert states(stage, *orders) == ["CONFIRMED"] * 6

    parcels = [(order, number, one[order.order_no][number - 1]) for order in orders for number in (1, 2)]
    kinds = (makers.planned, makers.shipped, makers.delivered)
    hear_in_disorder(stage, dice, *(kind(*parcel) for parcel in parcels for kind in kinds))
    assert states(stage, *orders) == ["DELIVERED"] * 6

    told = Counter((type(fact).__name__, fact.aggregate_id) for fact in stage.said())
    assert set(told.values()) == {1}
    assert Counter(name for name, _ in told) == {
        "OrderPlaced": 6,
        "OrderPaymentRequested": 3,
        "OrderConfirmed": 6,
        "OrderFullyShipped": 6,
        "OrderDelivered": 6,
    }
    assert stage.kept() == []


def test_refunds_stay_below_what_was_paid_however_the_parcels_come_back(stage):
    dice = random.Random(3)
    for _ in range(3):
        (red,) = place(stage, "p-red-1", qty=3)
        answered(stage, red)
        stage.hear(makers.paid(red))
        parts = [(red, number, makers.part(red, 1)) for number in (1, 2, 3)]
        hear_in_disorder(
            stage,
            dice,
            *(makers.shipped(*part) for part in parts),
            makers.returned(*parts[0]),
            makers.returned(*parts[1]),
            makers.lost(*parts[2]),
        )
        wishes = [fact for fact in stage.said(RefundRequested) if fact.order_no == red.order_no]
        assert sum(wish.amount for wish in wishes) == red.payable
        assert sum(wish.freight_amount for wish in wishes) == red.freight
        hear_in_disorder(stage, dice, *(makers.refunded(wish, last=True) for wish in wishes))
        assert states(stage, red) == ["CLOSED"]
        assert len([fact for fact in stage.said(OrderClosed) if fact.order_no == red.order_no]) == 1


def test_facts_about_orders_nobody_placed_wait_and_are_not_lost(stage):
    (red,) = place(stage, "p-red-1")
    stage.hear(dataclasses.replace(makers.risk(red), group_no="G1234567890123456", order_no="G1234567890123456-1"))

    assert [row.status for row in stage.kept()] == ["early"]


def test_a_fact_about_an_order_its_group_never_had_is_dead_at_once(stage):
    (red,) = place(stage, "p-red-1")
    stage.hear(dataclasses.replace(makers.risk(red), order_no=f"{red.group_no}-9"))

    assert [row.status for row in stage.kept()] == ["dead"]


def test_each_order_of_a_batch_goes_on_in_its_own_flow(stage):
    """What is told and what will ring belongs to the flow of the fact that caused it, not to the batch's last."""
    red, blue = place(stage, "p-red-1") + place(stage, "p-blue-1")
    stage.hear(makers.reserved(red), makers.reserved(blue))
    bodies = [stage.bytes_of(makers.risk(order)) for order in (red, blue)]
    stage.hear_bytes(*bodies)

    flows = {decode_envelope(body).partitionkey: decode_envelope(body).correlationid for body in bodies}
    with stage.node.database.read() as connection:
        rows = connection.execute(sa.select(timer.c.aggregate, timer.c.cause).where(timer.c.name == "pay_by")).all()
    assert {row.aggregate: row.cause.partition("|")[0] for row in rows} == flows


def test_a_fact_the_state_does_not_know_is_shown_on_the_timeline_and_changes_nothing(stage):
    (red,) = place(stage, "p-red-1")
    stage.hear(makers.delivered(red))
    buyer = stage.caller("operator")
    last = buyer.get(f"/v1/orders/{red.order_no}/timeline").json["entries"][-1]

    assert states(stage, red) == ["PLACED"]
    assert (last["what"], last["expected"]) == ("Delivered", False)


def test_the_tables_are_what_the_migrations_make(database_url, tmp_path):
    from pathlib import Path

    from shared.storage.database import Database

    database = Database(database_url)
    service.migrate(database)
    with database.begin() as connection:
        migrate.check(connection, Path("services/order/migrations"), service.metadata, "alembic_version")
    database.close()
