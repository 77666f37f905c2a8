"""The carrier: parcels move in one order only, and every deed is told."""

from xml.etree import ElementTree

import pytest

from deploy.sandbox import carrier
from deploy.sandbox.tests.makers import settings

TO_THE_DOOR = ("collect", "scan", "out-for-delivery")


def test_a_parcel_is_booked_carried_and_delivered(warehouse, receiver):
    parcel = warehouse.book("S7")
    assert parcel["status"] == "booked"
    assert parcel["eta"][:10] > warehouse.now()[:10]
    warehouse.courier(parcel, "collect", location="Hangzhou")
    warehouse.courier(parcel, "scan", location="Wuhan")
    warehouse.courier(parcel, "out-for-delivery")
    tracking = warehouse.courier(parcel, "deliver", location="Chengdu", signed_by="Li")
    events = receiver.wait_for(4)
    assert [event["type"] for event in events] == ["tracking.updated"] * 3 + ["delivered"]
    assert [event["data"]["status"] for event in events] == [
        "collected",
        "in_transit",
        "out_for_delivery",
        "delivered",
    ]
    assert [event["data"]["sequence"] for event in events] == [1, 2, 3, 4]
    assert [{"type": event["type"], **event["data"]} for event in events] == tracking["scans"]
    assert (events[3]["data"]["reference"], events[3]["data"]["signed_by"]) == ("S7", "Li")
    assert warehouse.ask("GET", f"/v1/tracking/{parcel['tracking_no']}") == tracking


def test_the_same_key_books_one_parcel(warehouse):
    assert warehouse.book(key="k") == warehouse.book(key="k")
    assert warehouse.book(key="k", service="express", status=422)["code"] == "idempotency_key_reused"
    for question in ("idempotency_key=k", "reference=S1"):
        (parcel,) = warehouse.ask("GET", f"/v1/shipments?{question}")["items"]
        assert warehouse.ask("GET", f"/v1/shipments/{parcel['id']}") == parcel


@pytest.mark.parametrize(
    "wrong",
    [
        {"parcels": []},
        {"parcels": [{"weight_g": 0, "size": "S"}]},
        {"origin": {"country": "CN", "city": "Hangzhou", "name": "Li"}},
        {"cod": {"amount": 1}},
        {"service": "drone"},
    ],
)
def test_a_malformed_booking_is_refused(warehouse, wrong):
    assert warehouse.book(status=422, **wrong)["fields"].keys() == wrong.keys()


@pytest.mark.parametrize(
    ("done", "deed"),
    [
        ((), "deliver"),
        ((), "scan"),
        (("collect",), "deliver"),
        (("collect",), "collect"),
        ((*TO_THE_DOOR, "deliver"), "fail"),
        ((*TO_THE_DOOR, "deliver"), "lose"),
        ((*TO_THE_DOOR, "refuse"), "deliver"),
        (("collect",), "return"),
    ],
)
def test_a_deed_out_of_order_is_refused_and_told_to_nobody(warehouse, receiver, done, deed):
    parcel = warehouse.book()
    for step in done:
        warehouse.courier(parcel, step)
    refusal = warehouse.courier(parcel, deed, status=409)
    assert refusal["code"] == "out_of_order"
    assert deed not in refusal["possible"]
    warehouse.settle()
    assert len(receiver.got) == len(done)


@pytest.mark.parametrize(
    ("deeds", "event_type", "status"),
    [
        ((*TO_THE_DOOR, "fail"), "delivery_failed", "delivery_failed"),
        ((*TO_THE_DOOR, "fail", "out-for-delivery", "deliver"), "delivered", "delivered"),
        ((*TO_THE_DOOR, "refuse"), "refused", "refused"),
        ((*TO_THE_DOOR, "refuse", "scan", "return"), "returned_to_sender", "returned"),
        ((*TO_THE_DOOR, "fail", "return"), "returned_to_sender", "returned"),
        (("collect", "lose"), "lost", "lost"),
    ],
)
def test_a_parcel_may_end_in_other_ways(warehouse, receiver, deeds, event_type, status):
    parcel = warehouse.book()
    warehouse.courier(parcel, *deeds)
    last = receiver.wait_for(len(deeds))[-1]
    assert (last["type"], last["data"]["status"]) == (event_type, status)


def test_a_parcel_is_cancelled_until_it_was_handed_over(warehouse):
    parcel, gone = warehouse.book("S1"), warehouse.book("S2")
    for _ in range(2):
        assert warehouse.ask("POST", f"/v1/shipments/{parcel['id']}/cancel")["status"] == "cancelled"
    assert warehouse.courier(parcel, "collect", status=409)["code"] == "out_of_order"
    warehouse.courier(gone, "collect")
    refusal = warehouse.ask("POST", f"/v1/shipments/{gone['id']}/cancel", status=409)
    assert (refusal["code"], refusal["status"]) == ("already_collected", "collected")


@pytest.mark.parametrize("last", [("collect-cash", "deliver"), ("deliver", "collect-cash")])
def test_cash_is_taken_at_the_door_once(warehouse, receiver, last):
    parcel = warehouse.book(cod={"amount": 12900, "currency": "CNY"})
    warehouse.courier(parcel, *TO_THE_DOOR)
    warehouse.courier(parcel, *last, courier="Wang")
    (taken,) = [event for event in receiver.wait_for(5) if event["type"] == "cash_collected"]
    assert taken["data"]["cash"] == {"amount": 12900, "currency": "CNY", "method": "cash", "courier": "Wang"}
    assert warehouse.courier(parcel, "collect-cash", status=409)["code"] == "no_cash_due"
    assert warehouse.ask("GET", "/v1/book")["totals"] == {"cash_collected": {"CNY": 12900}}


def test_no_cash_is_taken_for_a_parcel_that_is_paid(warehouse):
    parcel = warehouse.book()
    warehouse.courier(parcel, *TO_THE_DOOR)
    assert warehouse.courier(parcel, "collect-cash", status=409)["code"] == "no_cash_due"


def test_the_courier_takes_a_wrong_sum_and_bookings_are_refused_when_switched_so(warehouse):
    warehouse.switch("wrong_cash", delta=-900)
    warehouse.switch("error_before", scope={"reference": "S2"}, status=503, code="no_capacity")
    parcel = warehouse.book("S1", cod={"amount": 12900, "currency": "CNY"})
    warehouse.courier(parcel, *TO_THE_DOOR, "collect-cash")
    assert warehouse.ask("GET", f"/v1/shipments/{parcel['id']}")["cash"]["amount"] == 12000
    assert warehouse.book("S2", key="k", status=503)["code"] == "no_capacity"
    assert warehouse.book("S2", key="k")["status"] == "booked"


def test_switches_fit_the_carriers_calls_by_reference(warehouse):
    parcel = warehouse.book("S9")
    warehouse.switch("error_after", scope={"reference": "S9"}, times=3)
    for method, path in [
        ("POST", f"/v1/shipments/{parcel['id']}/cancel"),
        ("GET", f"/v1/tracking/{parcel['tracking_no']}"),
        ("GET", f"/v1/labels/{parcel['label_ref']}"),
    ]:
        assert warehouse.ask(method, path, status=500)["code"] == "internal_error"
    assert warehouse.ask("GET", f"/v1/shipments/{parcel['id']}")["status"] == "cancelled"


def test_the_label_is_an_svg_with_the_merchants_own_text(warehouse):
    parcel = warehouse.book(label_payload="<script>& 3-2-1")
    answer = warehouse.http.get(f"{warehouse.url}/v1/labels/{parcel['label_ref']}", timeout=5)
    texts = [node.text for node in ElementTree.fromstring(answer.text)]  # noqa: S314 - our own label
    assert texts == [parcel["tracking_no"], "standard: Hangzhou > Chengdu", "<script>& 3-2-1"]


def test_rates_rise_with_weight_and_fall_within_a_city(warehouse):
    def price(weight_g, destination="Chengdu"):
        query = f"origin=Hangzhou&destination={destination}&weight_g={weight_g}"
        return {rate["service"]: rate["amount"] for rate in warehouse.ask("GET", f"/v1/rates?{query}")["items"]}

    assert price(1000) == {"economy": 800, "standard": 1200, "express": 2200}
    assert price(1001)["standard"] == 1500
    assert price(1000, "Hangzhou")["standard"] == 600


def test_it_does_not_start_in_production(tmp_path, monkeypatch):
    monkeypatch.setenv("CARAVAN_ENV", "production")
    with pytest.raises(RuntimeError, match="production"):
        carrier.create_app(settings(tmp_path, "http://127.0.0.1:1/"))
