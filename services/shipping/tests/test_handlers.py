"""What others say: plans, deadlines, and answers to those who want an order stopped."""

import pytest

from services.shipping.tests.makers import GROUP, ORDER, allocated, at, cancel_wish, cancelled
from shared.contracts.inventory import BackorderFilled
from shared.contracts.lines import LineQty
from shared.contracts.shipping import (
    ShipmentCancellationRejected,
    ShipmentCancelled,
    ShipmentOverdue,
    ShipmentPlanned,
    Shipped,
)


def test_each_warehouse_gets_one_shipment(shop):
    shop.stage.hear(shop.confirmed(l1=3, l2=1))
    shop.stage.hear(allocated(at("w1", "l1", 2), at("w2", "l1", 1), at("w2", "l2", 1)))
    first, second = shop.stage.said(ShipmentPlanned)
    assert [(one.warehouse_id, one.index, one.of) for one in (first, second)] == [("w1", 1, 2), ("w2", 2, 2)]
    assert [(line.line_id, line.qty) for line in second.lines] == [("l1", 1), ("l2", 1)]
    assert (first.carrier, first.service, first.cod_amount) == ("sandbox", "standard", 0)


def test_stock_that_is_told_before_the_order_waits_for_it(shop):
    shop.stage.hear(allocated(at("w1", "l1", 2)))
    (early,) = shop.stage.kept()
    assert early.status == "early"
    shop.stage.hear(shop.confirmed())
    assert len(shop.stage.said(ShipmentPlanned)) == 1
    assert shop.stage.kept() == []


def test_the_same_facts_twice_plan_once(shop):
    bodies = [shop.stage.bytes_of(shop.confirmed()), shop.stage.bytes_of(allocated(at("w1", "l1", 2)))]
    shop.stage.hear_bytes(*bodies, *bodies)
    shop.stage.hear_bytes(*bodies)
    assert len(shop.stage.said(ShipmentPlanned)) == 1


def test_many_orders_in_one_batch(shop):
    numbers = [f"{GROUP}-{n}" for n in range(1, 6)]
    shop.stage.hear(
        *(shop.confirmed(number) for number in numbers),
        *(allocated(at("w1", "l1", 2), order_no=number) for number in numbers),
        cancel_wish(order_no=numbers[0]),
    )
    assert [said.order_no for said in shop.stage.said(ShipmentPlanned)] == numbers
    assert [said.order_no for said in shop.stage.said(ShipmentCancelled)] == numbers[:1]


def test_what_came_in_later_is_sent_later(shop):
    shop.stage.hear(shop.confirmed(cod=1000, l1=3))
    shop.stage.hear(allocated(at("w1", "l1", 2, backordered=1)))
    shop.stage.advance(days=9)
    filled = BackorderFilled(
        reservation_id="r1", group_no=GROUP, order_no=ORDER, seller_id="shop-1", line_id="l1", sku="sku-l1",
        warehouse_id="w2", qty=1, still_backordered_qty=0,
    )  # fmt: skip
    shop.stage.hear(filled)
    first, second = shop.stage.said(ShipmentPlanned)
    assert (second.index, second.of, second.lines[0].qty) == (2, 2, 1)
    assert first.cod_amount + second.cod_amount == 1000
    assert second.ship_by > shop.stage.now()


def test_cash_is_shared_over_the_shipments_to_the_last_cent(shop):
    shop.sold(at("w1", "l1", 1), at("w2", "l1", 2), cod=1000, l1=3)
    assert [said.cod_amount for said in shop.stage.said(ShipmentPlanned)] == [333, 667]


def test_each_parcel_collects_what_is_in_it_with_its_part_of_the_freight(shop):
    first, _ = shop.sold(at("w1", "l1", 1), at("w1", "dear", 1), at("w2", "dear", 1), cod=707, l1=1, dear=2)
    assert [said.cod_amount for said in shop.stage.said(ShipmentPlanned)] == [404, 303]
    shop.stage.hear(cancel_wish("dear"))
    assert shop.see(first)["cod_amount"] == 101  # what was taken out of it is not paid for


def test_goods_of_an_after_sale_case_are_not_planned_with_the_sale(small_shop):
    small_shop.stage.hear(small_shop.confirmed())
    small_shop.stage.hear(allocated(at("w1", "l1", 2), purpose="replacement", case_id="c1"))
    assert small_shop.stage.said(ShipmentPlanned) == []


def test_a_shipment_not_sent_in_time_is_overdue_once(shop):
    (shipment_id,) = shop.sold()
    shop.stage.advance(hours=47)
    assert shop.stage.said(ShipmentOverdue) == []
    shop.stage.advance(days=30)
    (overdue,) = shop.stage.said(ShipmentOverdue)
    assert overdue.shipment_id == shipment_id
    assert shop.see(shipment_id)["overdue"] is True


def test_a_shipment_sent_in_time_is_never_overdue(small_shop):
    (shipment_id,) = small_shop.sold()
    small_shop.handed_over(shipment_id)
    small_shop.stage.advance(days=5)
    assert small_shop.stage.said(ShipmentOverdue) == []


# --- to stop an order


def test_an_order_still_in_the_house_is_stopped(shop):
    shipments = shop.sold(at("w1", "l1", 1), at("w2", "l1", 1))
    shop.stage.hear(cancel_wish())
    (answer,) = shop.stage.said(ShipmentCancelled)
    assert answer.shipment_ids == tuple(shipments)
    assert answer.lines == (LineQty(line_id="l1", qty=2),)
    assert answer.gone_shipment_ids == ()
    assert {shop.see(one)["state"] for one in shipments} == {"CANCELLED"}
    assert shop.do("pick", shipments[0]).json["code"] == "wrong_shipment_state"
    shop.stage.advance(days=5)
    assert shop.stage.said(ShipmentOverdue) == []


def test_the_answer_names_the_request_it_answers(shop):
    shop.sold()
    body = shop.stage.bytes_of(cancel_wish(), event_id="the-request")
    shop.stage.hear_bytes(body, body)
    shop.stage.hear_bytes(body)
    (answer,) = shop.stage.said(ShipmentCancelled)
    assert answer.cause_event_id == "the-request"


def test_asked_again_it_answers_the_same_again(shop):
    shop.sold()
    shop.stage.hear(cancel_wish())
    shop.stage.hear(cancel_wish(asked=2))
    first, second = shop.stage.said(ShipmentCancelled)
    assert (first.shipment_ids, first.lines) == (second.shipment_ids, second.lines)


def test_a_rejection_is_repeated_too(small_shop):
    (shipment_id,) = small_shop.sold()
    small_shop.handed_over(shipment_id)
    small_shop.stage.hear(cancel_wish())
    small_shop.stage.hear(cancel_wish(asked=2))
    answers = small_shop.stage.said(ShipmentCancellationRejected)
    assert [(one.shipment_ids, one.reason) for one in answers] == [((shipment_id,), "handed_over")] * 2
    assert small_shop.stage.said(ShipmentCancelled) == []


def test_stopping_comes_too_late_for_what_has_left(shop):
    gone, kept = shop.sold(at("w1", "l1", 1), at("w2", "l1", 1))
    shop.handed_over(gone)
    shop.stage.hear(cancel_wish())
    (answer,) = shop.stage.said(ShipmentCancelled)
    assert (answer.shipment_ids, answer.gone_shipment_ids) == ((kept,), (gone,))
    assert answer.lines == (LineQty(line_id="l1", qty=1),)


def test_what_was_stopped_is_not_answered_for_twice(small_shop):
    gone, _ = small_shop.sold(at("w1", "l1", 1), at("w2", "l1", 1))
    small_shop.handed_over(gone)
    small_shop.stage.hear(cancel_wish())
    small_shop.stage.hear(cancel_wish())  # another wish, not the same one asked again
    (rejected,) = small_shop.stage.said(ShipmentCancellationRejected)
    assert rejected.shipment_ids == (gone,)


def test_a_delivered_order_says_so(small_shop):
    (shipment_id,) = small_shop.sold()
    reference = small_shop.handed_over(shipment_id)
    small_shop.call_back(*small_shop.story(reference, "collect", "out", "deliver"))
    small_shop.stage.hear(cancel_wish())
    (rejected,) = small_shop.stage.said(ShipmentCancellationRejected)
    assert rejected.reason == "delivered"


def test_a_wish_that_comes_before_the_order_leaves_a_tombstone(shop):
    shop.stage.hear(cancel_wish())
    (answer,) = shop.stage.said(ShipmentCancelled)
    assert (answer.shipment_ids, answer.lines, answer.gone_shipment_ids) == ((), (), ())
    shop.stage.hear(shop.confirmed())
    shop.stage.hear(allocated(at("w1", "l1", 2)))
    assert shop.stage.said(ShipmentPlanned) == []
    assert shop.stage.kept() == []


def test_an_order_stopped_before_its_plan_never_gets_one(shop):
    shop.stage.hear(shop.confirmed())
    shop.stage.hear(cancel_wish())
    shop.stage.hear(allocated(at("w1", "l1", 2)))
    (answer,) = shop.stage.said(ShipmentCancelled)
    assert (answer.shipment_ids, answer.lines) == ((), (LineQty(line_id="l1", qty=2),))
    assert shop.stage.said(ShipmentPlanned) == []


def test_a_wish_before_payment_is_none_of_shippings_business(small_shop):
    small_shop.sold()
    small_shop.stage.hear(cancel_wish(stage="unpaid"))
    assert small_shop.stage.said(ShipmentCancelled) == []


def test_one_line_of_a_shipment_is_stopped_and_the_rest_sent(shop):
    (shipment_id,) = shop.sold(at("w1", "l1", 1), at("w1", "l2", 3), l1=1, l2=3)
    shop.packed(shipment_id)
    shop.stage.hear(cancel_wish("l1"))
    (answer,) = shop.stage.said(ShipmentCancelled)
    assert (answer.shipment_ids, answer.lines) == ((), (LineQty(line_id="l1", qty=1),))
    assert shop.see(shipment_id)["state"] == "PICKING"  # opened, to be packed anew
    shop.stage.call()
    assert shop.carrier.voided == [f"sh_{shipment_id}.1"]
    assert shop.do("pack", shipment_id).json["tracking_no"] == f"SBX{shipment_id}.2"
    shop.do("hand-over", shipment_id)
    (shipped,) = shop.stage.said(Shipped)
    assert [(line.line_id, line.qty) for line in shipped.lines] == [("l2", 3)]


def test_a_line_stopped_before_the_plan_is_left_out_of_it(small_shop):
    small_shop.stage.hear(small_shop.confirmed(l1=1, l2=1))
    small_shop.stage.hear(cancel_wish("l1"))
    small_shop.stage.hear(allocated(at("w1", "l1", 1), at("w2", "l2", 1)))
    (planned,) = small_shop.stage.said(ShipmentPlanned)
    assert (planned.warehouse_id, planned.of) == ("w2", 1)


def test_a_cancelled_order_leaves_nothing_on_the_table(shop):
    gone, kept = shop.sold(at("w1", "l1", 1), at("w2", "l1", 1))
    shop.handed_over(gone)
    shop.packed(kept)
    shop.stage.hear(cancelled())
    shop.stage.hear(cancelled())
    assert (shop.see(gone)["state"], shop.see(kept)["state"]) == ("SHIPPED", "CANCELLED")
    shop.stage.call()
    assert shop.carrier.voided == [f"sh_{kept}.1"]
    assert len(shop.stage.said(ShipmentCancelled)) == 1


def test_an_unpaid_order_that_was_cancelled_is_nothing_to_shipping(small_shop):
    small_shop.stage.hear(cancelled())
    assert small_shop.stage.said() == []
    assert small_shop.stage.kept() == []


@pytest.mark.parametrize("collected", [False, True])
def test_a_cancelled_booking_is_withdrawn_and_one_that_left_all_the_same_is_shown(small_shop, collected):
    (shipment_id,) = small_shop.sold()
    small_shop.packed(shipment_id)
    small_shop.carrier.collected = collected
    small_shop.stage.hear(cancel_wish())
    small_shop.stage.call()
    assert small_shop.carrier.voided == [f"sh_{shipment_id}.1"]
    assert small_shop.see(shipment_id)["attention"] == ("left_after_cancel" if collected else None)
