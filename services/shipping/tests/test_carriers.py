"""What carriers report, in whatever order, number and state of honesty."""

import json
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from services.shipping import store
from services.shipping.domain import Report
from services.shipping.gateways import SandboxCarrier, Wish
from services.shipping.tests.makers import NOON, SECRET, at, cancel_wish, make_due
from shared.contracts.shipping import (
    CashCollected,
    Delivered,
    DeliveryFailed,
    DeliveryRefused,
    ReturnedToSender,
    ShipmentLost,
    Shipped,
    TrackingUpdated,
)
from shared.kernel import clock
from shared.kernel.errors import OutsideUnavailable
from shared.kernel.settings import Settings
from shared.testing.keeper import Keeper
from shared.web import signatures


@pytest.fixture
def way(shop):
    """A shipment on its way: its id and the carrier's reference."""
    (shipment_id,) = shop.sold()
    return shipment_id, shop.handed_over(shipment_id)


def rows(shop):
    with shop.stage.node.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(store.carrier_callback)).scalar()


def test_a_parcel_is_followed_to_its_door(shop, way):
    shipment_id, reference = way
    assert shop.call_back(*shop.story(reference, "collect", "scan", "out", "deliver")) == [200] * 4
    assert [said.status for said in shop.stage.said(TrackingUpdated)] == [
        "accepted",
        "in_transit",
        "out_for_delivery",
    ]
    (delivered,) = shop.stage.said(Delivered)
    assert (delivered.shipment_id, delivered.signed_by, delivered.lines[0].qty) == (shipment_id, "recipient", 2)
    seen = shop.see(shipment_id)
    assert (seen["state"], seen["tracking_status"]) == ("DELIVERED", "delivered")


def test_what_people_said_at_the_door_is_not_kept(small_shop):
    (shipment_id,) = small_shop.sold()
    reference = small_shop.handed_over(shipment_id)
    bodies = small_shop.story(reference, "collect", "out", "fail")
    told = json.loads(bodies[2])
    told["data"]["reason"] = "Mrs Li was rude"
    small_shop.call_back(*bodies[:2], json.dumps(told).encode())
    (failed,) = small_shop.stage.said(DeliveryFailed)
    assert (failed.reason, failed.attempt) == ("unspecified", 1)
    with small_shop.stage.node.database.read() as connection:
        body = connection.execute(sa.select(store.shipment_table.c.body)).scalar()
    assert b"Li" not in bytes(body)


@pytest.mark.parametrize("wrong", ["unsigned", "forged", "tampered", "old", "early", "another scheme"])
def test_an_unbelievable_callback_is_refused_and_leaves_nothing(shop, way, wrong):
    _, reference = way
    (body,) = shop.story(reference, "collect")
    if wrong == "tampered":
        client = shop.stage.app.test_client()
        now = int(clock.machine_seconds())
        signature = signatures.sign(SECRET, "evt_x", now, body)
        headers = {"webhook-id": "evt_x", "webhook-timestamp": str(now), "webhook-signature": signature}
        status = client.post("/v1/callbacks/carriers/sandbox", data=body + b" ", headers=headers).status_code
    elif wrong == "unsigned":
        status = shop.stage.app.test_client().post("/v1/callbacks/carriers/sandbox", data=body).status_code
    elif wrong == "another scheme":
        headers = {"webhook-id": "e", "webhook-timestamp": "1", "webhook-signature": "v0,abc"}
        client = shop.stage.app.test_client()
        status = client.post("/v1/callbacks/carriers/sandbox", data=body, headers=headers).status_code
    else:
        age = {"old": 400, "early": -400}.get(wrong, 0)
        status = shop.send(body, secret="x" * 32 if wrong == "forged" else SECRET, age=age)
    assert (status, rows(shop)) == (400, 0)
    assert shop.stage.said(TrackingUpdated) == []


def test_a_signed_callback_under_another_id_is_refused(small_shop):
    """The id in the headers is signed; one in the body that differs could dodge the memory of copies."""
    (shipment_id,) = small_shop.sold()
    (body,) = small_shop.story(small_shop.handed_over(shipment_id), "collect")
    now = int(clock.machine_seconds())
    headers = {
        "webhook-id": "other", "webhook-timestamp": str(now),
        "webhook-signature": signatures.sign(SECRET, "other", now, body),
    }  # fmt: skip
    answer = small_shop.stage.app.test_client().post("/v1/callbacks/carriers/sandbox", data=body, headers=headers)
    assert (answer.status_code, rows(small_shop)) == (400, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "exploded"},
        {"data": {"status": "somewhere"}},
        {"data": {"sequence": 0}},
        {"data": {"at": "yesterday"}},
        {"data": None},
    ],
)
def test_a_signed_report_of_another_shape_is_refused_and_leaves_nothing(small_shop, change):
    (shipment_id,) = small_shop.sold()
    (body,) = small_shop.story(small_shop.handed_over(shipment_id), "collect")
    told = json.loads(body)
    told["data"] = told["data"] | change["data"] if change.get("data") else change.get("data", told["data"])
    told["type"] = change.get("type", told["type"])
    assert (small_shop.send(json.dumps(told).encode()), rows(small_shop)) == (422, 0)


def test_an_unknown_carrier_and_an_unknown_parcel(small_shop):
    (body,) = small_shop.story("nothing-of-ours.1", "collect")
    assert small_shop.send(body, carrier="pigeon") == 404
    assert small_shop.send(body) == 200  # the carrier need not tell us again
    assert small_shop.stage.said(TrackingUpdated) == []


def test_copies_change_nothing(shop, way):
    _, reference = way
    story = shop.story(reference, "collect", "out", "deliver")
    assert set(shop.call_back(*story, *story, *story)) == {200}
    assert Counter(type(fact).__name__ for fact in shop.stage.said())["Delivered"] == 1
    assert (len(shop.stage.said(TrackingUpdated)), rows(shop)) == (2, 3)


def test_reports_in_one_message_are_each_taken_once(shop):
    """Whether they come together, come again, or had come alone before."""
    ways = {no: shop.handed_over(no) for no in shop.sold(at("w1", "l1", 1), at("w2", "l1", 1))}
    stories = [shop.story(reference, "collect", "out", "deliver") for reference in ways.values()]
    alone, rest = stories[0][0], [body for story in stories for body in story][1:]
    strange = shop.story("nothing-of-ours.1", "collect")
    together = shop.bundle(*rest, alone, *rest, *strange)
    assert shop.call_back(alone, together, together, *rest) == [200] * 8
    assert [shop.see(no)["state"] for no in ways] == ["DELIVERED", "DELIVERED"]
    said = shop.stage.said(TrackingUpdated), shop.stage.said(Delivered)
    assert ([len(facts) for facts in said], rows(shop)) == ([4, 2], 7)


@pytest.mark.parametrize("change", [{"type": "exploded"}, {"event_id": ""}, {"data": None}, None])
def test_a_message_with_one_bad_report_is_refused_whole_and_leaves_nothing(small_shop, change):
    (shipment_id,) = small_shop.sold()
    good, bad = small_shop.story(small_shop.handed_over(shipment_id), "collect", "scan")
    bodies = [good, json.dumps(json.loads(bad) | change).encode()] if change else []
    assert (small_shop.send(small_shop.bundle(*bodies)), rows(small_shop)) == (422, 0)
    assert small_shop.stage.said(TrackingUpdated) == []


def test_reports_in_the_wrong_order_wait_for_their_turn(shop, way):
    shipment_id, reference = way
    first, second, third, last = shop.story(reference, "collect", "scan", "out", "deliver")
    shop.call_back(last, third)
    assert shop.stage.said(Delivered) == []
    shop.call_back(second, first)
    assert len(shop.stage.said(Delivered)) == 1
    assert [said.status for said in shop.stage.said(TrackingUpdated)] == [
        "accepted",
        "in_transit",
        "out_for_delivery",
    ]
    assert shop.see(shipment_id)["state"] == "DELIVERED"


def test_a_lost_callback_is_asked_for(shop, way):
    shipment_id, reference = way
    _, second = shop.story(reference, "collect", "scan")
    shop.carrier.story = [report(1, "moved", "accepted"), report(2, "moved", "in_transit")]
    shop.call_back(second)
    assert shop.stage.call() == 1
    assert shop.see(shipment_id)["tracking_status"] == "in_transit"
    assert len(shop.stage.said(TrackingUpdated)) == 2


def test_even_the_last_callback_may_be_lost(shop, way):
    shipment_id, _ = way
    shop.carrier.story = [
        report(1, "moved", "accepted"),
        report(2, "moved", "out_for_delivery"),
        report(3, "delivered", "delivered"),
    ]
    shop.stage.advance(hours=25)
    shop.stage.call()
    assert shop.see(shipment_id)["state"] == "DELIVERED"
    asked = len(shop.carrier.asked)
    shop.stage.advance(days=30)
    shop.stage.call()
    assert len(shop.carrier.asked) == asked  # an end is an end


def test_nobody_at_home_then_delivered(small_shop):
    (shipment_id,) = small_shop.sold()
    reference = small_shop.handed_over(shipment_id)
    small_shop.call_back(*small_shop.story(reference, "collect", "out", "fail", "out", "fail", "out", "deliver"))
    assert [said.attempt for said in small_shop.stage.said(DeliveryFailed)] == [1, 2]
    assert small_shop.see(shipment_id)["state"] == "DELIVERED"


def test_a_refused_parcel_comes_back(shop):
    (shipment_id,) = shop.sold(cod=12900)
    reference = shop.handed_over(shipment_id)
    shop.call_back(*shop.story(reference, "collect", "out", "refuse"))
    assert shop.see(shipment_id)["state"] == "RETURNING"
    shop.call_back(*shop.story(reference, "scan", "return", start=4))
    (refused,), (back,) = shop.stage.said(DeliveryRefused), shop.stage.said(ReturnedToSender)
    assert (refused.cod, back.cod, back.reason, back.warehouse_id) == (True, True, "refused", "w1")
    assert shop.see(shipment_id)["state"] == "RETURNED_TO_SENDER"


def test_an_undeliverable_parcel_comes_back(small_shop):
    (shipment_id,) = small_shop.sold()
    reference = small_shop.handed_over(shipment_id)
    small_shop.call_back(*small_shop.story(reference, "collect", "out", "fail", "return"))
    (back,) = small_shop.stage.said(ReturnedToSender)
    assert (back.reason, back.cod) == ("undeliverable", False)


@pytest.mark.parametrize("order", [("cash", "deliver"), ("deliver", "cash")])
def test_cash_at_the_door_is_told_once_as_it_was_taken(shop, order):
    (shipment_id,) = shop.sold(cod=12900)
    reference = shop.handed_over(shipment_id)
    assert shop.carrier.booked[0].cod_amount == 12900
    story = shop.story(reference, "collect", "out", *order, amount=12000)
    shop.call_back(*story, *story)
    (cash,) = shop.stage.said(CashCollected)
    assert (cash.amount, cash.currency, cash.method, cash.courier_id) == (12000, "CNY", "cash", "")
    assert shop.see(shipment_id)["state"] == "DELIVERED"


def test_cash_that_was_not_due_is_shown_to_an_operator(small_shop):
    (shipment_id,) = small_shop.sold()
    reference = small_shop.handed_over(shipment_id)
    small_shop.call_back(*small_shop.story(reference, "collect", "out", "cash"))
    assert small_shop.stage.said(CashCollected) == []
    (shown,) = small_shop.operator.get("/v1/shipments?attention=true").json["items"]
    assert (shown["shipment_id"], shown["attention"]) == (shipment_id, "unexpected_cash")


def test_a_scan_proves_the_hand_over_nobody_noted(shop):
    (shipment_id,) = shop.sold()
    reference = shop.packed(shipment_id)
    shop.call_back(*shop.story(reference, "collect"))
    assert len(shop.stage.said(Shipped)) == 1
    assert shop.do("hand-over", shipment_id).status == 200
    assert len(shop.stage.said(Shipped)) == 1
    shop.stage.hear(cancel_wish())
    assert shop.see(shipment_id)["state"] == "SHIPPED"


def test_a_courier_quicker_than_the_bookings_answer(shop):
    """The carrier booked, but its answer was lost, and the first scans came before we asked again."""
    (shipment_id,) = shop.sold()
    shop.carrier.down = True
    shop.do("pick", shipment_id)
    shop.do("pack", shipment_id)
    shop.call_back(*shop.story(f"{shipment_id}.1", "collect", "scan"))
    assert shop.stage.said(Shipped) == []
    shop.carrier.down = False
    make_due(shop)
    shop.stage.call()
    names = [type(fact).__name__ for fact in shop.stage.said()]
    assert names[2:] == ["ShipmentPacked", "Shipped", "TrackingUpdated", "TrackingUpdated"]


def test_a_booking_that_comes_after_the_order_was_stopped_is_withdrawn(shop):
    (shipment_id,) = shop.sold()
    shop.carrier.down = True
    shop.do("pick", shipment_id)
    shop.do("pack", shipment_id)
    shop.stage.hear(cancel_wish())
    shop.carrier.down = False
    make_due(shop)
    shop.stage.call()
    shop.stage.call()
    assert shop.carrier.voided == [f"sh_{shipment_id}.1"]
    assert shop.see(shipment_id)["state"] == "CANCELLED"


def test_a_stopped_parcel_that_moves_is_shown_and_never_shipped(shop):
    (shipment_id,) = shop.sold()
    reference = shop.packed(shipment_id)
    shop.stage.hear(cancel_wish())
    shop.call_back(*shop.story(reference, "collect", "out", "deliver"))
    assert shop.stage.said(Shipped) == shop.stage.said(Delivered) == []
    seen = shop.see(shipment_id)
    assert (seen["state"], seen["attention"]) == ("CANCELLED", "moving_after_end")


# --- lost parcels


def test_a_carriers_word_alone_loses_nothing(shop, way):
    shipment_id, reference = way
    shop.call_back(*shop.story(reference, "collect", "lose"))
    assert shop.stage.said(ShipmentLost) == []
    seen = shop.see(shipment_id, shop.operator)
    assert (seen["state"], seen["attention"], seen["possible"]) == (
        "SHIPPED",
        "carrier_reports_lost",
        ["declare-lost"],
    )
    for _ in range(2):
        assert shop.do("declare-lost", shipment_id, shop.operator).json["state"] == "LOST"
    (lost,) = shop.stage.said(ShipmentLost)
    assert (lost.by, lost.lines[0].qty) == ("operator", 2)


def test_ten_days_without_a_scan_alert_an_operator_and_guess_nothing(shop, way):
    shipment_id, reference = way
    shop.call_back(*shop.story(reference, "collect"))
    shop.stage.advance(days=9)
    assert shop.see(shipment_id)["attention"] is None
    shop.stage.advance(days=2)
    seen = shop.see(shipment_id)
    assert (seen["state"], seen["attention"]) == ("SHIPPED", "no_scan")
    shop.call_back(*shop.story(reference, "scan", start=2))
    assert shop.see(shipment_id)["attention"] is None


def test_a_lost_parcel_that_turns_up_is_shown(small_shop):
    (shipment_id,) = small_shop.sold()
    reference = small_shop.handed_over(shipment_id)
    small_shop.do("declare-lost", shipment_id, small_shop.operator)
    small_shop.call_back(*small_shop.story(reference, "collect", "out", "deliver"))
    seen = small_shop.see(shipment_id)
    assert (seen["state"], seen["attention"]) == ("LOST", "moving_after_end")
    assert small_shop.stage.said(Delivered) == []


def test_what_has_not_left_is_not_lost(small_shop):
    (shipment_id,) = small_shop.sold()
    refusal = small_shop.do("declare-lost", shipment_id, small_shop.operator)
    assert (refusal.status, refusal.json["code"]) == (409, "wrong_shipment_state")


def test_a_number_the_carrier_does_not_know_is_shown(small_shop):
    (shipment_id,) = small_shop.sold()
    small_shop.handed_over(shipment_id)
    small_shop.carrier.story = None
    small_shop.stage.advance(days=1, minutes=1)
    small_shop.stage.call()
    assert small_shop.see(shipment_id)["attention"] == "tracking_refused"


def test_a_carriers_wrong_clock_moves_no_deadline(small_shop):
    (shipment_id,) = small_shop.sold()
    reference = small_shop.handed_over(shipment_id)
    story = small_shop.story(reference, "collect", "out", "deliver")
    told = json.loads(story[2])
    told["data"]["at"] = (small_shop.stage.now() + timedelta(days=400)).isoformat()
    small_shop.call_back(*story[:2], json.dumps(told).encode())
    (delivered,) = small_shop.stage.said(Delivered)
    assert delivered.delivered_at <= small_shop.stage.now()


def report(sequence, kind, status):
    return Report(sequence=sequence, kind=kind, status=status, at=NOON)


def test_an_answer_about_another_parcel_is_an_unknown_outcome():
    booked = {
        "id": "sh_1", "reference": "s-1.1", "tracking_no": "SBX1", "label_ref": "lb_1", "eta": "2026-11-25T00:00:00Z",
        "cod": {"amount": 12900, "currency": "CNY"},
    }  # fmt: skip
    wish = Wish(
        reference="s-1.1", no=1, service="standard", origin="CN-ZJ", destination="CN-SC", parcels=(), cod_amount=12900,
        currency="CNY",
    )  # fmt: skip
    tracking = {"tracking_no": "SBX1", "scans": []}
    calls = (
        (201, booked, lambda it: it.book(wish), ({"reference": "s-2.1"}, {"cod": None},
                                                 {"cod": {"amount": 1, "currency": "CNY"}},
                                                 {"cod": {"amount": 12900, "currency": "USD"}})),
        (200, booked, lambda it: it.void("sh_1"), ({"id": "sh_2"},)),
        (200, tracking, lambda it: it.tracking("SBX1") == [], ({"tracking_no": "SBX2"},)),
    )  # fmt: skip
    with Keeper() as keeper:
        carrier = SandboxCarrier(Settings("shipping", "", "", carrier_url=keeper.url))
        for status, honest, ask, wrongs in calls:
            keeper.said = [(status, json.dumps(honest).encode())]
            assert ask(carrier)
            for wrong in wrongs:
                keeper.said = [(status, json.dumps(honest | wrong).encode())]
                with pytest.raises(OutsideUnavailable, match="another"):
                    ask(carrier)


def test_a_signed_report_about_another_parcel_moves_nothing(small_shop):
    (shipment_id,) = small_shop.sold()
    (body,) = small_shop.story(small_shop.handed_over(shipment_id), "collect")
    told = json.loads(body)
    told["data"]["tracking_no"] = "SBX-of-somebody-else"
    assert small_shop.send(json.dumps(told).encode()) == 200
    assert small_shop.stage.said(TrackingUpdated) == []
