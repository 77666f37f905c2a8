"""Switches: each does what it says, to whom it says, as often as it says."""

import pytest
import requests


def test_a_switch_fits_by_reference_and_amount_and_is_used_up(shop):
    shop.switch("decline", scope={"reference": "VIP-*", "amount": "*13"}, times=1, code="no_funds")
    for reference, amount, status in [
        ("G1", 913, "paid"),
        ("VIP-1", 912, "paid"),
        ("VIP-1", 913, "failed"),
        ("VIP-1", 913, "paid"),
    ]:
        assert shop.paid(reference, amount)["status"] == status
    assert shop.ask("GET", "/sandbox/switches")["items"] == []


def test_a_switch_that_is_always_on_stays_until_it_is_turned_off(shop):
    switch = shop.switch("decline", times="always")
    assert [shop.paid()["status"] for _ in range(3)] == ["failed"] * 3
    assert shop.ask("GET", "/sandbox/switches")["items"] == [switch]
    assert shop.ask("DELETE", f"/sandbox/switches/{switch['id']}") == {"removed": 1}
    assert shop.paid()["status"] == "paid"
    shop.switch("decline", times="always")
    assert shop.ask("DELETE", "/sandbox/switches") == {"removed": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "earthquake"},
        {"kind": "decline", "times": 0},
        {"kind": "decline", "seconds": 1},
        {"kind": "decline", "scope": {"colour": "red"}},
        {"kind": "callback_delay", "seconds": -1},
    ],
)
def test_a_switch_nobody_knows_is_refused(shop, wrong):
    assert shop.ask("POST", "/sandbox/switches", wrong, status=422)["code"] == "invalid_body"


def test_the_buyer_pays_a_wrong_amount_or_currency(shop):
    shop.switch("wrong_amount", scope={"reference": "A"}, delta=-900)
    shop.switch("wrong_currency", scope={"reference": "C"}, currency="HKD")
    assert shop.paid("A", 12900)["captured"] == {"CNY": 12000}
    charge = shop.paid("C", 500)
    assert (charge["amount"], charge["currency"], charge["captured"]) == (500, "CNY", {"HKD": 500})
    assert shop.refund(charge, 500, currency="HKD")["status"] == "succeeded"


def test_money_comes_after_the_close(shop, receiver):
    charge = shop.charge()
    shop.close(charge)
    shop.switch("after_close")
    assert shop.pay(charge)["status"] == "paid"
    late = shop.see(charge)
    assert late["closed_at"] <= late["paid_at"]
    shop.settle()
    assert receiver.types() == ["charge.closed", "charge.succeeded"]


def test_money_comes_twice_and_each_time_can_be_given_back(shop, receiver):
    charge = shop.paid(amount=500)
    shop.switch("duplicate_capture")
    shop.pay(charge)
    assert shop.pay(charge, status=409)["code"] == "charge_paid"
    first, second = (event["data"]["capture"]["txn"] for event in receiver.wait_for(2))
    assert first != second
    shop.refund(charge, 500, capture=second)
    assert shop.refund(charge, 1, capture=second, status=422)["code"] == "refund_exceeds_captured"
    shop.refund(charge, 500, capture=first)
    assert shop.see(charge)["refunded"] == {"CNY": 1000}


def test_an_error_before_the_work_leaves_nothing_behind(shop):
    shop.switch("error_before", scope={"what": "create_charge", "reference": "G1"})
    shop.charge("G1", key="k", status=500)
    assert shop.ask("GET", "/v1/charges?idempotency_key=k")["items"] == []
    assert shop.charge("G1", key="k")["status"] == "pending"


@pytest.mark.parametrize(("kind", "status"), [("error_after", 500), ("garbage", 200)])
def test_an_answer_is_spoilt_after_the_work_was_done(shop, kind, status):
    shop.switch(kind, scope={"what": "create_charge"})
    wish = {"merchant_reference": "G1", "method": "wechat_qr", "amount": 1, "currency": "CNY",
            "expires_at": "2999-01-01T00:00:00Z"}  # fmt: skip
    headers = {"Idempotency-Key": "k"}
    answer = shop.http.post(f"{shop.url}/v1/charges", json=wish, headers=headers, timeout=20)
    assert answer.status_code == status
    (charge,) = shop.ask("GET", "/v1/charges?idempotency_key=k")["items"]
    assert shop.post("/v1/charges", wish, key="k") == charge


def test_a_slow_answer_outlasts_the_shops_patience_but_the_work_is_done(shop):
    charge = shop.charge("G1")
    shop.switch("slow", scope={"what": "close_charge", "reference": "G1"}, seconds=1)
    with pytest.raises(requests.Timeout):
        shop.ask("POST", f"/v1/charges/{charge['id']}/close", timeout=0.3)
    assert shop.see(charge)["status"] == "closed"
