"""The provider's rules: charges, captures and refunds, each move inside the caller's transaction.

A charge is `pending`, then `paid`, `failed` or `closed`, whichever came first. Money is a row of its own: a
capture, with a transaction number (`txn`) that occurs once. A refund is of one capture and never exceeds it.
"""

import json
import secrets
from typing import Any

from deploy.sandbox.desk import Body, Json, Refusal, Tx, clock, postman, switches

SCHEMA = """
CREATE TABLE IF NOT EXISTS charges (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, merchant_reference TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE, method TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL, status TEXT NOT NULL, display TEXT NOT NULL, return_url TEXT,
    expires_at TEXT NOT NULL, created_at TEXT NOT NULL, paid_at TEXT, closed_at TEXT, close_reason TEXT,
    failure_code TEXT) STRICT;
CREATE INDEX IF NOT EXISTS charges_by_reference ON charges (merchant_reference);
CREATE INDEX IF NOT EXISTS charges_by_expiry ON charges (expires_at) WHERE status = 'pending';
CREATE TABLE IF NOT EXISTS captures (
    n INTEGER PRIMARY KEY AUTOINCREMENT, txn TEXT NOT NULL UNIQUE,
    charge TEXT NOT NULL REFERENCES charges (id), amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL, captured_at TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS captures_by_charge ON captures (charge);
CREATE TABLE IF NOT EXISTS refunds (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    charge TEXT NOT NULL REFERENCES charges (id), capture TEXT NOT NULL REFERENCES captures (txn),
    merchant_reference TEXT NOT NULL, refund_reference TEXT NOT NULL, idempotency_key TEXT NOT NULL UNIQUE,
    amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, reason TEXT, status TEXT NOT NULL,
    failure_code TEXT, created_at TEXT NOT NULL, settle_at TEXT, settled_at TEXT) STRICT;
CREATE INDEX IF NOT EXISTS refunds_by_charge ON refunds (charge);
CREATE INDEX IF NOT EXISTS refunds_by_settling ON refunds (settle_at) WHERE status = 'pending';
"""
DISPLAYS = {"alipay_qr": "qr", "wechat_qr": "qr", "card_redirect": "redirect", "bank_form": "form"}


def sweep(tx: Tx) -> None:
    """Close what has expired and settle the refunds whose time has come."""
    for row in tx.all("SELECT * FROM charges WHERE status = 'pending' AND expires_at <= ?", tx.now):
        _close(tx, row, "expired")
    for row in tx.all("SELECT * FROM refunds WHERE status = 'pending' AND settle_at <= ?", tx.now):
        settle(tx, row, None)


def next_due(tx: Tx) -> str | None:
    """When the next charge expires or the next refund settles."""
    row = tx.one(
        "SELECT min(at) AS at FROM (SELECT min(expires_at) AS at FROM charges WHERE status = 'pending'"
        " UNION ALL SELECT min(settle_at) FROM refunds WHERE status = 'pending')"
    )
    return row["at"] if row else None


def get(tx: Tx, charge_id: str) -> Body:
    """The charge's row; 404 `charge_not_found`."""
    row = tx.one("SELECT * FROM charges WHERE id = ?", charge_id)
    if row is None:
        raise Refusal(404, "charge_not_found", "There is no such charge.")
    return row


def create(tx: Tx, wish: Body, key: str, pages: str) -> Json:
    """A new pending charge, whose payment page will be at `pages/<id>`; 422 `already_expired`."""
    if wish["expires_at"] <= tx.now:
        raise Refusal(422, "already_expired", f"expires_at is not after the provider's time, {tx.now}.")
    charge_id = f"ch_{secrets.token_hex(12)}"
    display = {"kind": DISPLAYS[wish["method"]], "value": f"{pages}/{charge_id}"}
    tx.add(
        "charges",
        id=charge_id,
        idempotency_key=key,
        status="pending",
        display=json.dumps(display),
        created_at=tx.now,
        **wish,
    )
    tx.wake = True  # there is a new expiry to look out for
    return shown(tx, get(tx, charge_id))


def close(tx: Tx, charge: Body) -> Json:
    """Close it unless something else came first; either way the true state."""
    if charge["status"] == "pending":
        _close(tx, charge, "merchant")
    return shown(tx, get(tx, charge["id"]))


def _close(tx: Tx, charge: Body, reason: str) -> None:
    tx.change("charges", charge["n"], status="closed", closed_at=tx.now, close_reason=reason)
    _tell(tx, "charge.closed", charge)


def pay(tx: Tx, charge: Body, outcome: str) -> Json:
    """The buyer pays, or is declined; 409 `charge_paid`, `charge_closed` or `charge_failed`.

    Paying what is closed or paid already is possible only by the switches `after_close` and
    `duplicate_capture`; the charge then says `paid` and shows one capture more.
    """

    def switch(kind: str) -> Body | None:
        return switches.used(tx, kind, "pay", charge["merchant_reference"], charge["amount"])

    status = charge["status"]
    loophole = {"closed": "after_close", "paid": "duplicate_capture"}.get(status)
    if status != "pending" and (loophole is None or switch(loophole) is None):
        raise Refusal(409, f"charge_{status}", f"This charge is {status}.")
    declined = {"code": "card_declined"} if outcome == "decline" else switch("decline")
    if declined is not None:
        if status == "pending":
            tx.change("charges", charge["n"], status="failed", failure_code=declined["code"])
            _tell(tx, "charge.failed", charge)
        return shown(tx, get(tx, charge["id"]))
    amount = max(1, charge["amount"] + (switch("wrong_amount") or {"delta": 0})["delta"])
    currency = (switch("wrong_currency") or charge)["currency"]
    txn = f"tx_{secrets.token_hex(12)}"
    capture = {"txn": txn, "amount": amount, "currency": currency, "captured_at": tx.now}
    tx.add("captures", charge=charge["id"], **capture)
    tx.change("charges", charge["n"], status="paid", paid_at=charge["paid_at"] or tx.now)
    _tell(tx, "charge.succeeded", charge, capture=capture)
    return shown(tx, get(tx, charge["id"]))


def refund(tx: Tx, wish: Body, key: str) -> Json:
    """Give money of one capture back, the first if none is named.

    409 `charge_not_paid`; 404 `capture_not_found`; 422 `currency_mismatch`; 422 `refund_exceeds_captured`
    with the amount still `refundable`.
    """
    charge = get(tx, wish["charge"])
    captures = tx.find("captures", charge=charge["id"])
    if not captures:
        raise Refusal(409, "charge_not_paid", "There is no money to give back.")
    capture = next((row for row in captures if wish["capture"] in (None, row["txn"])), None)
    if capture is None:
        raise Refusal(404, "capture_not_found", "This charge has no such capture.")
    if wish["currency"] != capture["currency"]:
        raise Refusal(422, "currency_mismatch", f"The capture is in {capture['currency']}.")
    given = tx.find("refunds", charge=charge["id"], capture=capture["txn"])
    refundable = capture["amount"] - sum(row["amount"] for row in given if row["status"] != "failed")
    if wish["amount"] > refundable:
        raise Refusal(422, "refund_exceeds_captured", f"{refundable} can be refunded.", refundable=refundable)
    refund_id = f"re_{secrets.token_hex(12)}"
    tx.add(
        "refunds",
        **wish | {"capture": capture["txn"]},
        id=refund_id,
        idempotency_key=key,
        status="pending",
        merchant_reference=charge["merchant_reference"],
        created_at=tx.now,
    )
    return shown_refund(_start(tx, get_refund(tx, refund_id)))


def _start(tx: Tx, row: Body) -> Body:
    """Settle at once, or leave it pending where a switch says so."""
    subject = ("refund", row["merchant_reference"], row["amount"])
    if (pending := switches.used(tx, "refund_pending", *subject)) is None:
        failed = switches.used(tx, "refund_fail", *subject)
        return settle(tx, row, failed["code"] if failed is not None else None)
    if pending["seconds"] is not None:
        settle_at = clock.stamp(tx.now_ms + round(pending["seconds"] * 1000))
        tx.change("refunds", row["n"], settle_at=settle_at)
        tx.wake = True
    return get_refund(tx, row["id"])


def settle(tx: Tx, row: Body, failure_code: str | None) -> Body:
    """End a pending refund, well or not; 409 `refund_settled` when it has ended."""
    if row["status"] != "pending":
        raise Refusal(409, "refund_settled", f"This refund has {row['status']}.")
    status = "failed" if failure_code else "succeeded"
    tx.change("refunds", row["n"], status=status, failure_code=failure_code, settled_at=tx.now)
    ended = get_refund(tx, row["id"])
    postman.post(tx, f"refund.{status}", row["merchant_reference"], row["amount"], shown_refund(ended))
    return ended


def get_refund(tx: Tx, refund_id: str) -> Body:
    """The refund's row; 404 `refund_not_found`."""
    row = tx.one("SELECT * FROM refunds WHERE id = ?", refund_id)
    if row is None:
        raise Refusal(404, "refund_not_found", "There is no such refund.")
    return row


def book(tx: Tx, after: int, limit: int) -> Json:
    """A page of every charge with its money, oldest first, and the totals of the whole book."""
    rows, more = tx.page("charges", after, limit)
    items = [
        shown(tx, row) | {"refunds": [shown_refund(back) for back in tx.find("refunds", charge=row["id"])]}
        for row in rows
    ]
    captured = tx.all("SELECT currency, sum(amount) AS amount FROM captures GROUP BY currency")
    refunded = tx.all(
        "SELECT currency, sum(amount) AS amount FROM refunds WHERE status = 'succeeded' GROUP BY currency"
    )
    totals = {"captured": _sums(captured), "refunded": _sums(refunded)}
    return {"items": items, "next": more, "totals": totals}


def shown(tx: Tx, row: Body) -> Json:
    """A charge as the merchant sees it; sums are minor units by currency."""
    captures = tx.all("SELECT txn, amount, currency, captured_at FROM captures WHERE charge = ? ORDER BY n", row["id"])
    refunds = tx.find("refunds", charge=row["id"], status="succeeded") if captures else []
    charge = {name: value for name, value in row.items() if name != "n"}
    return charge | {
        "display": json.loads(row["display"]),
        "captures": captures,
        "captured": _sums(captures),
        "refunded": _sums(refunds),
    }


def shown_refund(row: Body) -> Json:
    """A refund as the merchant sees it."""
    return {name: value for name, value in row.items() if name not in ("n", "settle_at")}


def _sums(rows: list[Body]) -> dict[str, int]:
    """Minor units by currency."""
    sums: dict[str, int] = {}
    for row in rows:
        sums[row["currency"]] = sums.get(row["currency"], 0) + row["amount"]
    return sums


def _tell(tx: Tx, event_type: str, charge: Body, **more: Any) -> None:
    data = shown(tx, get(tx, charge["id"])) | more
    postman.post(tx, event_type, charge["merchant_reference"], charge["amount"], data)
