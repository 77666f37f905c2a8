"""The carrier's rules: bookings, the courier's deeds in their order, labels, rates, cash at the door."""

import json
import secrets
from html import escape
from typing import Any

from deploy.sandbox.desk import Body, Json, Refusal, Tx, clock, postman, switches

SCHEMA = """
CREATE TABLE IF NOT EXISTS shipments (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tracking_no TEXT NOT NULL UNIQUE,
    label_ref TEXT NOT NULL UNIQUE, reference TEXT NOT NULL, idempotency_key TEXT NOT NULL UNIQUE,
    service TEXT NOT NULL, origin TEXT NOT NULL, destination TEXT NOT NULL, parcels TEXT NOT NULL,
    label_payload TEXT, cod_amount INTEGER, cod_currency TEXT, status TEXT NOT NULL, eta TEXT NOT NULL,
    created_at TEXT NOT NULL, cash TEXT) STRICT;
CREATE INDEX IF NOT EXISTS shipments_by_reference ON shipments (reference);
CREATE TABLE IF NOT EXISTS scans (
    tracking_no TEXT NOT NULL REFERENCES shipments (tracking_no), sequence INTEGER NOT NULL,
    type TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (tracking_no, sequence)) STRICT;
"""
DAY_MS = 24 * 3600 * 1000
# service: (first kilogram, each further one begun, in CNY fen; days). In one city: half, a day less.
SERVICES = {"economy": (800, 200, 5), "standard": (1200, 300, 3), "express": (2200, 800, 2)}

# What the courier may do: deed -> {status before: status after}. What is not listed is refused.
MOVES: dict[str, dict[str, str]] = {
    "collect": {"booked": "collected"},
    "scan": {
        "collected": "in_transit",
        "in_transit": "in_transit",
        "out_for_delivery": "in_transit",
        "delivery_failed": "in_transit",
        "refused": "returning",
        "returning": "returning",
    },
    "out-for-delivery": dict.fromkeys(("collected", "in_transit", "delivery_failed"), "out_for_delivery"),
    "deliver": {"out_for_delivery": "delivered"},
    "fail": {"out_for_delivery": "delivery_failed"},
    "refuse": {"out_for_delivery": "refused"},
    "return": dict.fromkeys(("delivery_failed", "refused", "returning"), "returned"),
    "lose": dict.fromkeys(
        ("collected", "in_transit", "out_for_delivery", "delivery_failed", "refused", "returning"), "lost"
    ),
    "collect-cash": {"out_for_delivery": "out_for_delivery", "delivered": "delivered"},
}
TYPES = {
    "deliver": "delivered",
    "fail": "delivery_failed",
    "refuse": "refused",
    "return": "returned_to_sender",
    "lose": "lost",
    "collect-cash": "cash_collected",
}  # every other deed: tracking.updated


def create(tx: Tx, wish: Body, key: str) -> Json:
    """A booked shipment."""
    cod = wish.pop("cod") or {"amount": None, "currency": None}
    near = wish["origin"] == wish["destination"]
    shipment_id = f"sh_{secrets.token_hex(12)}"
    packed = {name: json.dumps(wish[name]) for name in ("origin", "destination", "parcels")}
    eta = clock.stamp(tx.now_ms + _days(wish["service"], near) * DAY_MS)
    tx.add(
        "shipments",
        **wish | packed,
        id=shipment_id,
        tracking_no=f"SBX{secrets.randbelow(10**12):012d}",
        label_ref=f"lb_{secrets.token_hex(12)}",
        idempotency_key=key,
        cod_amount=cod["amount"],
        cod_currency=cod["currency"],
        status="booked",
        eta=eta,
        created_at=tx.now,
    )
    return shown(get(tx, "id", shipment_id))


def get(tx: Tx, column: str, value: str) -> Body:
    """The shipment's row by `id`, `tracking_no` or `label_ref`; 404 `shipment_not_found`."""
    rows = tx.find("shipments", **{column: value})
    if not rows:
        raise Refusal(404, "shipment_not_found", "There is no such shipment.")
    return rows[0]


def cancel(tx: Tx, row: Body) -> Json:
    """Cancelled, now or before; 409 `already_collected` with the true status once it was handed over."""
    if row["status"] not in ("booked", "cancelled"):
        raise Refusal(409, "already_collected", f"This shipment is {row['status']}.", status=row["status"])
    tx.change("shipments", row["n"], status="cancelled")
    return shown(get(tx, "id", row["id"]))


def move(tx: Tx, row: Body, deed: str, given: Body) -> Json:
    """The courier does something, and the merchant is told.

    404 `unknown_deed`; 409 `out_of_order` with the status and the deeds possible in it; 409 `no_cash_due`.
    """
    if deed not in MOVES:
        raise Refusal(404, "unknown_deed", f"A courier can {', '.join(MOVES)}.")
    before = row["status"]
    if before not in MOVES[deed]:
        possible = [name for name, moves in MOVES.items() if before in moves]
        raise Refusal(409, "out_of_order", f"Not when {before}.", status=before, possible=possible)
    after = MOVES[deed][before]
    cash = _take_cash(tx, row, given) if deed == "collect-cash" else None
    tx.change("shipments", row["n"], status=after, cash=json.dumps(cash) if cash else row["cash"])
    last = tx.one("SELECT max(sequence) AS n FROM scans WHERE tracking_no = ?", row["tracking_no"])
    data: Json = {
        "shipment": row["id"],
        "reference": row["reference"],
        "tracking_no": row["tracking_no"],
        "sequence": ((last and last["n"]) or 0) + 1,
        "status": after,
        "location": given["location"],
        "at": tx.now,
        "signed_by": given["signed_by"],
        "reason": given["reason"],
        "cash": cash,
    }
    event_type = TYPES.get(deed, "tracking.updated")
    scan = {"tracking_no": row["tracking_no"], "sequence": data["sequence"]}
    tx.add("scans", type=event_type, data=json.dumps(data), **scan)
    postman.post(tx, event_type, row["reference"], row["cod_amount"] or 0, data)
    return tracking(tx, get(tx, "id", row["id"]))


def _take_cash(tx: Tx, row: Body, given: Body) -> Json:
    """What the courier took; 409 `no_cash_due` when nothing is to be collected, or no longer."""
    if row["cod_amount"] is None or row["cash"] is not None:
        raise Refusal(409, "no_cash_due", "There is no cash to collect, or it was collected.")
    wrong = switches.used(tx, "wrong_cash", "collect-cash", row["reference"], row["cod_amount"])
    amount = (given["amount"] or row["cod_amount"]) + (wrong or {"delta": 0})["delta"]
    return {
        "amount": max(1, amount),
        "currency": row["cod_currency"],
        "method": given["method"],
        "courier": given["courier"],
    }


def tracking(tx: Tx, row: Body) -> Json:
    """The status and every scan so far, in order: the callbacks' `data` with their `type`."""
    scans = tx.all("SELECT type, data FROM scans WHERE tracking_no = ? ORDER BY sequence", row["tracking_no"])
    return {
        "tracking_no": row["tracking_no"],
        "shipment": row["id"],
        "reference": row["reference"],
        "status": row["status"],
        "eta": row["eta"],
        "scans": [{"type": scan["type"], **json.loads(scan["data"])} for scan in scans],
    }


def shown(row: Body) -> Json:
    """A shipment as the merchant sees it."""
    packed = ("origin", "destination", "parcels", "cash")
    unpacked = {name: row[name] and json.loads(row[name]) for name in packed}
    cod = row["cod_amount"] and {"amount": row["cod_amount"], "currency": row["cod_currency"]}
    hidden = ("n", "label_payload", "cod_amount", "cod_currency")
    return {name: value for name, value in row.items() if name not in hidden} | unpacked | {"cod": cod}


def rates(near: bool, weight_g: int) -> list[Json]:
    """Each service with its price in CNY fen and its days."""
    further = max(0, -(-weight_g // 1000) - 1)
    prices = {name: first + further * more for name, (first, more, _) in SERVICES.items()}
    return [
        {"service": name, "amount": price // (2 if near else 1), "currency": "CNY", "days": _days(name, near)}
        for name, price in prices.items()
    ]


def _days(service: str, near: bool) -> int:
    return SERVICES[service][2] - (1 if near else 0)


def book(tx: Tx, after: int, limit: int) -> Json:
    """A page of every shipment, oldest first, and the cash taken at doors in the whole book, by currency."""
    rows, more = tx.page("shipments", after, limit)
    sums = tx.all(
        "SELECT cod_currency AS currency, sum(json_extract(cash, '$.amount')) AS n FROM shipments"
        " WHERE cash IS NOT NULL GROUP BY cod_currency"
    )
    return {
        "items": [shown(row) for row in rows],
        "next": more,
        "totals": {"cash_collected": {row["currency"]: row["n"] for row in sums}},
    }


def label(row: Body) -> str:
    """A small SVG with the tracking number, the two cities and the merchant's own opaque text."""
    places: list[Any] = [json.loads(row[name])["city"] for name in ("origin", "destination")]
    lines = [row["tracking_no"], f"{row['service']}: {' > '.join(places)}", row["label_payload"] or ""]
    texts = "".join(f'<text x="10" y="{30 + 30 * n}">{escape(line)}</text>' for n, line in enumerate(lines))
    frame = 'xmlns="http://www.w3.org/2000/svg" width="400" height="120" font-family="monospace"'
    return f"<svg {frame}>{texts}</svg>"
