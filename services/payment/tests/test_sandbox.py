"""The whole conversation with the sandbox's provider: over HTTP, with its own signed callbacks."""

import base64
import importlib
import threading
from types import SimpleNamespace

import pytest
import requests
from werkzeug.serving import make_server

from services.payment.tests.makers import SECRET, Market
from shared.contracts.payment import PaymentConfirmed, PaymentExpired, PaymentFailed, RefundCompleted


@pytest.fixture
def street(sqlite_url, tmp_path):
    """The market served on a port of its own, and the provider that calls it back."""
    provider, desk = (importlib.import_module(f"deploy.sandbox.{name}") for name in ("provider", "desk"))
    market = Market(sqlite_url, tmp_path)
    market.approve()
    server = make_server("127.0.0.1", 0, market.stage.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    settings = desk.Settings(
        tmp_path / "street", f"http://127.0.0.1:{server.port}/v1/callbacks/payments/sandbox", SECRET,
        "whsec_" + base64.b64encode(SECRET.encode()).decode(), retry_s=(0.05, 0.1),
    )  # fmt: skip
    with desk.Local(provider.create_app(settings)) as outside, requests.Session() as http:
        market.stage.node.outside.clear()
        object.__setattr__(market.stage.node.settings, "provider_url", outside.url)
        http.trust_env = False
        http.headers["Authorization"] = f"Bearer {SECRET}"

        def ask(method, path, **body):
            answer = http.request(method, outside.url + path, json=body if method == "POST" else None, timeout=20)
            assert answer.ok, answer.text
            return answer.json()

        def settle():
            assert ask("GET", "/sandbox/quiet?timeout=20")["quiet"]

        def pay(charge_id, outcome="succeed"):
            ask("POST", f"/pay/{charge_id}", outcome=outcome)
            settle()

        yield SimpleNamespace(market=market, ask=ask, pay=pay, settle=settle)
        assert balance(market) == book(ask)
        market.check()
    server.shutdown()
    thread.join()
    server.server_close()
    market.close()


def book(ask):
    totals = ask("GET", "/v1/book")["totals"]
    return totals["captured"].get("CNY", 0) - sum(totals[out].get("CNY", 0) for out in ("refunded", "paid_out"))


def balance(market):
    return -market.accounts().get("channel:sandbox", 0)


def test_from_the_quote_to_the_sellers_balance(street):
    market = street.market
    group_no = market.request(10000, 2900)
    street.pay(market.opened(group_no, 12900))
    assert market.said(PaymentConfirmed)[0].amount == 12900
    market.refund(f"{group_no}-2", 900)
    market.stage.call()
    street.settle()
    assert market.said(RefundCompleted)[0].amount == 900
    market.receive(f"{group_no}-1")
    market.receive(f"{group_no}-2")
    market.stage.advance(hours=2)
    assert market.accounts() == {
        "channel:sandbox": -12000, "commission": 600, "seller:seller-1": 9500, "seller:seller-2": 1900,
    }  # fmt: skip


def test_a_buyer_who_is_declined_and_then_pays(street):
    market = street.market
    group_no = market.request(12900)
    street.pay(market.opened(group_no, 12900), "decline")
    assert market.said(PaymentFailed)[0].code == "card_declined"
    street.pay(market.opened(group_no, 12900))
    assert len(market.said(PaymentConfirmed)) == 1


def test_lost_doubled_and_reordered_callbacks_end_alike(street):
    market = street.market
    street.ask("POST", "/sandbox/switches", kind="callback_duplicate", times="always", copies=3)
    lost = market.request(100)
    street.ask("POST", "/sandbox/switches", kind="callback_lost", scope={"reference": f"pay_{lost}"})
    street.pay(market.opened(lost, 100))
    assert not market.said(PaymentConfirmed)
    market.stage.advance(minutes=1, seconds=1)
    market.stage.call()
    assert len(market.said(PaymentConfirmed)) == 1
    street.ask("POST", "/sandbox/callbacks/replay")
    street.settle()
    street.pay(market.opened(market.request(200), 200))
    assert [fact.amount for fact in market.said(PaymentConfirmed)] == [100, 200]


def test_an_answer_lost_after_the_work_is_not_repeated(street):
    market = street.market
    for operation in ("create_charge", "create_refund"):
        street.ask("POST", "/sandbox/switches", kind="error_after", scope={"what": operation})
    group_no = market.request(12900)
    assert market.open(group_no, 12900).json["status"] == "opening"
    market.hurry()
    street.pay(market.payment(group_no).attempts[0].charge_id)
    market.refund(f"{group_no}-1", 12900)
    market.stage.call()
    market.hurry()
    street.settle()
    (charge,) = street.ask("GET", "/v1/book")["items"]
    assert (charge["captured"], charge["refunded"]) == ({"CNY": 12900}, {"CNY": 12900})
    assert len(market.said(RefundCompleted)) == 1


def test_paying_after_the_shop_gave_up_is_refused_by_the_channel(street):
    market = street.market
    group_no = market.request(12900)
    charge = market.opened(group_no, 12900)
    market.deadline(group_no)
    market.stage.call()
    street.settle()
    assert len(market.said(PaymentExpired)) == 1
    (seen,) = street.ask("GET", "/v1/book")["items"]
    assert (seen["id"], seen["status"]) == (charge, "closed")


def test_a_slow_channel_leaves_the_client_to_ask_again(street):
    market = street.market
    group_no = market.request(12900)
    street.ask(
        "POST", "/sandbox/switches", kind="slow", scope={"what": "create_charge"}, seconds=8
    )  # longer than we wait
    assert market.open(group_no, 12900).json["status"] == "opening"
    market.hurry()
    assert market.payment(group_no).status == "PENDING"
    assert len(street.ask("GET", "/v1/book")["items"]) == 1
