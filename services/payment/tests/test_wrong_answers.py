"""A channel that speaks of something else than it was asked about is believed by nobody, answer or signed callback."""

import json
from typing import Any

import pytest

from services.payment.gateways import SandboxChannel
from services.payment.tests.makers import SECRET
from shared.contracts.payment import PaymentConfirmed, RefundCompleted, SellerPayoutCompleted, SellerPayoutFailed
from shared.kernel.errors import OutsideUnavailable
from shared.testing.keeper import Keeper

MONEY = {"amount": 12900, "currency": "CNY"}
CHARGE = MONEY | {
    "id": "ch_1", "merchant_reference": "pay_1", "idempotency_key": "pay_1:attempt:1", "status": "paid",
    "display": {"kind": "qr", "value": "x"},
    "captures": [MONEY | {"txn": "tx_1", "captured_at": "2026-11-22T00:00:00Z"}],
}  # fmt: skip
REFUND = MONEY | {
    "merchant_reference": "pay_1", "refund_reference": "r-1", "idempotency_key": "r-1:1", "status": "succeeded",
}  # fmt: skip
PAYOUT = MONEY | {"merchant_reference": "po-1", "status": "succeeded", "bank_ref": "bk_1"}
OTHERS = {
    "id": "ch_2", "merchant_reference": "pay_2", "refund_reference": "r-2", "idempotency_key": "pay_2:attempt:1",
    "amount": 12901, "currency": "USD",
}  # fmt: skip
CALLS: dict[str, Any] = {
    "open": (CHARGE, lambda it: it.open("pay_1:attempt:1", CHARGE | {"instrument": "alipay_qr"}),
             ("merchant_reference", "idempotency_key", "amount", "currency")),
    "query": ({"items": [CHARGE]}, lambda it: it.query("pay_1:attempt:1"), ("idempotency_key",)),
    "close": (CHARGE, lambda it: it.close("ch_1"), ("id",)),
    "refund": (REFUND, lambda it: it.refund("r-1:1", REFUND),
               ("refund_reference", "idempotency_key", "amount", "currency")),
    "query_refund": ({"items": [REFUND, REFUND]}, lambda it: it.query_refund("r-1"), ("refund_reference",)),
    "pay_out": (PAYOUT, lambda it: it.pay_out("po-1", PAYOUT), ("merchant_reference", "amount", "currency")),
    "query_payout": ({"items": [PAYOUT]}, lambda it: it.query_payout("po-1"), ("merchant_reference",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_about_something_else_says_nothing_of_what_was_asked(name) -> None:
    honest, ask, fields = CALLS[name]

    def said(**change: object) -> tuple[int, bytes]:
        items = honest.get("items")
        answer = honest | change if items is None else {"items": [*items[:-1], items[-1] | change]}
        return 200, json.dumps(answer).encode()

    with Keeper(said()) as keeper:
        channel = SandboxChannel(keeper.url, SECRET)
        assert ask(channel)
        for field in fields:
            keeper.said = [said(**{field: OTHERS[field]})]
            with pytest.raises(OutsideUnavailable, match=field):
                ask(channel)


@pytest.mark.parametrize("wrong", [{"amount": 12901}, {"currency": "USD"}])
def test_a_signed_callback_about_another_sum_is_refused_and_the_true_one_taken(small, wrong) -> None:
    group_no = small.request(12900)
    charge_id = small.opened(group_no, 12900)
    small.provider.pay(charge_id)
    charge = small.provider.charge(charge_id)
    assert small.send(small.callback("charge.succeeded", charge | wrong)) == 422
    assert not small.said(PaymentConfirmed)
    assert small.tell(charge_id) == 200
    assert small.said(PaymentConfirmed)

    small.provider.switch("refund_pending")
    refund_id = small.refund(f"{group_no}-1", 12900)
    small.stage.call()
    (refund,) = small.provider.ask("GET", "/v1/refunds", refund_reference=refund_id)["items"]
    said = small.callback("refund.succeeded", refund | {"status": "succeeded"} | wrong)
    assert (small.send(said), small.said(RefundCompleted)) == (422, [])
    small.provider.ask("POST", f"/sandbox/refunds/{refund['id']}/settle", {"outcome": "succeed"})
    assert (small.tell_refund(refund_id), len(small.said(RefundCompleted))) == (200, 1)


@pytest.mark.parametrize("status", ["succeeded", "failed"])
@pytest.mark.parametrize("wrong", [{"amount": 1}, {"currency": "USD"}])
def test_a_payout_is_not_ended_by_word_of_another_sum(small, wrong, status) -> None:
    small.sold(10000)
    small.give_account()
    small.provider.switch("payout_pending")
    small.pay_out(9500)
    small.stage.call()
    (sent,) = small.payouts()
    assert small.tell_payout(sent | {"status": status} | wrong) == 422
    assert small.said(SellerPayoutCompleted) == small.said(SellerPayoutFailed) == []
    assert small.accounts()[f"payouts:{sent['merchant_reference']}"] == 9500
