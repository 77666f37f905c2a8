"""A shop's money on its way to the shop's bank: it is in the balance, on its way, or there, whatever goes wrong."""

from __future__ import annotations

from tests.journeys.depot import Depot

EARNED = 9_234
"""Of a cup (100.00) and its freight (8.00), less a commission of 5 % and the tenth that is held back."""
ACCOUNT = {"currency": "CNY", "holder": "Depot Ltd", "bank": "Bank of Tea", "number": "CN00TEA0001234"}


def test_a_shop_is_paid_out_though_its_bank_declines_at_first_and_the_channel_forgets_to_say_so_later(
    idle_shop, depot: Depot
) -> None:
    shop, provider = depot.shop, depot.provider
    order_no = depot.order(cup=1)
    (parcel,) = depot.parcels(order_no)
    depot.bring(depot.dispatch(parcel["shipment_id"]))
    depot.finish(order_no)
    before = _balance(depot)
    depot.grounds.advance(hours=2)
    assert (depot.escrow(order_no)["state"], _balance(depot) - before) == ("RELEASED", EARNED)
    shop.do("PUT", "/v1/payout-account", ACCOUNT)

    provider.switch("payout_fail")
    declined = _ask(depot)
    assert _balance(depot) - before == EARNED
    assert (_payout(depot, declined)["state"], _payout(depot, declined)["code"]) == ("FAILED", "account_refused")

    provider.switch("payout_pending")
    provider.switch("callback_lost", scope={"what": "payout.succeeded"})
    forgotten = _ask(depot)
    (sent,) = provider.do("GET", f"/v1/payouts?merchant_reference={forgotten}")["items"]
    provider.do("POST", f"/sandbox/payouts/{sent['id']}/settle", {"outcome": "succeed"})
    depot.grounds.settle()
    assert (_payout(depot, forgotten)["state"], _balance(depot)) == ("REQUESTED", before)
    depot.grounds.advance(minutes=2)

    paid = _payout(depot, forgotten)
    (sent,) = provider.do("GET", f"/v1/payouts?merchant_reference={forgotten}")["items"]
    assert (paid["state"], paid["bank_ref"]) == ("COMPLETED", sent["bank_ref"])
    assert (sent["amount"], sent["account_ending"], _balance(depot)) == (EARNED, "1234", before)
    told = [one["template"] for one in shop.do("GET", "/v1/notifications?limit=100")["items"]]
    assert (told.count("payout_failed"), told.count("paid_out")) == (1, 1)


def _balance(depot: Depot) -> int:
    """What the platform owes the shop, minor units."""
    return sum(line["balance"] for line in depot.shop.do("GET", "/v1/balance")["items"])


def _ask(depot: Depot) -> str:
    """For what the order brought; the payout's id, once the channel was asked."""
    payout = depot.shop.do("POST", "/v1/payouts", {"amount": EARNED, "currency": "CNY"})
    depot.grounds.settle()
    return str(payout["payout_id"])


def _payout(depot: Depot, payout_id: str) -> dict[str, str]:
    return dict(depot.shop.do("GET", f"/v1/payouts/{payout_id}"))
