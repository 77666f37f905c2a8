"""Orders in bulk from quote to completed, as their buyers, the seller, the provider and the courier would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from benchmarks import load
from benchmarks.ground import Ground
from benchmarks.market import Market, Placed

CLIENTS = 4
PAGE = 100
WAVE = 20
REQUESTS = 5 + 3 / WAVE
"""An order's: quote, order, payment, the provider's callback, receipt; a share in three waves. The carrier's bundles,
which come as they come, are not counted."""
WINDOWS = timedelta(days=9)
"""Longer than an order waits from its receipt to its completion."""
WAY = (("collect", "depot"), ("scan", "hub"), ("out-for-delivery", "town"), ("deliver", "town"))


def tell(ground: Ground, market: Market, number: int) -> list[Placed]:
    """Carry that many new orders, of two lines and one shipment each, from quote to COMPLETED.

    Everybody does one thing for all orders before the next, as a shop's day brings it. Raises Refused, NotCalm.
    """
    placed = market.place(number, CLIENTS)
    ground.calm()
    _pay(market, placed)
    ground.calm()
    shipments = _pick_and_pack(market, number)
    ground.calm()
    tracking = _hand_over(market, shipments)
    ground.calm()
    _deliver(market, tracking)
    ground.calm()
    _send(market, [market.post(one.buyer, f"/v1/orders/{one.order_no}/receipt") for one in placed], 202)
    ground.calm()
    ground.jump(WINDOWS)
    ground.calm()
    return placed


def _pay(market: Market, placed: Sequence[Placed]) -> None:
    """Each buyer opens the provider's page and pays there."""
    wish = {"method": "online", "channel": "sandbox"}
    opened = _send(
        market,
        [
            market.post(one.buyer, f"/v1/groups/{one.group_no}/payments", wish | {"expected_amount": one.payable})
            for one in placed
        ],
        201,
    )
    pages = [str(attempt["display"]["value"]) for attempt in opened]
    _outside(market.grounds.provider_url, pages, [{"outcome": "succeed"}] * len(pages))


def _pick_and_pack(market: Market, number: int) -> list[str]:
    """The seller reads the pages of planned shipments, picks and packs each."""
    planned: list[str] = []
    path = f"/v1/shipments?state=PLANNED&limit={PAGE}"
    page = market.seller.do("GET", path)
    while True:
        planned += [shipment["shipment_id"] for shipment in page["items"]]
        if not page["next"]:
            break
        page = market.seller.do("GET", f"{path}&cursor={page['next']}")
    assert len(planned) == number, f"{len(planned)} shipments are planned for {number} orders"
    market.renew()
    _batch(market, "pick", [{"shipment_id": one} for one in planned])
    _batch(market, "pack", [{"shipment_id": one, "parcels": [{"weight_g": 900}]} for one in planned])
    return planned


def _hand_over(market: Market, shipments: Sequence[str]) -> list[str]:
    """The tracking numbers."""
    done = _batch(market, "hand-over", [{"shipment_id": one} for one in shipments])
    return [str(shipment["tracking_no"]) for shipment in done]


def _batch(market: Market, deed: str, shipments: Sequence[dict[str, Any]]) -> list[Any]:
    """A warehouse works in waves: one request for the shipments on one trolley."""
    waves = [list(shipments[at : at + WAVE]) for at in range(0, len(shipments), WAVE)]
    asked = [market.post(market.seller, "/v1/shipments/batch", {"deed": deed, "shipments": wave}) for wave in waves]
    done = [item for answer in _send(market, asked, 200) for item in answer["items"]]
    assert all(item["code"] is None for item in done), done
    return done


def _deliver(market: Market, tracking: Sequence[str]) -> None:
    """The courier's four deeds for every parcel, each told to us by a signed callback."""
    origin = market.grounds.carrier_url
    for deed, where in WAY:
        pages = [f"{origin}/courier/{one}/{deed}" for one in tracking]
        _outside(origin, pages, [{"location": where}] * len(pages), f"Bearer {market.grounds.sandbox_key}")


def _send(market: Market, requests: Sequence[bytes], status: int) -> list[Any]:
    answers = load.send(market.grounds.url, requests, CLIENTS, keep=True).expect(status)
    return [msgspec.json.decode(body) for body in answers.bodies]


def _outside(origin: str, pages: Sequence[str], bodies: Sequence[Any], bearer: str = "") -> None:
    """POST to the provider's or the carrier's own pages."""
    host = origin.rpartition("//")[2]
    headers = {"Authorization": bearer} if bearer else {}
    requests = [
        load.request("POST", page.removeprefix(origin), host, msgspec.json.encode(body), **headers)
        for page, body in zip(pages, bodies, strict=True)
    ]
    load.send(origin, requests, 2).expect(200)
