"""Two people at once, on real PostgreSQL: one row lock decides, and both are told the same."""

import threading
from typing import Any

import pytest

from services.shipping.tests.makers import ORDER, Shop, allocated, at, cancel_wish
from shared.contracts.shipping import (
    CashCollected,
    Delivered,
    ShipmentCancellationRejected,
    ShipmentCancelled,
    ShipmentPlanned,
    Shipped,
)
from shared.messaging import consumer


@pytest.fixture
def shop(postgres_url, tmp_path):
    shop = Shop(postgres_url, tmp_path)
    yield shop
    shop.stage.close()


def at_once(*deeds):
    """Run the deeds at the same moment; their results, in order. What one raises is raised here."""
    barrier = threading.Barrier(len(deeds))
    results: list[Any] = [None] * len(deeds)

    def run(number, deed):
        barrier.wait(10)
        try:
            results[number] = deed()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def test_hand_over_and_cancel_at_once_have_one_winner(shop):
    outcomes = set()
    for n in range(1, 13):
        order_no = f"{ORDER[:-1]}{n}"
        (shipment_id,) = shop.sold(order_no=order_no)
        shop.packed(shipment_id)
        wish = consumer.read(shop.stage.bytes_of(cancel_wish(order_no=order_no)))

        def cancel(wish=wish):
            shop.stage.consumer.handle([wish])

        def hand_over(shipment_id=shipment_id):
            return shop.do("hand-over", shipment_id)

        deeds = (cancel, hand_over) if n % 2 else (hand_over, cancel)
        answer = next(result for result in at_once(*deeds) if result is not None)
        shipped = [said for said in shop.stage.said(Shipped) if said.order_no == order_no]
        stopped = [said for said in shop.stage.said(ShipmentCancelled) if said.order_no == order_no]
        too_late = [said for said in shop.stage.said(ShipmentCancellationRejected) if said.order_no == order_no]
        state = shop.see(shipment_id)["state"]
        if answer.status == 200:
            assert (len(shipped), len(stopped), len(too_late), state) == (1, 0, 1, "SHIPPED")
        else:
            assert answer.json["code"] == "wrong_shipment_state"
            assert (len(shipped), len(stopped), len(too_late), state) == (0, 1, 0, "CANCELLED")
        outcomes.add(state)
    assert shop.stage.kept() == []


def test_two_people_hand_over_one_shipment(shop):
    (shipment_id,) = shop.sold()
    shop.packed(shipment_id)
    answers = at_once(*[lambda: shop.do("hand-over", shipment_id)] * 4)
    assert {answer.status for answer in answers} == {200}
    assert len(shop.stage.said(Shipped)) == 1


def test_two_people_pack_one_shipment(shop):
    (shipment_id,) = shop.sold()
    shop.do("pick", shipment_id)
    answers = at_once(*[lambda: shop.do("pack", shipment_id)] * 4)
    assert {answer.status for answer in answers} == {200}
    assert len(shop.carrier.booked) == 1


def test_one_callback_many_times_at_once_has_one_effect(shop):
    (shipment_id,) = shop.sold(cod=12900)
    reference = shop.handed_over(shipment_id)
    story = shop.story(reference, "collect", "out", "cash", "deliver")
    for body in story:
        assert set(at_once(*[lambda body=body: shop.send(body)] * 5)) == {200}
    assert (len(shop.stage.said(CashCollected)), len(shop.stage.said(Delivered))) == (1, 1)


def test_all_callbacks_at_once_end_at_the_door(shop):
    (shipment_id,) = shop.sold()
    reference = shop.handed_over(shipment_id)
    story = shop.story(reference, "collect", "scan", "out", "fail", "out", "deliver")
    assert set(at_once(*[lambda body=body: shop.send(body) for body in story])) == {200}
    assert shop.see(shipment_id)["state"] == "DELIVERED"
    assert len(shop.stage.said(Delivered)) == 1


def test_messages_with_the_same_reports_in_another_order_at_once_have_one_effect(shop):
    references = [shop.handed_over(no) for no in shop.sold(at("w1", "l1", 1), at("w2", "l1", 1))]
    (one, other) = [shop.story(reference, "collect", "out", "deliver") for reference in references]
    there, back = shop.bundle(*one, *other), shop.bundle(*reversed(other), *reversed(one))
    assert set(at_once(*[lambda body=body: shop.send(body) for body in (there, back) * 3])) == {200}
    assert len(shop.stage.said(Delivered)) == 2


def test_the_plan_and_the_wish_to_cancel_at_once(shop):
    """Two workers during a change of lease: whoever is first, no shipment outlives the answer."""
    for n in range(1, 7):
        order_no = f"{ORDER[:-1]}{n}"
        shop.stage.hear(shop.confirmed(order_no, l1=2))
        plan = consumer.read(shop.stage.bytes_of(allocated(at("w1", "l1", 2), order_no=order_no)))
        wish = consumer.read(shop.stage.bytes_of(cancel_wish(order_no=order_no)))
        at_once(
            lambda plan=plan: shop.stage.consumer.handle([plan]),
            lambda wish=wish: shop.stage.consumer.handle([wish]),
        )
        (answer,) = [said for said in shop.stage.said(ShipmentCancelled) if said.order_no == order_no]
        planned = {said.shipment_id for said in shop.stage.said(ShipmentPlanned) if said.order_no == order_no}
        assert set(answer.shipment_ids) == planned
        assert sum(line.qty for line in answer.lines) == 2
        for shipment_id in planned:
            assert shop.see(shipment_id)["state"] == "CANCELLED"
