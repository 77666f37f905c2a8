"""Refunds: never more than was captured, and the book adds up."""

from concurrent.futures import ThreadPoolExecutor

DAY_S = 24 * 3600


def test_part_of_the_money_is_given_back_and_the_shop_is_told(shop, receiver):
    charge = shop.paid(amount=1000)
    refund = shop.refund(charge, 300)
    assert refund["status"] == "succeeded"
    assert shop.see(charge)["refunded"] == {"CNY": 300}
    events = receiver.wait_for(2)
    assert (events[1]["type"], events[1]["data"]) == ("refund.succeeded", refund)


def test_more_than_was_captured_is_refused_even_in_parts(shop):
    charge = shop.paid(amount=1000)
    shop.refund(charge, 700)
    refusal = shop.refund(charge, 301, status=422)
    assert (refusal["code"], refusal["refundable"]) == ("refund_exceeds_captured", 300)
    shop.refund(charge, 300)
    assert shop.refund(charge, 1, status=422)["refundable"] == 0


def test_of_many_refunds_at_once_only_those_that_fit_succeed(shop):
    charge = shop.paid(amount=1000)
    wish = {"charge": charge["id"], "refund_reference": "R", "amount": 400, "currency": "CNY"}

    def ask(number):
        headers = {"Idempotency-Key": f"refund:{number}"}
        return shop.http.post(f"{shop.url}/v1/refunds", json=wish, headers=headers, timeout=20).status_code

    with ThreadPoolExecutor(6) as crowd:
        assert sorted(crowd.map(ask, range(6))) == [201, 201, 422, 422, 422, 422]
    assert shop.see(charge)["refunded"] == {"CNY": 800}


def test_the_same_key_refunds_once(shop):
    charge = shop.paid(amount=1000)
    assert shop.refund(charge, 600, key="refund:R1") == shop.refund(charge, 600, key="refund:R1")
    assert shop.see(charge)["refunded"] == {"CNY": 600}
    for question in ("idempotency_key=refund:R1", "refund_reference=R1", f"charge={charge['id']}"):
        (refund,) = shop.ask("GET", f"/v1/refunds?{question}")["items"]
        assert shop.ask("GET", f"/v1/refunds/{refund['id']}") == refund


def test_an_unpaid_charge_and_a_foreign_currency_are_refused(shop):
    assert shop.refund(shop.charge(), 1, status=409)["code"] == "charge_not_paid"
    assert shop.refund(shop.paid(), 1, currency="USD", status=422)["code"] == "currency_mismatch"
    assert shop.refund(shop.paid(), 1, capture="tx_none", status=404)["code"] == "capture_not_found"


def test_a_refund_fails_as_often_as_the_switch_says(shop, receiver):
    charge = shop.paid(amount=1000)
    shop.switch("refund_fail", times=2, code="account_frozen")
    assert [shop.refund(charge, 1000)["status"] for _ in range(3)] == ["failed", "failed", "succeeded"]
    shop.settle()
    assert receiver.types()[1:] == ["refund.failed", "refund.failed", "refund.succeeded"]
    assert receiver.got[1]["data"]["failure_code"] == "account_frozen"


def test_a_refund_stays_pending_until_its_time_has_come(shop, receiver):
    charge = shop.paid(amount=1000)
    shop.switch("refund_pending", seconds=DAY_S)
    assert shop.refund(charge, 1000)["status"] == "pending"
    assert shop.refund(charge, 1, status=422)["code"] == "refund_exceeds_captured"
    assert shop.see(charge)["refunded"] == {}
    shop.ask("POST", "/sandbox/clock", {"offset_seconds": DAY_S + 1})
    assert receiver.wait_for(2)[1]["type"] == "refund.succeeded"


def test_a_refund_stays_pending_until_somebody_ends_it(shop):
    charge = shop.paid(amount=1000)
    shop.switch("refund_pending")
    refund = shop.refund(charge, 1000)
    path = f"/sandbox/refunds/{refund['id']}/settle"
    assert shop.ask("POST", path, {"outcome": "decline"})["status"] == "failed"
    assert shop.ask("POST", path, {"outcome": "succeed"}, status=409)["code"] == "refund_settled"
    assert shop.refund(charge, 1000)["status"] == "succeeded"


def test_the_book_adds_up_over_its_pages(shop):
    for number in range(5):
        shop.paid(f"G{number}", 100 + number)
    shop.charge("unpaid")
    (first,) = shop.ask("GET", "/v1/charges?merchant_reference=G0")["items"]
    shop.refund(first, 40)
    page = shop.ask("GET", "/v1/book?limit=4")
    assert page["totals"] == {"captured": {"CNY": 510}, "refunded": {"CNY": 40}, "paid_out": {}}
    assert page["items"][0]["refunds"][0]["amount"] == 40
    rest = shop.ask("GET", f"/v1/book?limit=4&after={page['next']}")
    references = [charge["merchant_reference"] for charge in page["items"] + rest["items"]]
    assert references == ["G0", "G1", "G2", "G3", "G4", "unpaid"]
    assert rest["next"] is None
