"""Callbacks: signed, repeated until taken, and late, doubled, lost or out of order when told to be."""

import json
import time

from deploy.sandbox.desk import signing
from deploy.sandbox.tests.makers import SECRET

OTHER = "whsec_" + "b3RoZXIg" * 6


def signed(event_id, timestamp_s, body, secrets=SECRET):
    signature = signing.sign(signing.keys(secrets), event_id, timestamp_s, body)
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp_s), "webhook-signature": signature}


def test_a_body_changed_on_the_way_is_not_believed():
    body = b'{"amount":100}'
    headers = signed("evt_1", 1000, body)
    assert signing.verify(SECRET, headers, body, 1000)
    assert not signing.verify(SECRET, headers, b'{"amount":900}', 1000)
    assert not signing.verify(SECRET, headers | {"webhook-id": "evt_2"}, body, 1000)
    assert not signing.verify(OTHER, headers, body, 1000)


def test_an_old_or_future_or_unknown_signature_is_not_believed():
    body = b"{}"
    headers = signed("evt_1", 1000, body)
    assert signing.verify(SECRET, headers, body, 1300)
    for now in (1301, 699):
        assert not signing.verify(SECRET, headers, body, now)
    for signature in ("", "v0," + headers["webhook-signature"][3:]):
        assert not signing.verify(SECRET, headers | {"webhook-signature": signature}, body, 1000)


def test_the_signature_is_that_of_standard_webhooks():
    """The example of the specification's own reference libraries."""
    body = b'{"test": 2432232314}'
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_rotated_either_one_verifies():
    headers = signed("evt_1", 1000, b"{}", f"{OTHER} {SECRET}")
    assert signing.verify(SECRET, headers, b"{}", 1000)
    assert signing.verify(OTHER, headers, b"{}", 1000)


def test_a_callback_is_repeated_until_it_is_taken(shop, receiver):
    receiver.answers = [500, 404, 302]
    shop.paid()
    receiver.wait_for(1)
    shop.settle()
    (callback,) = shop.ask("GET", "/sandbox/callbacks?state=delivered")["items"]
    assert (callback["tries"], callback["last_answer"]) == (4, "200")


def test_one_that_is_never_taken_is_given_up_and_can_be_sent_again(shop, receiver):
    receiver.answers = [500] * 10
    shop.paid()
    shop.settle()
    (callback,) = shop.ask("GET", "/sandbox/callbacks")["items"]
    assert (callback["state"], callback["tries"]) == ("given_up", 10)
    assert shop.ask("POST", "/sandbox/callbacks/replay", {"event_id": callback["event_id"]}) == {"sent": 1}
    assert receiver.wait_for(1)[0]["event_id"] == callback["event_id"]


def test_a_doubled_callback_carries_the_same_event_id(shop, receiver):
    shop.switch("callback_duplicate", copies=2)
    shop.paid()
    events = receiver.wait_for(3)
    shop.settle()
    assert len(receiver.got) == 3
    assert events[0] == events[1] == events[2]


def test_a_replayed_callback_carries_the_same_event_id(shop, receiver):
    shop.paid("G1")
    shop.paid("G2")
    shop.settle()
    assert shop.ask("POST", "/sandbox/callbacks/replay", {"reference": "G2"}) == {"sent": 1}
    events = receiver.wait_for(3)
    assert events[2] in events[:2]
    assert events[2]["data"]["merchant_reference"] == "G2"


def test_a_held_callback_waits_for_its_release_and_counts_as_quiet(shop, receiver):
    shop.switch("callback_delay")
    shop.paid()
    shop.settle()
    (held,) = shop.ask("GET", "/sandbox/callbacks?state=held")["items"]
    assert receiver.got == []
    shop.ask("POST", "/sandbox/callbacks/release", {})
    assert receiver.wait_for(1)[0]["event_id"] == held["event_id"]


def test_a_delayed_callback_waits_for_the_business_clock(shop, receiver):
    shop.switch("callback_delay", seconds=3600)
    shop.paid()
    shop.settle()
    assert receiver.got == []
    shop.ask("POST", "/sandbox/clock", {"offset_seconds": 3601})
    receiver.wait_for(1)


def test_a_delayed_callback_also_comes_by_itself(shop, receiver):
    shop.switch("callback_delay", seconds=0.3)
    shop.paid()
    receiver.wait_for(1)


def test_a_reordered_callback_comes_after_the_next_one_about_the_same_thing(shop, receiver):
    shop.switch("callback_reorder", scope={"what": "charge.succeeded"})
    charge = shop.paid("G1", 100)
    shop.paid("G2", 100)
    shop.settle()  # what is about two things comes in any order
    shop.refund(charge, 100)
    assert [event["type"] for event in receiver.wait_for(3)] == [
        "charge.succeeded",  # of G2
        "refund.succeeded",
        "charge.succeeded",
    ]


def test_callbacks_about_one_thing_come_in_order(warehouse, receiver):
    parcel = warehouse.book()
    warehouse.courier(parcel, "collect", *["scan"] * 20)
    events = receiver.wait_for(21)
    assert [event["data"]["sequence"] for event in events] == list(range(1, 22))


def test_what_happens_meanwhile_comes_in_one_message_and_each_alone_where_that_was_not_taken(warehouse, receiver):
    parcels = [warehouse.book(f"S{number}") for number in range(4)]
    receiver.open.clear()
    warehouse.courier(parcels[0], "collect")
    receiver.wait_for_message()
    for parcel in parcels[1:]:
        warehouse.courier(parcel, "collect", "scan")
    receiver.answers = [200, 500]
    receiver.open.set()
    warehouse.settle()
    alone, bundle = receiver.sent[:2]
    together = [event["event_id"] for event in bundle["data"]["events"]]
    assert (alone["type"], bundle["type"], len(together)) == ("tracking.updated", "bundle", 3)
    assert {event["event_id"] for event in receiver.sent[2:]} >= set(together)
    assert sorted((event["data"]["reference"], event["data"]["sequence"]) for event in receiver.got) == [
        ("S0", 1), *((f"S{number}", sequence) for number in (1, 2, 3) for sequence in (1, 2)),
    ]  # fmt: skip


def test_the_age_of_a_signature_follows_the_machines_clock(shop, receiver):
    shop.ask("POST", "/sandbox/clock", {"offset_seconds": 40 * 24 * 3600})
    shop.paid()
    (event,) = receiver.wait_for(1)
    assert receiver.forged == 0
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert event["created"] > today
    assert json.dumps(event)
