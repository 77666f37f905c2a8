"""Money back: once, never more than came, and until it arrives."""

import pytest

from shared.contracts.payment import FundsReleased, RefundCompleted, RefundFailed, RefundInitiated


def test_a_refund_goes_back_once_however_often_it_is_asked(market):
    group_no = market.paid(10000, 2900)
    refund_id = market.refund(f"{group_no}-1", 10000)
    market.refund(f"{group_no}-1", 10000, refund_id)
    assert market.payment(group_no).split(f"{group_no}-1").in_escrow == 0
    market.stage.call()
    market.refund(f"{group_no}-1", 10000, refund_id, publisher="support")
    market.stage.call()
    (initiated,), (completed,) = market.said(RefundInitiated), market.said(RefundCompleted)
    assert (initiated.refund_id, initiated.channel) == (refund_id, "sandbox")
    assert (completed.order_fully_refunded, completed.to, completed.lines[0].amount) == (True, "original", 10000)
    assert market.provider.totals()["refunded"] == {"CNY": 10000}
    assert market.payment(group_no).status == "PARTIALLY_REFUNDED"
    market.refund(f"{group_no}-2", 2900)
    market.stage.call()
    assert market.payment(group_no).status == "REFUNDED"
    assert market.accounts() == {}


def test_never_more_than_came_for_that_order(market):
    group_no = market.paid(10000, 2900)
    market.refund(f"{group_no}-2", 2000)
    greedy = market.refund(f"{group_no}-2", 901)
    (failed,) = market.said(RefundFailed)
    assert (failed.refund_id, failed.code, failed.final, failed.attempts) == (greedy, "exceeds_captured", True, 0)
    market.refund(f"{group_no}-2", 901, greedy)
    assert len(market.said(RefundFailed)) == 2  # asked again, answered again
    market.refund(f"{group_no}-2", 900)
    market.stage.call()
    assert sum(fact.amount for fact in market.said(RefundCompleted)) == 2900


@pytest.mark.parametrize(
    ("wish", "code"), [({"currency": "USD"}, "currency_mismatch"), ({"amount": 12901}, "exceeds_captured")]
)
def test_a_refund_that_cannot_be_is_refused_at_once(small, wish, code):
    group_no = small.paid(12900)
    small.refund(f"{group_no}-1", **({"amount": 12900} | wish))
    assert small.said(RefundFailed)[0].code == code
    assert small.stage.call() == 0


def test_nothing_to_give_back_is_given_back_at_once(small):
    group_no = small.paid(12900)
    small.refund(f"{group_no}-1", 0, lines=())
    assert small.said(RefundCompleted)[0].amount == 0


def test_a_refund_of_money_nobody_knows_waits(small):
    small.refund("G0000000000000000-1", 100)
    assert [row.status for row in small.stage.kept()] == ["early"]


def test_a_failed_refund_is_tried_again_and_arrives(market):
    group_no = market.paid(12900)
    market.provider.switch("refund_fail", times=2)
    market.refund(f"{group_no}-1", 12900)
    market.stage.call()
    (failed,) = market.said(RefundFailed)
    assert (failed.final, failed.code, failed.attempts) == (False, "channel_refused", 1)
    assert round((failed.next_retry_at - market.stage.now()).total_seconds()) in (59, 60)
    market.stage.advance(seconds=62)
    market.stage.call()
    market.stage.advance(minutes=5, seconds=2)
    market.stage.call()
    (completed,) = market.said(RefundCompleted)
    assert completed.refund_id == failed.refund_id
    assert [one["status"] for one in market.provider.charges()[0]["refunds"]] == ["failed", "failed", "succeeded"]


def test_a_refund_that_never_works_needs_another_route(small):
    group_no = small.paid(12900)
    small.provider.switch("refund_fail", times="always")
    refund_id = small.refund(f"{group_no}-1", 12900)
    for hours in (0, 0.02, 0.1, 0.6, 2.1, 12.1):
        small.stage.advance(hours=hours)
        small.stage.call()
    failed = small.said(RefundFailed)
    assert [fact.final for fact in failed] == [False] * 5 + [True]
    assert small.accounts() == {"channel:sandbox": -12900, "refunds": 12900}
    (shown,) = small.operator.get("/v1/refunds").json["items"]
    assert (shown["refund_id"], shown["state"]) == (refund_id, "NEEDS_OTHER_ROUTE")
    path = f"/v1/refunds/{refund_id}/settlement"
    assert small.buyer.post(path, {"route": "bank"}).status == 403
    assert small.operator.post("/v1/refunds/none/settlement", {"route": "bank"}).status == 404
    assert small.operator.post(path, {"route": "bank"}).json["state"] == "COMPLETED"
    assert small.operator.post(path, {"route": "bank"}).json["code"] == "no_other_route_needed"
    assert small.said(RefundCompleted)[0].to == "bank"
    assert small.accounts() == {"channel:sandbox": -12900, "bank": 12900}


def test_asked_again_a_stuck_refund_is_tried_once_more(small):
    group_no = small.paid(12900)
    small.provider.switch("refund_fail", times=6)
    refund_id = small.refund(f"{group_no}-1", 12900)
    for hours in (0, 0.02, 0.1, 0.6, 2.1, 12.1):
        small.stage.advance(hours=hours)
        small.stage.call()
    small.refund(f"{group_no}-1", 12900, refund_id)
    small.stage.call()
    assert small.said(RefundCompleted)[0].refund_id == refund_id


def test_a_pending_refund_is_waited_for_and_asked_about(market):
    group_no = market.paid(12900)
    market.provider.switch("refund_pending")
    refund_id = market.refund(f"{group_no}-1", 12900)
    market.stage.call()
    assert not market.said(RefundCompleted)
    (pending,) = market.provider.charges()[0]["refunds"]
    market.provider.ask("POST", f"/sandbox/refunds/{pending['id']}/settle", {"outcome": "succeed"})
    market.stage.advance(minutes=1, seconds=2)
    market.stage.call()
    assert market.said(RefundCompleted)[0].refund_id == refund_id
    assert market.tell_refund(refund_id) == 200  # its callback, late
    assert len(market.said(RefundCompleted)) == 1


def test_a_pending_refund_may_still_fail_by_callback(small):
    group_no = small.paid(12900)
    small.provider.switch("refund_pending")
    refund_id = small.refund(f"{group_no}-1", 12900)
    small.stage.call()
    (pending,) = small.provider.charges()[0]["refunds"]
    small.provider.ask("POST", f"/sandbox/refunds/{pending['id']}/settle", {"outcome": "decline"})
    assert [small.tell_refund(refund_id) for _ in range(3)] == [200] * 3
    assert [fact.attempts for fact in small.said(RefundFailed)] == [1]
    small.stage.advance(minutes=2)
    small.stage.call()
    assert len(small.said(RefundCompleted)) == 1


@pytest.mark.parametrize("fault", ["error_after", "garbage", "error_before"])
def test_a_refund_with_a_lost_answer_is_not_sent_twice(market, fault):
    group_no = market.paid(12900)
    market.provider.switch(fault, scope={"what": "create_refund"})
    market.refund(f"{group_no}-1", 4000)
    assert market.stage.call() == 0
    assert market.hurry() == 1
    assert market.said(RefundCompleted)[0].amount == 4000
    assert len(market.provider.charges()[0]["refunds"]) == 1


def test_old_news_of_a_failure_do_not_count_against_a_later_try(small):
    group_no = small.paid(12900)
    small.provider.switch("refund_fail")
    refund_id = small.refund(f"{group_no}-1", 12900)
    small.stage.call()
    (failed,) = small.provider.charges()[0]["refunds"]
    small.stage.advance(minutes=2)  # the second try is about to be made
    assert small.send(small.callback("refund.failed", failed)) == 200
    assert len(small.said(RefundFailed)) == 1
    small.stage.call()
    assert small.said(RefundCompleted)[0].refund_id == refund_id


def test_a_lost_answer_is_asked_for_as_it_is_now_not_as_it_was_then(small):
    group_no = small.paid(12900)
    small.provider.switch("refund_pending")
    small.provider.switch("error_after", scope={"what": "create_refund"})
    small.refund(f"{group_no}-1", 12900)
    small.stage.call()
    (pending,) = small.provider.charges()[0]["refunds"]
    small.provider.ask("POST", f"/sandbox/refunds/{pending['id']}/settle", {"outcome": "succeed"})
    small.hurry()
    assert len(small.said(RefundCompleted)) == 1


def test_what_is_promised_to_the_buyer_is_not_released_to_the_seller(small):
    group_no = small.paid(10000)
    small.receive(f"{group_no}-1")
    small.refund(f"{group_no}-1", 4000)  # on its way while the hour passes
    small.stage.advance(hours=1, seconds=1)
    (released,) = small.said(FundsReleased)
    assert (released.gross, released.commission, released.net) == (6000, 300, 5700)
    small.stage.call()
    assert small.accounts() == {"channel:sandbox": -6000, "commission": 300, "seller:seller-1": 5700}


def test_after_the_release_the_holdback_pays_first_and_then_the_seller(market):
    market.approve("seller-1", commission_bp=1000, holdback_bp=1000)
    group_no = market.paid(10000)
    market.receive(f"{group_no}-1")
    market.stage.advance(hours=1, seconds=1)
    assert market.said(FundsReleased)[0].holdback == 900
    market.refund(f"{group_no}-1", 10000)
    market.stage.call()
    assert market.said(RefundCompleted)[0].order_fully_refunded
    assert market.accounts() == {}  # nobody earns by a sale that was undone
    market.complete(f"{group_no}-1")  # nothing is left to hold back
    assert len(market.said(FundsReleased)) == 1


def test_the_commission_of_what_went_back_goes_back_too_and_to_the_last_cent(market):
    market.approve("seller-1", commission_bp=333, holdback_bp=0)
    group_no = market.paid(10000)
    market.receive(f"{group_no}-1")
    market.stage.advance(hours=1, seconds=1)
    market.refund(f"{group_no}-1", 3333)
    market.stage.call()
    assert market.accounts() == {"channel:sandbox": -6667, "commission": 222, "seller:seller-1": 6445}
    seller = market.stage.caller("seller", seller_id="seller-1")
    assert seller.get(f"/v1/orders/{group_no}-1/escrow").json["commission"] == 222
    for part in (3333, 3333, 1):
        market.refund(f"{group_no}-1", part)
    market.stage.call()
    assert market.accounts() == {}


def test_buyer_seller_and_operator_see_an_orders_refunds_and_nobody_else(small):
    group_no = small.paid(10000, 2900)
    refund_id = small.refund(f"{group_no}-2", 900)
    path = f"/v1/orders/{group_no}-2/refunds"
    seller = small.stage.caller("seller", seller_id="seller-2")
    other = small.stage.caller("seller", seller_id="seller-1")
    for who in (small.buyer, seller, small.operator):
        assert [one["refund_id"] for one in who.get(path).json["items"]] == [refund_id]
    assert [who.get(path).status for who in (other, small.stage.caller("buyer"))] == [404, 404]
