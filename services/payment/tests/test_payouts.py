"""A shop's balance is paid to its bank: once, never more than is there, and never lost on the way."""

import threading

import pytest

from services.payment import store
from shared.contracts.payment import SellerPayoutCompleted, SellerPayoutFailed, SellerPayoutRequested
from shared.storage.types import event_log, intent


def test_a_shop_is_paid_out_and_sees_what_the_bank_calls_it(market):
    market.sold(10000)
    assert market.give_account().json["ending"] == "1234"
    asked = market.pay_out(9000)
    assert (asked.status, asked.json["state"]) == (201, "REQUESTED")
    payout_id = asked.json["payout_id"]
    assert market.accounts()["seller:seller-1"] == 500
    assert market.accounts()[f"payouts:{payout_id}"] == 9000
    market.stage.call()
    (sent,) = market.payouts()
    assert (sent["amount"], sent["account_ending"]) == (9000, "1234")
    (done,) = market.said(SellerPayoutCompleted)
    assert (done.payout_id, done.amount, done.bank_ref) == (payout_id, 9000, sent["bank_ref"])
    assert market.accounts() == {"channel:sandbox": -1000, "commission": 500, "seller:seller-1": 500}
    seen = market.sellers["seller-1"].get(f"/v1/payouts/{payout_id}").json
    assert (seen["state"], seen["bank_ref"]) == ("COMPLETED", sent["bank_ref"])
    assert market.operator.get("/v1/payouts").json["items"] == [seen]
    assert market.sellers["seller-2"].get(f"/v1/payouts/{payout_id}").status == 404
    assert market.sellers["seller-2"].get("/v1/payouts").json["items"] == []


def test_the_bank_declines_and_the_money_is_in_the_balance_again(market):
    market.sold(10000)
    market.give_account()
    market.provider.switch("payout_fail")
    market.pay_out(9500)
    market.stage.call()
    assert [fact.code for fact in market.said(SellerPayoutFailed)] == ["account_refused"]
    assert market.accounts()["seller:seller-1"] == 9500
    assert market.pay_out(9500).status == 201
    market.stage.call()
    assert [fact.amount for fact in market.said(SellerPayoutCompleted)] == [9500]


@pytest.mark.parametrize(
    ("amount", "currency", "status", "code", "field"),
    [
        (9501, "CNY", 409, "balance_too_small", "amount"),
        (99, "CNY", 422, "payout_too_small", "amount"),
        (500, "USD", 422, "payout_currency_mismatch", "currency"),
    ],
)
def test_what_is_not_there_or_not_worth_it_is_refused(small, amount, currency, status, code, field):
    small.sold(10000)
    assert small.pay_out(500).json["code"] == "no_payout_account"
    small.give_account()
    refused = small.pay_out(amount, currency=currency)
    assert (refused.status, refused.json["code"]) == (status, code)
    assert field in str(refused.json)
    assert small.accounts()["seller:seller-1"] == 9500
    assert not small.said(SellerPayoutRequested)


def test_a_shop_that_owes_money_after_a_late_refund_is_not_paid_out(small):
    order_no = small.sold(10000)
    small.give_account()
    small.pay_out(9500)
    small.refund(order_no, 10000)
    small.stage.call()
    refused = small.pay_out(100)
    assert (refused.status, refused.json["code"], refused.json["balance"]) == (409, "balance_is_negative", -9500)


def test_a_lost_answer_is_asked_about_and_nothing_is_sent_twice(small):
    small.sold(10000)
    small.give_account()
    small.provider.switch("error_after", scope={"what": "create_payout"})
    small.pay_out(9500)
    small.stage.call()
    assert not small.said(SellerPayoutCompleted)
    small.hurry()
    assert len(small.said(SellerPayoutCompleted)) == len(small.payouts()) == 1


def test_a_lost_request_is_sent_again_under_the_key_it_had(small):
    small.sold(10000)
    small.give_account()
    small.provider.switch("error_before", scope={"what": "create_payout"})
    payout_id = small.pay_out(9500).json["payout_id"]
    small.stage.call()
    assert not small.payouts()
    small.hurry()
    assert [one["idempotency_key"] for one in small.payouts()] == [payout_id]


def test_a_pending_payout_is_ended_by_the_callback_or_when_we_ask_and_only_once(small):
    small.sold(10000)
    small.give_account()
    small.provider.switch("payout_pending", times=2)
    for amount in (1000, 2000):
        small.pay_out(amount)
    small.stage.call()
    assert not small.said(SellerPayoutCompleted)
    for payout, outcome in zip(small.payouts(), ("succeed", "decline"), strict=True):
        small.provider.ask("POST", f"/sandbox/payouts/{payout['id']}/settle", {"outcome": outcome})
    told, lost = small.payouts()
    assert small.tell_payout(told) == small.tell_payout(told) == 200
    assert not small.said(SellerPayoutFailed)
    small.stage.advance(minutes=2)
    small.stage.call()
    assert [fact.payout_id for fact in small.said(SellerPayoutCompleted)] == [told["merchant_reference"]]
    assert [fact.payout_id for fact in small.said(SellerPayoutFailed)] == [lost["merchant_reference"]]
    assert small.tell_payout(lost) == 200
    assert len(small.said(SellerPayoutFailed)) == 1


def test_the_same_wish_twice_is_one_payout_and_two_at_once_share_one_balance(market):
    market.sold(10000)
    market.give_account()
    first = market.pay_out(1000, Idempotency_Key="k-1")
    assert market.pay_out(1000, Idempotency_Key="k-1").json == first.json
    found = []
    crowd = [threading.Thread(target=lambda: found.append(market.pay_out(8000).status)) for _ in range(3)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert sorted(found) == [201, 409, 409]
    assert market.accounts()["seller:seller-1"] == 500


def test_the_account_lies_nowhere_in_the_open_and_is_not_paid_to_once_it_is_erased(small):
    small.sold(10000)
    small.give_account()
    small.pay_out(9500)
    for table in (store.payout_account, store.payouts.table, intent, event_log):
        assert not [row for row in small.rows(table) if "CN00TEA0001234" in str(row) or "Li Wei" in str(row)]
    small.stage.node.vault.destroy("account-of-seller-1")
    small.stage.call()
    assert [fact.code for fact in small.said(SellerPayoutFailed)] == ["account_erased"]
    assert small.accounts()["seller:seller-1"] == 9500


def test_whoever_is_erased_after_the_money_left_was_paid_though_the_answer_was_lost(small):
    small.sold(10000)
    small.give_account()
    small.provider.switch("error_after", scope={"what": "create_payout"})
    small.pay_out(9500)
    small.stage.call()
    small.stage.node.vault.destroy("account-of-seller-1")
    small.hurry()
    assert len(small.said(SellerPayoutCompleted)) == 1
    assert "seller:seller-1" not in small.accounts()


def test_the_money_of_whoever_is_erased_comes_back_once_no_earlier_try_can_arrive_any_more(small):
    small.sold(10000)
    small.give_account()
    small.provider.switch("error_before", scope={"what": "create_payout"})
    small.pay_out(9500)
    small.stage.call()
    small.stage.node.vault.destroy("account-of-seller-1")
    small.hurry()
    assert not small.said(SellerPayoutFailed)  # it may still be on its way
    while small.rows(intent):
        small.hurry()
    assert [fact.code for fact in small.said(SellerPayoutFailed)] == ["account_erased"]
    assert small.accounts()["seller:seller-1"] == 9500


def test_a_try_that_arrives_after_all_takes_out_of_the_balance_what_was_put_back(small):
    small.sold(10000)
    small.give_account()
    payout_id = small.pay_out(9500).json["payout_id"]
    small.stage.node.vault.destroy("account-of-seller-1")
    small.stage.call()
    assert small.accounts()["seller:seller-1"] == 9500
    account = {"holder": "Li Wei", "bank": "Bank of Tea", "number": "CN00TEA0001234"}
    wish = {"merchant_reference": payout_id, "amount": 9500, "currency": "CNY", "account": account}
    small.channel.pay_out(payout_id, wish)
    (sent,) = small.payouts()
    assert small.tell_payout(sent) == small.tell_payout(sent) == 200
    assert [fact.bank_ref for fact in small.said(SellerPayoutCompleted)] == [sent["bank_ref"]]
    assert small.accounts() == {"channel:sandbox": -500, "commission": 500}


def test_a_shop_sees_where_it_is_paid_to_and_of_the_number_only_its_end(small):
    shop, other = small.sellers["seller-1"], small.sellers["seller-2"]
    assert (shop.get("/v1/payout-account").status, shop.get("/v1/payout-account").json["code"]) == (
        404,
        "no_such_payout_account",
    )
    small.give_account()
    small.give_account(currency="JPY", number="JP00TEA0009876")
    assert shop.get("/v1/payout-account").json == {
        "seller_id": "seller-1", "currency": "JPY", "holder": "L…", "bank": "Bank of Tea", "ending": "9876"
    }  # fmt: skip
    assert other.get("/v1/payout-account").status == 404
    small.stage.node.vault.destroy("account-of-seller-1")
    assert shop.get("/v1/payout-account").status == 404


@pytest.mark.parametrize(("currency", "least"), [("CNY", 100), ("JPY", 100), ("VND", 10_000), ("KWD", 300)])
def test_what_is_worth_a_transfer_differs_by_currency(small, currency, least):
    small.give_account(currency=currency)
    refused = small.pay_out(least - 1, currency=currency)
    assert (refused.json["code"], refused.json["least"]) == ("payout_too_small", least)
    assert small.pay_out(least, currency=currency).json["code"] == "balance_too_small"
