"""Paying: attempts, callbacks, and money that comes twice, late, wrong or unseen."""

from datetime import timedelta

import pytest

from services.payment import store
from services.payment.tests.makers import SECRET
from shared.contracts.payment import (
    DuplicatePaymentDetected,
    FundsHeld,
    LatePaymentReceived,
    PaymentAmountMismatched,
    PaymentConfirmed,
    PaymentExpired,
    PaymentFailed,
    PaymentInitiated,
    RefundCompleted,
)


def test_a_paid_group_is_confirmed_once_and_held_for_each_seller(market):
    group_no = market.request(10000, 2900)
    answer = market.open(group_no, 12900)
    assert (answer.status, answer.json["status"], answer.json["attempt_no"]) == (201, "open", 1)
    assert answer.json["display"]["kind"] == "qr"
    assert answer.headers["Location"] == f"/v1/payments/pay_{group_no}"
    assert market.payment(group_no).status == "PENDING"
    charge = answer.json["display"]["value"].rsplit("/", 1)[1]
    assert market.provider.pay(charge) == 200
    assert market.tell(charge) == 200
    (initiated,), (confirmed,) = market.said(PaymentInitiated), market.said(PaymentConfirmed)
    assert (initiated.amount, initiated.display, initiated.order_nos) == (
        12900,
        "qr",
        (f"{group_no}-1", f"{group_no}-2"),
    )
    assert [split.amount for split in confirmed.splits] == [10000, 2900]
    assert [(held.order_no[-1], held.amount, held.until) for held in market.said(FundsHeld)] == [
        ("1", 10000, "receipt"), ("2", 2900, "receipt"),
    ]  # fmt: skip
    assert market.accounts() == {
        "channel:sandbox": -12900, f"escrow:{group_no}-1": 10000, f"escrow:{group_no}-2": 2900,
    }  # fmt: skip
    assert market.payment(group_no).status == "CONFIRMED"


def test_a_callback_that_comes_again_changes_nothing(market):
    group_no = market.request(12900)
    charge = market.opened(group_no, 12900)
    market.provider.pay(charge)
    body = market.callback("charge.succeeded", market.provider.charge(charge))
    assert [market.send(body, answer="json")["status"] for _ in range(3)] == ["applied", "duplicate", "duplicate"]
    assert market.tell(charge) == 200  # the same news under another event id
    assert len(market.said(PaymentConfirmed)) == 1
    assert len(market.rows(store.ledger_posting)) == 1
    taken = market.rows(store.payments.table.metadata.tables["payment_callback"])
    assert len(taken) == 2  # one row for each event id, however often it came


@pytest.mark.parametrize("wrong", ["unsigned", "forged", "tampered", "old", "early", "unreadable"])
def test_a_callback_that_cannot_be_believed_leaves_no_trace(small, wrong):
    group_no = small.request(12900)
    charge = small.opened(group_no, 12900)
    small.provider.pay(charge)
    body = small.callback("charge.succeeded", small.provider.charge(charge))
    if wrong == "unsigned":
        client = small.stage.app.test_client()
        status = client.post("/v1/callbacks/payments/sandbox", data=body).status_code
    elif wrong == "tampered":
        status = small.send(body.replace(b"12900", b"12901", 1), signed=body)
    elif wrong == "unreadable":
        status = small.send(b"{}", event_id="evt_1")
    else:
        secret, age = {"forged": ("x" * 32, 0), "old": (SECRET, 400), "early": (SECRET, -400)}[wrong]
        status = small.send(body, secret=secret, age=age)
    assert status == 400
    assert not small.rows(store.payments.table.metadata.tables["payment_callback"])
    assert not small.said(PaymentConfirmed)


def test_a_callback_about_nothing_we_know_is_not_taken(small):
    group_no = small.request(12900)
    charge = small.provider.charge(small.opened(group_no, 12900))
    for strange in (
        {"merchant_reference": "pay_G0"},
        {"idempotency_key": "mine"},
        {"idempotency_key": f"pay_{group_no}:attempt:9"},
    ):
        assert small.send(small.callback("charge.succeeded", charge | strange)) == 404
    assert small.send(small.callback("charge.succeeded", charge), channel="alipay") == 404
    assert small.send(small.callback("moon.risen", {})) == 200


def test_another_price_than_the_buyer_was_shown_is_refused_and_named(small):
    answer = small.open(small.request(12900), 12899)
    assert (answer.status, answer.json["code"], answer.json["payable"]) == (409, "amount_changed", 12900)
    assert answer.json["field"] == "expected_amount"


@pytest.mark.parametrize(
    ("wish", "code", "field"),
    [
        ({"channel": "alipay"}, "unknown_channel", "channel"),
        ({"instrument": "shells"}, "unknown_channel", "instrument"),
        ({"method": "bank_transfer"}, "method_not_offered", "method"),
        ({"method": "cod"}, "invalid", "json.method"),
        ({"expected_amount": 1.5}, "invalid", "json.expected_amount"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_name(small, wish, code, field):
    answer = small.open(small.request(12900, methods=("online",)), 12900, **wish)
    assert (answer.status, answer.json["code"]) == (422, code)
    assert answer.json["field"] in (field, field.removeprefix("json."))
    assert not small.said(PaymentInitiated)


def test_only_the_buyer_may_pay_and_look(small):
    group_no = small.request(12900)
    stranger = small.stage.caller("buyer")
    body = {"method": "online", "channel": "sandbox", "expected_amount": 12900}
    assert stranger.post(f"/v1/groups/{group_no}/payments", body).status == 404
    for path in (f"/v1/groups/{group_no}/payments", f"/v1/payments/pay_{group_no}"):
        assert stranger.get(path).status == 404
        assert small.buyer.get(path).status == 200
        assert small.operator.get(path).status == 200
        assert small.stage.caller().get(path).status == 401


def test_a_payment_needs_an_idempotency_key_and_honours_it(small):
    group_no = small.request(12900)
    body = {"method": "online", "channel": "sandbox", "expected_amount": 12900}
    path = f"/v1/groups/{group_no}/payments"
    assert small.buyer.request("POST", path, body, **{"Idempotency-Key": ""}).status == 400
    first, second = (small.buyer.request("POST", path, body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status, first.json) == (second.status, second.json)
    assert first.json["display"]


def test_asking_for_the_same_again_shows_the_open_attempt(small):
    group_no = small.request(12900)
    first, second = small.open(group_no, 12900), small.open(group_no, 12900)
    assert first.json == second.json
    assert len(small.provider.charges()) == 1


def test_another_way_to_pay_closes_the_first(small):
    group_no = small.request(12900)
    old = small.opened(group_no, 12900)
    new = small.opened(group_no, 12900, instrument="card_redirect")
    small.stage.call()
    assert small.provider.charge(old)["status"] == "closed"
    assert small.provider.pay(old) == 409
    small.provider.pay(new)
    small.tell(new)
    assert small.said(PaymentConfirmed)[0].amount == 12900
    assert not small.said(PaymentFailed)


def test_two_ways_both_paid_are_one_payment_and_one_refund(market):
    group_no = market.request(12900)
    old = market.opened(group_no, 12900)
    new = market.opened(group_no, 12900, instrument="card_redirect")
    assert [market.provider.pay(old), market.provider.pay(new)] == [200, 200]
    market.tell(new)
    market.tell(old)
    (twice,) = market.said(DuplicatePaymentDetected)
    assert (twice.first_attempt, twice.second_attempt, twice.amount) == (2, 1, 12900)
    while market.stage.call():
        pass
    (back,) = market.said(RefundCompleted)
    assert (back.refund_id, back.cause, back.order_no) == (twice.refund_id, "duplicate_payment", None)
    assert len(market.said(PaymentConfirmed)) == 1
    assert market.provider.totals() == {"captured": {"CNY": 25800}, "refunded": {"CNY": 12900}, "paid_out": {}}
    assert market.accounts() == {"channel:sandbox": -12900, f"escrow:{group_no}-1": 12900}


def test_one_charge_paid_twice_gives_the_second_money_back(small):
    group_no = small.paid(12900)
    (charge,) = small.provider.charges()
    small.provider.switch("duplicate_capture")
    assert small.provider.pay(charge["id"]) == 200
    small.tell(charge["id"])
    small.stage.call()
    (back,) = small.said(RefundCompleted)
    (refund,) = small.provider.charges()[0]["refunds"]
    assert refund["capture"] == small.provider.charge(charge["id"])["captures"][1]["txn"]
    assert back.cause == "duplicate_payment"
    assert small.payment(group_no).status == "CONFIRMED"


@pytest.mark.parametrize("switch", ["wrong_amount", "wrong_currency"])
def test_the_wrong_sum_goes_to_suspense_and_back(market, switch):
    group_no = market.request(12900)
    charge = market.opened(group_no, 12900)
    market.provider.switch(switch)
    market.provider.pay(charge)
    market.tell(charge)
    (wrong,) = market.said(PaymentAmountMismatched)
    assert (wrong.expected, wrong.action) == (12900, "refund")
    assert (wrong.received, wrong.received_currency) in {(12899, "CNY"), (12900, "USD")}
    assert market.payment(group_no).status == "SUSPENSE"
    market.stage.call()
    assert market.payment(group_no).status == "INITIATED"
    assert market.accounts() == {}
    assert not market.said(PaymentConfirmed)
    assert market.said(PaymentFailed)[0].code == "amount_mismatch"
    right = market.opened(group_no, 12900)  # and now properly
    market.provider.pay(right)
    market.tell(right)
    assert market.said(PaymentConfirmed)[0].amount == 12900


def test_a_declined_buyer_may_try_again(small):
    group_no = small.request(12900)
    charge = small.opened(group_no, 12900)
    small.provider.pay(charge, "decline")
    small.tell(charge)
    (failed,) = small.said(PaymentFailed)
    assert (failed.code, failed.retryable, failed.attempt_no) == ("card_declined", True, 1)
    assert small.payment(group_no).status == "INITIATED"
    assert small.open(group_no, 12900).json["attempt_no"] == 2


def test_a_lost_callback_is_found_by_asking(market):
    group_no = market.request(12900)
    charge = market.opened(group_no, 12900)
    market.stage.advance(seconds=50)
    market.provider.pay(charge)
    market.stage.call()
    assert not market.said(PaymentConfirmed)
    market.stage.advance(seconds=20)
    market.stage.call()
    assert market.said(PaymentConfirmed)[0].amount == 12900
    assert market.tell(charge) == 200  # and comes after all
    assert len(market.said(PaymentConfirmed)) == 1


def test_the_channel_is_asked_after_1_5_15_and_60_minutes_and_then_daily(small):
    group_no = small.request(12900, minutes=3 * 24 * 60)
    small.opened(group_no, 12900)
    opened, moments = small.payment(group_no).attempts[0].opened_at, []
    for _ in range(6):
        due = small.payment(group_no).deadlines["poll"]
        moments.append(round((due - opened) / timedelta(minutes=1)))
        small.stage.advance(seconds=(due - small.stage.now()).total_seconds() + 1)
        assert small.stage.call() == 1
    assert moments == [1, 5, 15, 60, 60 + 24 * 60, 60 + 48 * 60]


def test_an_answer_that_got_lost_is_asked_for_and_not_repeated(market):
    group_no = market.request(12900)
    market.provider.switch("error_after", scope={"what": "create_charge"})
    answer = market.open(group_no, 12900)
    assert (answer.status, answer.json["status"], answer.json["display"]) == (201, "opening", None)
    assert market.hurry() == 1
    (charge,) = market.provider.charges()
    (shown,) = market.buyer.get(f"/v1/groups/{group_no}/payments").json["items"]
    assert shown["attempts"][0]["display"]["value"].endswith(charge["id"])
    assert shown["status"] == "PENDING"


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "paid",
        {"id": 7, "status": "paid"},
        {"id": "ch_1", "merchant_reference": "x", "idempotency_key": "y", "status": "rich", "captures": []},
    ],
)
def test_an_answer_of_another_shape_is_not_believed_and_asked_for_again(small, monkeypatch, said):
    group_no = small.request(12900)
    with monkeypatch.context() as lying:
        lying.setattr(small.provider.line, "call", lambda *given, **more: (201, said))
        assert small.open(group_no, 12900).json["status"] == "opening"
    assert not small.said(PaymentConfirmed)
    small.hurry()
    assert small.payment(group_no).status == "PENDING"
    assert len(small.provider.charges()) == 1


@pytest.mark.parametrize("fault", ["garbage", "error_before"])
def test_a_channel_that_stammers_is_asked_again_under_the_same_key(small, fault):
    group_no = small.request(12900)
    small.provider.switch(fault, scope={"what": "create_charge"})
    assert small.open(group_no, 12900).json["status"] == "opening"
    small.hurry()
    (charge,) = small.provider.charges()
    assert charge["idempotency_key"] == f"pay_{group_no}:attempt:1"
    assert small.payment(group_no).status == "PENDING"


def test_a_refusal_for_good_fails_the_attempt(small):
    group_no = small.request(12900)
    small.provider.switch("error_before", scope={"what": "create_charge"}, status=422, code="merchant_blocked")
    answer = small.open(group_no, 12900)
    assert (answer.json["status"], answer.json["code"]) == ("failed", "merchant_blocked")
    assert small.said(PaymentFailed)[0].code == "merchant_blocked"
    assert small.payment(group_no).status == "INITIATED"


def test_a_callback_may_be_faster_than_the_answer(small):
    group_no = small.request(12900)
    small.provider.switch("error_after", scope={"what": "create_charge"})
    small.open(group_no, 12900)
    (charge,) = small.provider.charges()
    small.provider.pay(charge["id"])
    small.tell(charge["id"])
    assert [type(fact) for fact in small.said()[-3:]] == [PaymentInitiated, PaymentConfirmed, FundsHeld]
    small.hurry()
    assert len(small.said(PaymentConfirmed)) == 1


def test_money_after_the_close_goes_back(market):
    group_no = market.request(12900)
    charge = market.opened(group_no, 12900)
    market.deadline(group_no)
    market.stage.call()
    assert market.said(PaymentExpired)[0].closed_at_channel
    market.provider.switch("after_close")
    assert market.provider.pay(charge) == 200
    market.tell(charge)
    (late,) = market.said(LatePaymentReceived)
    assert (late.order_nos, late.amount) == ((f"{group_no}-1",), 12900)
    market.stage.call()
    assert market.said(RefundCompleted)[0].cause == "late_payment"
    assert market.payment(group_no).status == "EXPIRED"
    assert market.accounts() == {}


def test_news_in_the_wrong_order_end_the_same(small):
    group_no = small.request(12900)
    charge = small.opened(group_no, 12900)
    pending = small.callback("charge.closed", small.provider.charge(charge))
    small.provider.pay(charge)
    small.tell(charge)
    assert small.send(pending) == 200  # older news
    assert small.payment(group_no).status == "CONFIRMED"


def test_paying_again_what_is_paid_is_refused(small):
    group_no = small.paid(12900)
    assert small.open(group_no, 12900).json["code"] == "payment_already_made"


def test_nobody_tries_for_ever(small):
    group_no = small.request(12900)
    for _ in range(20):
        small.provider.pay(charge := small.opened(group_no, 12900), "decline")
        small.tell(charge)
    assert small.open(group_no, 12900).json["code"] == "too_many_attempts"


def test_without_the_sandbox_its_channel_does_not_exist(sqlite_url, tmp_path):
    from services.payment.tests.makers import Market

    market = Market(sqlite_url, tmp_path, sandbox=False)
    market.stage.node.outside.clear()
    assert market.open(market.request(12900), 12900).json["code"] == "unknown_channel"
    assert market.send(b"{}", event_id="evt_1") == 404
    market.close()
