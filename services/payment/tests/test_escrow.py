"""Money held until the buyer has the goods; what both sides see of it; and the books."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from services.payment import store
from services.payment.domain.books import Entry, Posting
from services.payment.tests.makers import cash, cod_order
from shared.contracts.payment import CashReconciled, FundsHeld, FundsReleased, PaymentConfirmed, RefundFailed


def test_an_hour_after_receipt_the_seller_is_paid_less_commission(market):
    group_no = market.paid(10000, 2900)
    market.receive(f"{group_no}-1")
    market.stage.advance(minutes=59)
    assert not market.said(FundsReleased)
    market.stage.advance(minutes=2)
    (released,) = market.said(FundsReleased)
    assert (released.order_no, released.gross, released.commission, released.net) == (f"{group_no}-1", 10000, 500, 9500)
    assert market.accounts() == {
        "channel:sandbox": -12900, "commission": 500, "seller:seller-1": 9500, f"escrow:{group_no}-2": 2900,
    }  # fmt: skip
    market.receive(f"{group_no}-1")  # said again
    market.receive(f"{group_no}-2")
    market.stage.advance(hours=2)
    assert [fact.order_no[-1] for fact in market.said(FundsReleased)] == ["1", "2"]


def test_a_holdback_waits_until_the_order_is_completed(market):
    market.approve("seller-1", commission_bp=500, holdback_bp=2000)
    group_no = market.paid(10000)
    market.receive(f"{group_no}-1")
    market.stage.advance(hours=2)
    (first,) = market.said(FundsReleased)
    assert (first.gross, first.commission, first.net, first.holdback) == (10000, 500, 7600, 1900)
    market.complete(f"{group_no}-1")
    market.complete(f"{group_no}-1")
    _, second = market.said(FundsReleased)
    assert (second.gross, second.commission, second.net, second.holdback) == (1900, 0, 1900, 0)
    assert market.accounts() == {"channel:sandbox": -10000, "commission": 500, "seller:seller-1": 9500}


def test_the_terms_of_the_day_of_payment_hold(small):
    group_no = small.request(10000)
    small.approve("seller-1", commission_bp=2000)
    charge = small.opened(group_no, 10000)
    small.provider.pay(charge)
    small.tell(charge)
    small.receive(f"{group_no}-1")
    small.stage.advance(hours=2)
    assert small.said(FundsReleased)[0].commission == 500


def test_a_seller_whose_terms_are_not_known_yet_waits(sqlite_url, tmp_path):
    from services.payment.tests.makers import Market

    market = Market(sqlite_url, tmp_path)
    group_no = market.paid(10000)
    market.receive(f"{group_no}-1")
    market.stage.advance(hours=3)
    assert not market.said(FundsReleased)
    market.approve("seller-1")
    market.stage.advance(hours=1)
    assert market.said(FundsReleased)[0].net == 9500
    market.close()


def test_both_sides_see_where_the_money_is_and_why(small):
    small.approve("seller-1", commission_bp=500, holdback_bp=1000)
    group_no = small.request(10000)
    path = f"/v1/orders/{group_no}-1/escrow"
    seller = small.stage.caller("seller", seller_id="seller-1")

    def see(who=small.buyer):
        answer = who.get(path)
        assert answer.status == 200
        return answer.json

    assert (see()["state"], see()["reason"]) == ("NONE", "unpaid")
    charge = small.opened(group_no, 10000)
    small.provider.pay(charge)
    small.tell(charge)
    assert (see()["state"], see()["reason"], see()["held"]) == ("HELD", "awaiting_receipt", 10000)
    small.receive(f"{group_no}-1")
    assert see()["reason"] == "release_scheduled"
    assert see()["release_at"]
    small.stage.advance(hours=2)
    seen = see(seller)
    assert (seen["state"], seen["reason"], seen["held_back"], seen["commission"]) == (
        "RELEASED",
        "until_completed",
        950,
        500,
    )
    assert "commission" not in see()
    small.complete(f"{group_no}-1")
    assert (see()["reason"], see()["released"], see()["held"]) == ("released", 9500, 0)
    for nobody in (small.stage.caller("buyer"), small.stage.caller("seller", seller_id="seller-2")):
        assert nobody.get(path).status == 404


def test_a_shop_sees_its_own_balance_and_its_entries(small):
    first, second = small.paid(10000, 2900), small.paid(700)
    small.receive(f"{first}-1")
    small.stage.advance(hours=2)
    shop = small.stage.caller("seller", seller_id="seller-1")
    assert shop.get("/v1/balance").json == {
        "seller_id": "seller-1", "items": [{"currency": "CNY", "balance": 9500, "in_escrow": 700}],
    }  # fmt: skip
    small.receive(f"{second}-1")
    small.stage.advance(hours=2)
    page = shop.get("/v1/balance/entries?limit=1").json
    assert [(one["kind"], one["amount"]) for one in page["items"]] == [("release", 665)]
    page = shop.get(f"/v1/balance/entries?limit=1&cursor={page['next']}").json
    assert [(one["order_no"], one["amount"]) for one in page["items"]] == [(f"{first}-1", 9500)]
    assert page["next"] is None
    assert small.stage.caller("seller", seller_id="seller-9").get("/v1/balance/entries").json["items"] == []
    assert small.stage.caller("seller").get("/v1/balance").status == 404
    assert small.buyer.get("/v1/balance").status == 403


def test_the_trial_balance_is_zero(small):
    group_no = small.paid(10000, 2900)
    small.receive(f"{group_no}-1")
    small.stage.advance(hours=2)
    books = small.operator.get("/v1/ledger/trial-balance").json
    assert (books["total"], books["unbalanced"]) == ({"CNY": 0}, 0)
    assert {one["family"]: one["balance"] for one in books["accounts"]} == {
        "channel": -12900, "commission": 500, "escrow": 2900, "seller": 9500,
    }  # fmt: skip
    assert small.buyer.get("/v1/ledger/trial-balance").status == 403


# --------------------------------------------------------------------------------------------- the ledger itself
def test_a_posting_out_of_balance_is_refused_by_the_domain_and_by_postgresql(market):
    with pytest.raises(ValueError, match="out of balance"):
        Posting("x", "x", "p", "CNY", (Entry("bank", "", 1),))
    if market.stage.node.database.is_sqlite:
        return
    posting = {"key": "x", "kind": "x", "payment_id": "p", "currency": "CNY", "posted_at": market.stage.now()}
    entry = {"posting_key": "x", "family": "bank", "owner": "", "currency": "CNY", "amount": 1}

    def crooked(tx):
        tx.execute(store.ledger_posting.insert().values(**posting))
        tx.execute(store.ledger_entry.insert().values(**entry))

    with pytest.raises(DBAPIError, match="out of balance"):
        market.stage.node.run(crooked)


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_posting"])
@pytest.mark.parametrize("change", ["update", "delete"])
def test_nothing_in_the_ledger_is_ever_changed(market, table, change):
    market.paid(100)
    rows = getattr(store, table)
    statement = sa.delete(rows) if change == "delete" else sa.update(rows).values(currency="USD")
    with pytest.raises(DBAPIError, match="append only"), market.stage.node.database.begin() as connection:
        connection.execute(statement)


def test_the_same_posting_is_never_booked_twice(market):
    posting = Posting("same", "x", "p", "CNY", (Entry("bank", "", 1), Entry("cash", "", -1)))
    market.stage.node.run(lambda tx: store.add_posting(tx, posting))
    with pytest.raises(DBAPIError):
        market.stage.node.run(lambda tx: store.add_posting(tx, posting))
    assert len(market.rows(store.ledger_entry)) == 2


# ------------------------------------------------------------------------------------------------ cash at the door
def test_a_cash_order_is_paid_when_every_courier_has_collected(market):
    order = cod_order(market.buyer.account_id, 10000)
    market.hear(order)
    assert market.payment(order.order_no).status == "COD_PENDING"
    first = cash(order.order_no, 6000, "s1")
    market.hear(first)
    market.hear(first)  # said again
    assert not market.said(PaymentConfirmed)
    market.hear(cash(order.order_no, 4000, "s2"))
    (confirmed,), (held,) = market.said(PaymentConfirmed), market.said(FundsHeld)
    assert (confirmed.method, confirmed.amount, confirmed.channel_txn) == ("cod", 10000, "s2")
    assert held.until == "cash_reconciled"


def test_cash_is_released_only_when_the_carrier_has_remitted_it(market):
    order = cod_order(market.buyer.account_id, 10000)
    market.hear(order)
    market.hear(cash(order.order_no, 10000))
    market.receive(order.order_no)
    market.stage.advance(days=1)
    assert not market.said(FundsReleased)
    seen = market.buyer.get(f"/v1/orders/{order.order_no}/escrow").json
    assert (seen["state"], seen["reason"]) == ("HELD", "cash_not_remitted")
    body = {
        "carrier": "sandbox",
        "period": "2026-11",
        "currency": "CNY",
        "remitted": 9900,
        "order_nos": [order.order_no],
    }
    assert market.operator.post("/v1/cash-statements", body | {"carrier": "other"}).json["order_no"] == order.order_no
    answer = market.operator.post("/v1/cash-statements", body)
    assert (answer.status, answer.json["expected"], answer.json["difference"]) == (201, 10000, -100)
    assert market.said(CashReconciled)[0].order_nos == (order.order_no,)
    assert market.operator.post("/v1/cash-statements", body).json["code"] == "cash_not_expected"
    market.stage.fire()
    assert market.said(FundsReleased)[0].net == 9500
    assert market.accounts() == {"bank": -9900, "cash:sandbox": -100, "commission": 500, "seller:seller-1": 9500}


def test_a_refused_parcels_share_never_comes_and_receipt_settles_for_what_did(small):
    order = cod_order(small.buyer.account_id, 10000)
    small.hear(order)
    small.hear(cash(order.order_no, 6000))
    small.receive(order.order_no)
    assert not small.said(PaymentConfirmed)
    small.stage.advance(days=2)
    assert small.said(PaymentConfirmed)[0].amount == 6000


def test_cash_of_another_parcel_that_is_found_after_the_receipt_is_not_left_out(small):
    order = cod_order(small.buyer.account_id, 10000)
    small.hear(order)
    small.hear(cash(order.order_no, 6000, "s1"))
    small.receive(order.order_no)
    small.stage.advance(days=1, hours=1)  # by then the carrier was asked
    small.hear(cash(order.order_no, 4000, "s2"))
    small.stage.advance(days=2)
    assert [confirmed.amount for confirmed in small.said(PaymentConfirmed)] == [10000]


def test_cash_that_is_told_after_the_receipt_still_counts(small):
    order = cod_order(small.buyer.account_id, 10000)
    small.hear(order)
    small.receive(order.order_no)
    assert not small.said(PaymentConfirmed)
    small.hear(cash(order.order_no, 10000))
    assert small.said(PaymentConfirmed)[0].amount == 10000


def test_cash_for_an_order_not_heard_of_waits(small):
    small.hear(cash("G0000000000000000-1", 100))
    assert [row.status for row in small.stage.kept()] == ["early"]


def test_a_cash_order_that_came_back_is_void(small):
    from shared.contracts.order import OrderClosed

    order = cod_order(small.buyer.account_id, 10000)
    small.hear(order)
    small.hear(
        OrderClosed(
            group_no=order.group_no, order_no=order.order_no, seller_id="seller-1", buyer_id=order.buyer_id,
            reason="cod_refused", lines=(),
        )
    )  # fmt: skip
    assert small.payment(order.order_no).status == "COD_VOID"
    (shown,) = small.buyer.get(f"/v1/groups/{order.group_no}/payments").json["items"]
    assert shown["payable"] == 0


def test_cash_cannot_go_back_the_way_it_came(small):
    order = cod_order(small.buyer.account_id, 10000)
    small.hear(order)
    small.hear(cash(order.order_no, 10000))
    refund_id = small.refund(order.order_no, 10000)
    (failed,) = small.said(RefundFailed)
    assert (failed.final, failed.code) == (True, "no_original_route")
    assert small.operator.post(f"/v1/refunds/{refund_id}/settlement", {"route": "bank"}).status == 200
    assert small.payment(order.order_no).status == "REFUNDED"


def test_a_cash_order_is_not_paid_here(small):
    order = cod_order(small.buyer.account_id, 10000)
    small.hear(order)
    assert small.open(order.group_no, 10000).status == 404
