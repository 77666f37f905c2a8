"""Charges: asked once, paid once, closed or paid but never both."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests

from deploy.sandbox import provider
from deploy.sandbox.tests.makers import settings


def test_a_buyer_pays_and_the_shop_is_told_by_a_signed_callback(shop, receiver):
    charge = shop.charge("G7", 12900, method="card_redirect", return_url="https://shop.example/back")
    assert (charge["status"], charge["display"]["kind"]) == ("pending", "redirect")
    assert charge["display"]["value"] == f"{shop.url}/pay/{charge['id']}"
    assert shop.pay(charge)["status"] == "paid"
    (event,) = receiver.wait_for(1)
    assert (event["type"], event["data"]["merchant_reference"]) == ("charge.succeeded", "G7")
    assert event["data"]["capture"] == shop.see(charge)["captures"][0]
    assert event["data"]["captured"] == {"CNY": 12900}
    assert receiver.forged == 0


def test_a_buyer_in_a_browser_is_led_back_to_the_shop(shop):
    charge = shop.charge("G<b>", return_url="https://shop.example/back")
    page = requests.get(charge["display"]["value"], timeout=5)
    assert "G&lt;b&gt;" in page.text
    answer = requests.post(charge["display"]["value"], data={"outcome": "succeed"}, timeout=5, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://shop.example/back")
    assert shop.see(charge)["status"] == "paid"


def test_a_declined_buyer_leaves_a_failed_charge(shop, receiver):
    charge = shop.charge()
    assert shop.pay(charge, "decline")["failure_code"] == "card_declined"
    assert shop.pay(charge, status=409)["code"] == "charge_failed"
    assert shop.close(charge)["status"] == "failed"
    assert receiver.wait_for(1)[0]["type"] == "charge.failed"


def test_the_same_key_makes_one_charge_however_often_it_is_asked(shop):
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: shop.charge(key="order:G1:capture:1"), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert len(shop.ask("GET", "/v1/charges?merchant_reference=G1")["items"]) == 1


def test_the_same_key_with_another_body_is_refused(shop):
    shop.charge(key="k", amount=100)
    assert shop.charge(key="k", amount=101, status=422)["code"] == "idempotency_key_reused"
    assert shop.post("/v1/refunds", {}, key="k", status=422)["code"] == "idempotency_key_reused"


def test_a_charge_without_a_key_is_refused(shop):
    assert shop.ask("POST", "/v1/charges", {}, status=400)["code"] == "idempotency_key_missing"


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": 12.0},
        {"amount": True},
        {"amount": "12900"},
        {"amount": 10**12 + 1},
        {"currency": "cny"},
        {"method": "barter"},
        {"expires_at": "2999-01-01T00:00:00"},
        {"expires_at": "tomorrow"},
        {"return_url": "javascript:alert(1)"},
        {"merchant_reference": ""},
        {"tip": 1},
    ],
)
def test_a_malformed_charge_is_refused(shop, wrong):
    assert shop.charge(status=422, **wrong)["fields"].keys() == wrong.keys()


def test_a_stranger_is_refused(shop):
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \u00e9"}):
        answer = requests.get(f"{shop.url}/v1/book", headers={k: v.encode() for k, v in header.items()}, timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_errors_are_json_with_a_code_and_a_message(shop):
    assert shop.ask("GET", "/v1/nothing", status=404)["code"] == "not_found"
    assert shop.ask("DELETE", "/v1/charges", status=405)["code"] == "method_not_allowed"
    assert shop.ask("GET", "/v1/charges/ch_none", status=404)["code"] == "charge_not_found"
    assert shop.ask("GET", "/v1/charges", status=422)["code"] == "invalid_query"
    assert shop.post("/v1/charges", {"x": "y" * 70_000}, status=413)["message"]


def test_paying_twice_is_refused(shop):
    assert shop.pay(shop.paid(), status=409)["code"] == "charge_paid"


def test_closing_is_repeatable_and_ends_paying(shop, receiver):
    charge = shop.charge()
    assert shop.close(charge) == shop.close(charge)
    assert shop.see(charge)["close_reason"] == "merchant"
    assert shop.pay(charge, status=409)["code"] == "charge_closed"
    shop.settle()
    assert receiver.types() == ["charge.closed"]


def test_closing_a_paid_charge_says_that_it_is_paid(shop):
    assert shop.close(shop.paid())["status"] == "paid"


def test_of_a_close_and_a_payment_at_once_exactly_one_wins(shop):
    def race(number):
        charge, start = shop.charge(f"G{number}"), Barrier(2)

        def pay():
            start.wait()
            return requests.post(f"{shop.url}/pay/{charge['id']}", json={"outcome": "succeed"}, timeout=20)

        def close():
            start.wait()
            return shop.close(charge)["status"]

        with ThreadPoolExecutor(2) as two:
            paying, closing = two.submit(pay), two.submit(close)
            return paying.result().status_code, closing.result(), shop.see(charge)

    for paid, closed, charge in map(race, range(20)):
        assert (paid, closed) in {(200, "paid"), (409, "closed")}
        assert charge["status"] == closed
        assert charge["captured"] == ({"CNY": 12900} if paid == 200 else {})


def test_a_charge_expires_by_the_business_clock(shop, receiver):
    day = 24 * 3600
    expires_at = shop.ask("POST", "/sandbox/clock", {"offset_seconds": day})["now"]
    shop.ask("POST", "/sandbox/clock", {"offset_seconds": 0})
    charge = shop.charge(expires_at=expires_at)
    shop.ask("POST", "/sandbox/clock", {"offset_seconds": day + 60})
    assert shop.see(charge)["close_reason"] == "expired"
    assert shop.pay(charge, status=409)["code"] == "charge_closed"
    assert receiver.wait_for(1)[0]["type"] == "charge.closed"
    assert shop.charge(expires_at=expires_at, status=422)["code"] == "already_expired"


def test_a_charge_expires_by_itself_while_nobody_asks(shop, receiver):
    soon = shop.ask("POST", "/sandbox/clock", {"offset_seconds": 0.4})["now"]
    shop.ask("POST", "/sandbox/clock", {"offset_seconds": 0})
    shop.charge(expires_at=soon)
    assert receiver.wait_for(1)[0]["data"]["close_reason"] == "expired"


def test_the_clock_can_be_set_to_a_moment(shop):
    told = shop.ask("POST", "/sandbox/clock", {"now": "2031-05-01T08:00:00+08:00"})
    assert told["now"].startswith("2031-05-01T00:00:00")
    assert shop.now().startswith("2031-05-01T00:00:")
    assert shop.ask("POST", "/sandbox/clock", {}, status=422)["code"] == "invalid_body"


def test_a_lost_callback_is_found_by_asking(shop, receiver):
    shop.switch("callback_lost", scope={"what": "charge.succeeded"})
    shop.paid("G9", key="order:G9:capture:1")
    shop.settle()
    assert receiver.got == []
    for question in ("merchant_reference=G9", "idempotency_key=order:G9:capture:1"):
        (charge,) = shop.ask("GET", f"/v1/charges?{question}")["items"]
        assert charge["status"] == "paid"


def test_it_does_not_start_in_production(tmp_path, monkeypatch):
    monkeypatch.setenv("CARAVAN_ENV", "production")
    with pytest.raises(RuntimeError, match="production"):
        provider.create_app(settings(tmp_path, "http://127.0.0.1:1/"))
