"""Payouts: once per key and reference, well, badly or later, and in the book."""

WISH = {
    "merchant_reference": "P1", "amount": 500, "currency": "CNY",
    "account": {"holder": "Tea House", "bank": "Bank of Tea", "number": "CN00TEA0001234"},
}  # fmt: skip


def send(shop, reference="P1", key=None):
    headers = {"Idempotency-Key": key or f"payout:{reference}"}
    return shop.http.post(
        f"{shop.url}/v1/payouts", json=WISH | {"merchant_reference": reference}, headers=headers, timeout=20
    )


def test_a_payout_is_made_once_and_told(shop, receiver):
    first = send(shop)
    assert (first.status_code, first.json()["status"], first.json()["account_ending"]) == (201, "succeeded", "1234")
    assert send(shop).json() == first.json()
    assert send(shop, key="another").json()["code"] == "payout_exists"
    (event,) = receiver.wait_for(1)
    assert (event["type"], event["data"]) == ("payout.succeeded", first.json())
    assert shop.ask("GET", "/v1/payouts?merchant_reference=P1")["items"] == [first.json()]
    assert shop.ask("GET", "/v1/book")["totals"]["paid_out"] == {"CNY": 500}


def test_a_payout_is_declined_or_waits_until_somebody_ends_it(shop):
    shop.switch("payout_fail")
    assert send(shop).json()["failure_code"] == "account_refused"
    shop.switch("payout_pending")
    waiting = send(shop, "P2").json()
    assert waiting["status"] == "pending"
    path = f"/sandbox/payouts/{waiting['id']}/settle"
    assert shop.ask("POST", path, {"outcome": "decline"})["status"] == "failed"
    assert shop.ask("POST", path, {"outcome": "succeed"}, status=409)["code"] == "payout_settled"
    assert shop.ask("GET", "/v1/book")["totals"]["paid_out"] == {}
