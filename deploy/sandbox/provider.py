"""A fake payment provider, as strict as a real one: its HTTP doors. `README.md` is the protocol.

`python -m deploy.sandbox.provider --port N --home DIR --callback-url URL --secret-file F`
"""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, redirect, render_template_string, request
from werkzeug.wrappers import Response as AnyResponse

from deploy.sandbox import charges, payouts
from deploy.sandbox.desk import Field, Settings, Trade, Tx, bodies, main
from deploy.sandbox.desk.bodies import integer, nested, one_of, optional, read, text
from deploy.sandbox.desk.desk import desk, json_body, shown
from deploy.sandbox.desk.doors import build, query_one, query_page

CHARGE = {
    "merchant_reference": Field(bodies.reference),
    "method": Field(one_of(*charges.DISPLAYS)),
    "amount": Field(bodies.money),
    "currency": Field(bodies.currency),
    "expires_at": Field(bodies.moment),
    "return_url": optional(bodies.web_address),
}
REFUND = {
    "charge": Field(bodies.reference),
    "capture": optional(bodies.reference),
    "refund_reference": Field(bodies.reference),
    "amount": Field(bodies.money),
    "currency": Field(bodies.currency),
    "reason": optional(text()),
}
ACCOUNT = {"holder": Field(text(120)), "bank": Field(text(120)), "number": Field(text(34, r"[A-Z0-9]{8,34}"))}
PAYOUT = {
    "merchant_reference": Field(bodies.reference),
    "amount": Field(bodies.money),
    "currency": Field(bodies.currency),
    "account": Field(nested(ACCOUNT)),
}
OUTCOME = {"outcome": Field(one_of("succeed", "decline"))}
KINDS: dict[str, dict[str, Field]] = {
    "decline": {"code": optional(bodies.reference, "card_declined")},
    "wrong_amount": {"delta": optional(integer(-bodies.LARGEST), -1)},
    "wrong_currency": {"currency": optional(bodies.currency, "USD")},
    "after_close": {},
    "duplicate_capture": {},
    "refund_fail": {"code": optional(bodies.reference, "channel_refused")},
    "refund_pending": {"seconds": optional(bodies.seconds(10**8))},
    "payout_fail": {"code": optional(bodies.reference, "account_refused")},
    "payout_pending": {"seconds": optional(bodies.seconds(10**8))},
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox payment</title>
<h1>Sandbox payment</h1><p>{{ charge.merchant_reference }}: {{ charge.amount }} {{ charge.currency }}
(minor units), {{ charge.status }}</p>{% if charge.status == "pending" %}
<form method="post"><button name="outcome" value="succeed">Pay</button>
<button name="outcome" value="decline">Decline</button></form>{% endif %}</html>"""


def create_charge() -> Response:
    """POST /v1/charges: 201 and the pending charge."""
    pages = (desk().settings.public_url or request.host_url).rstrip("/") + "/pay"
    return desk().once(CHARGE, lambda tx, wish, key: charges.create(tx, wish, key, pages))


def get_charge(charge_id: str) -> Response:
    """GET /v1/charges/{id}."""
    with desk().transaction() as tx:
        return shown(charges.shown(tx, charges.get(tx, charge_id)))


def list_charges() -> Response:
    """GET /v1/charges?merchant_reference= or ?idempotency_key=: what became of a charge not answered."""
    with desk().transaction() as tx:
        rows = _found(tx, "charges", "merchant_reference", "idempotency_key")
        return shown({"items": [charges.shown(tx, row) for row in rows]})


def close_charge(charge_id: str) -> Response:
    """POST /v1/charges/{id}/close: 200 and the charge in its true state."""
    with desk().transaction() as tx:
        return shown(charges.close(tx, charges.get(tx, charge_id)))


def create_refund() -> Response:
    """POST /v1/refunds: 201 and the refund, settled or pending."""
    return desk().once(REFUND, charges.refund)


def get_refund(refund_id: str) -> Response:
    """GET /v1/refunds/{id}."""
    with desk().transaction() as tx:
        return shown(charges.shown_refund(charges.get_refund(tx, refund_id)))


def list_refunds() -> Response:
    """GET /v1/refunds?idempotency_key=, ?refund_reference= or ?charge=."""
    with desk().transaction() as tx:
        rows = _found(tx, "refunds", "idempotency_key", "refund_reference", "charge")
        return shown({"items": [charges.shown_refund(row) for row in rows]})


def create_payout() -> Response:
    """POST /v1/payouts: 201 and the payout, settled or pending."""
    return desk().once(PAYOUT, payouts.create)


def get_payout(payout_id: str) -> Response:
    """GET /v1/payouts/{id}."""
    with desk().transaction() as tx:
        return shown(payouts.shown(payouts.get(tx, payout_id)))


def list_payouts() -> Response:
    """GET /v1/payouts?idempotency_key= or ?merchant_reference=: what became of a payout not answered."""
    with desk().transaction() as tx:
        rows = _found(tx, "payouts", "idempotency_key", "merchant_reference")
        return shown({"items": [payouts.shown(row) for row in rows]})


def _found(tx: Tx, table: str, *columns: str) -> list[dict[str, Any]]:
    """The rows with the one value that the query string asks for, oldest first."""
    return tx.find(table, **query_one(*columns))


def get_book() -> Response:
    """GET /v1/book?after=&limit=: everything, for reconciliation."""
    with desk().transaction() as tx:
        page = charges.book(tx, *query_page())
        return shown(page | {"totals": page["totals"] | {"paid_out": payouts.total(tx)}})


def get_payment_page(charge_id: str) -> str:
    """GET /pay/{id}: what the buyer is shown."""
    with desk().transaction() as tx:
        return render_template_string(PAGE, charge=charges.get(tx, charge_id))


def pay(charge_id: str) -> AnyResponse:
    """POST /pay/{id}: the buyer decides. JSON in, JSON out; a form leads back to the shop."""
    given = json_body() if request.is_json else request.form.to_dict()
    outcome = read(OUTCOME, given)["outcome"]
    with desk().transaction() as tx:
        charge = charges.pay(tx, charges.get(tx, charge_id), outcome)
    if not request.is_json:
        return redirect(charge["return_url"] or request.path, 303)
    return shown({name: charge[name] for name in ("id", "status", "failure_code", "captured")})


def settle_refund(refund_id: str) -> Response:
    """POST /sandbox/refunds/{id}/settle {outcome}: end a refund that `refund_pending` keeps open."""
    outcome = read(OUTCOME, json_body())["outcome"]
    with desk().transaction() as tx:
        failure = "channel_refused" if outcome == "decline" else None
        return shown(charges.shown_refund(charges.settle(tx, charges.get_refund(tx, refund_id), failure)))


def settle_payout(payout_id: str) -> Response:
    """POST /sandbox/payouts/{id}/settle {outcome}: end a payout that `payout_pending` keeps open."""
    outcome = read(OUTCOME, json_body())["outcome"]
    with desk().transaction() as tx:
        failure = "account_refused" if outcome == "decline" else None
        return shown(payouts.shown(payouts.settle(tx, payouts.get(tx, payout_id), failure)))


ROUTES = (
    ("POST", "/v1/charges", create_charge),
    ("GET", "/v1/charges", list_charges),
    ("GET", "/v1/charges/<charge_id>", get_charge),
    ("POST", "/v1/charges/<charge_id>/close", close_charge),
    ("POST", "/v1/refunds", create_refund),
    ("GET", "/v1/refunds", list_refunds),
    ("GET", "/v1/refunds/<refund_id>", get_refund),
    ("POST", "/v1/payouts", create_payout),
    ("GET", "/v1/payouts", list_payouts),
    ("GET", "/v1/payouts/<payout_id>", get_payout),
    ("GET", "/v1/book", get_book),
    ("GET", "/pay/<charge_id>", get_payment_page),
    ("POST", "/pay/<charge_id>", pay),
    ("POST", "/sandbox/refunds/<refund_id>/settle", settle_refund),
    ("POST", "/sandbox/payouts/<payout_id>/settle", settle_payout),
)


def _subject(tx: Tx, path: Mapping[str, Any], body: Any) -> tuple[str, int]:
    """The merchant's reference and the amount a call is about; empty where it names none."""
    given = body if isinstance(body, dict) else {}
    charge_id = path.get("charge_id") or given.get("charge")
    row: Mapping[str, Any] = {}
    for table, known in (
        ("charges", charge_id),
        ("refunds", path.get("refund_id")),
        ("payouts", path.get("payout_id")),
    ):
        if known and not row:
            row = tx.one(f"SELECT merchant_reference, amount FROM {table} WHERE id = ?", str(known)) or {}  # noqa: S608
    about = {**row, **{name: given[name] for name in ("merchant_reference", "amount") if name in given}}
    amount = about.get("amount", 0)
    return str(about.get("merchant_reference", "")), amount if isinstance(amount, int) else 0


def _sweep(tx: Tx) -> None:
    charges.sweep(tx)
    payouts.sweep(tx)


def _next_due(tx: Tx) -> str | None:
    return min((due for due in (charges.next_due(tx), payouts.next_due(tx)) if due), default=None)


TRADE = Trade("provider", charges.SCHEMA + payouts.SCHEMA, KINDS, _sweep, _next_due, _subject)


def create_app(settings: Settings) -> Flask:
    """The provider as an app; RuntimeError where CARAVAN_ENV is production."""
    return build(TRADE, settings, ROUTES)


if __name__ == "__main__":
    main(create_app, "A fake payment provider.")
