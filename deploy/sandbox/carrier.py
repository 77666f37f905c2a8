"""A fake carrier, as strict as a real one: its HTTP doors. `README.md` is the protocol.

`python -m deploy.sandbox.carrier --port N --home DIR --callback-url URL --secret-file F`
"""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request

from deploy.sandbox import parcels
from deploy.sandbox.desk import Body, Field, Settings, Trade, Tx, bodies, main
from deploy.sandbox.desk.bodies import integer, nested, one_of, optional, read, text
from deploy.sandbox.desk.desk import desk, json_body, shown
from deploy.sandbox.desk.doors import build, query, query_one, query_page

PLACE = {"country": Field(text(2, r"[A-Z]{2}")), "city": Field(text(60))}
PARCEL = {"weight_g": Field(integer(1, 70_000)), "size": Field(one_of("S", "M", "L", "XL"))}
CASH = {"amount": Field(bodies.money), "currency": Field(bodies.currency)}


def _parcels(value: Any) -> list[Body]:
    if not isinstance(value, list) or not 1 <= len(value) <= 50:
        raise ValueError("must be a list of 1 to 50 parcels")
    return [nested(PARCEL)(parcel) for parcel in value]


SHIPMENT = {
    "reference": Field(bodies.reference),
    "service": Field(one_of(*parcels.SERVICES)),
    "origin": Field(nested(PLACE)),
    "destination": Field(nested(PLACE)),
    "parcels": Field(_parcels),
    "label_payload": optional(text(2000)),
    "cod": optional(nested(CASH)),
}
SCAN = {
    "location": optional(text(100)),
    "signed_by": optional(text(60)),
    "reason": optional(text()),
    "amount": optional(bodies.money),
    "method": optional(one_of("cash", "qr_at_door"), "cash"),
    "courier": optional(text(60)),
}
KINDS: dict[str, dict[str, Field]] = {
    "wrong_cash": {"delta": optional(integer(-bodies.LARGEST), -100)},
}


def create_shipment() -> Response:
    """POST /v1/shipments: 201 and the booked shipment with its tracking number and label."""
    return desk().once(SHIPMENT, parcels.create)


def get_shipment(shipment_id: str) -> Response:
    """GET /v1/shipments/{id}."""
    with desk().transaction() as tx:
        return shown(parcels.shown(parcels.get(tx, "id", shipment_id)))


def list_shipments() -> Response:
    """GET /v1/shipments?reference= or ?idempotency_key=: what became of a booking not answered."""
    with desk().transaction() as tx:
        rows = tx.find("shipments", **query_one("reference", "idempotency_key"))
        return shown({"items": [parcels.shown(row) for row in rows]})


def cancel_shipment(shipment_id: str) -> Response:
    """POST /v1/shipments/{id}/cancel: 200; 409 `already_collected` once it was handed over."""
    with desk().transaction() as tx:
        return shown(parcels.cancel(tx, parcels.get(tx, "id", shipment_id)))


def get_tracking(tracking_no: str) -> Response:
    """GET /v1/tracking/{tracking_no}: the shipment's status and every scan."""
    with desk().transaction() as tx:
        return shown(parcels.tracking(tx, parcels.get(tx, "tracking_no", tracking_no)))


def get_label(label_ref: str) -> Response:
    """GET /v1/labels/{ref}: the label as SVG."""
    with desk().transaction() as tx:
        row = parcels.get(tx, "label_ref", label_ref)
    return Response(parcels.label(row), content_type="image/svg+xml")


def get_rates() -> Response:
    """GET /v1/rates?origin=&destination=&weight_g=: what each service would cost."""
    number = Field(lambda value: integer(1, 3_500_000)(int(value)))
    asked = query(origin=Field(text(60)), destination=Field(text(60)), weight_g=number)
    near = asked["origin"] == asked["destination"]
    return shown({"items": parcels.rates(near, asked["weight_g"])})


def get_book() -> Response:
    """GET /v1/book?after=&limit=: every shipment with the cash taken, for reconciliation."""
    with desk().transaction() as tx:
        return shown(parcels.book(tx, *query_page()))


def report(tracking_no: str, deed: str) -> Response:
    """POST /courier/{tracking_no}/{deed}: what the courier does; 200 and the tracking."""
    given = read(SCAN, json_body() if request.content_length else {})
    with desk().transaction() as tx:
        row = parcels.get(tx, "tracking_no", tracking_no)
        return shown(parcels.move(tx, row, deed, given))


ROUTES = (
    ("POST", "/v1/shipments", create_shipment),
    ("GET", "/v1/shipments", list_shipments),
    ("GET", "/v1/shipments/<shipment_id>", get_shipment),
    ("POST", "/v1/shipments/<shipment_id>/cancel", cancel_shipment),
    ("GET", "/v1/tracking/<tracking_no>", get_tracking),
    ("GET", "/v1/labels/<label_ref>", get_label),
    ("GET", "/v1/rates", get_rates),
    ("GET", "/v1/book", get_book),
    ("POST", "/courier/<tracking_no>/<deed>", report),
)


def _subject(tx: Tx, path: Mapping[str, Any], body: Any) -> tuple[str, int]:
    """The merchant's reference and the cash to collect (0 if none) that a call is about."""
    if path:
        ((name, value),) = path.items()
        rows = tx.find("shipments", **{"id" if name == "shipment_id" else name: value})
        return (rows[0]["reference"], rows[0]["cod_amount"] or 0) if rows else ("", 0)
    given = body if isinstance(body, dict) else {}
    cod = given.get("cod")
    amount = cod.get("amount", 0) if isinstance(cod, dict) else 0
    return str(given.get("reference", "")), amount if isinstance(amount, int) else 0


TRADE = Trade("carrier", parcels.SCHEMA, KINDS, lambda tx: None, lambda tx: None, _subject, bundles=True)


def create_app(settings: Settings) -> Flask:
    """The carrier as an app; RuntimeError where CARAVAN_ENV is production."""
    return build(TRADE, settings, ROUTES)


if __name__ == "__main__":
    main(create_app, "A fake carrier.")
