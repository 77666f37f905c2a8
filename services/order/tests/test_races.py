"""Two at once, on PostgreSQL: whoever is first, the order ends in one piece."""

import threading
from collections import Counter
from datetime import timedelta

import pytest

from services.order import store
from services.order.app import service
from services.order.tests import makers
from shared.contracts.order import OrderCancellationRequested, OrderConfirmed, OrderPlaced, ReceiptConfirmed
from shared.testing.stage import Stage


@pytest.fixture
def stage(postgres_url, tmp_path):
    stage = Stage(service, postgres_url, tmp_path)
    makers.open_shops(stage, "red")
    yield stage
    stage.close()


def at_once(*deeds):
    """All deeds start together; their answers, in order."""
    gate, answers = threading.Barrier(len(deeds)), [None] * len(deeds)

    def run(number, deed):
        gate.wait(10)
        answers[number] = deed()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def placed(stage, buyer):
    makers.place(buyer, "p-red-1")
    order = stage.said(OrderPlaced)[-1]
    stage.hear(makers.reserved(order), makers.risk(order))
    return order


def state(stage, order):
    with stage.node.database.read() as connection:
        return str(store.groups.peek(connection, order.group_no).order(order.order_no).state)


def test_one_quote_pressed_by_four_fingers_is_one_order(stage):
    buyer = makers.buyer(stage)
    token = makers.ask_quote(buyer, "p-red-1").json["quote_token"]
    answers = at_once(*[lambda: buyer.post("/v1/orders", {"quote_token": token})] * 4)

    assert sorted(answer.status for answer in answers) == [202, 409, 409, 409]
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"quote_used"}
    assert len(stage.said(OrderPlaced)) == 1


def test_money_and_a_change_of_mind_at_the_same_moment(stage):
    buyer = makers.buyer(stage)
    ends: Counter[str] = Counter()
    for _ in range(6):
        order = placed(stage, buyer)
        money = stage.bytes_of(makers.paid(order))
        _, wish = at_once(
            lambda money=money: stage.hear_bytes(money),
            lambda order=order: buyer.post(f"/v1/orders/{order.order_no}/cancel"),
        )
        ends[state(stage, order)] += 1
        assert wish.status == 202

    assert set(ends) == {"CANCEL_PENDING"}  # first or second, the wish outlives the money
    assert len(stage.said(OrderConfirmed)) == 6
    assert sum(fact.stage == "paid" for fact in stage.said(OrderCancellationRequested)) == 6
    assert stage.kept() == []


def test_a_parcel_leaves_while_the_buyer_cancels(stage):
    buyer = makers.buyer(stage)
    for _ in range(6):
        order = placed(stage, buyer)
        stage.hear(makers.paid(order), makers.planned(order), makers.picking(order))
        gone = stage.bytes_of(makers.shipped(order))
        at_once(
            lambda gone=gone: stage.hear_bytes(gone),
            lambda order=order: buyer.post(f"/v1/orders/{order.order_no}/cancel"),
        )
        assert state(stage, order) == "SHIPPED"
    assert stage.kept() == []


def test_the_button_and_the_clock_confirm_receipt_once(stage):
    buyer = makers.buyer(stage)
    order = placed(stage, buyer)
    stage.hear(makers.paid(order), makers.shipped(order), makers.delivered(order))
    stage._set_clock(stage.now() + timedelta(days=8))
    at_once(
        *[lambda: buyer.post(f"/v1/orders/{order.order_no}/receipt")] * 2,
        stage.fire,
    )

    assert state(stage, order) == "RECEIVED"
    assert len(stage.said(ReceiptConfirmed)) == 1


def test_batches_that_share_groups_do_not_lock_each_other_out(stage):
    buyer = makers.buyer(stage)
    orders = []
    for _ in range(4):
        makers.place(buyer, "p-red-1")
        orders.append(stage.said(OrderPlaced)[-1])
    stock = [stage.bytes_of(makers.reserved(order)) for order in orders]
    risk = [stage.bytes_of(makers.risk(order)) for order in reversed(orders)]
    at_once(lambda: stage.hear_bytes(*stock), lambda: stage.hear_bytes(*risk))

    assert [state(stage, order) for order in orders] == ["AWAITING_PAYMENT"] * 4
    assert stage.kept() == []
