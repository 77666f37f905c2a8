"""The provider's payouts: money sent to a bank account that the merchant names.

A payout is `pending`, then `succeeded` with the bank's reference, or `failed`; there is no way back. Of the account
only its last four characters are kept.
"""

import secrets

from deploy.sandbox.desk import Body, Json, Refusal, Tx, clock, postman, switches

SCHEMA = """
CREATE TABLE IF NOT EXISTS payouts (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, merchant_reference TEXT NOT NULL UNIQUE,
    idempotency_key TEXT NOT NULL UNIQUE, amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL,
    account_ending TEXT NOT NULL, status TEXT NOT NULL, bank_ref TEXT, failure_code TEXT, created_at TEXT NOT NULL,
    settle_at TEXT, settled_at TEXT) STRICT;
CREATE INDEX IF NOT EXISTS payouts_by_settling ON payouts (settle_at) WHERE status = 'pending';
"""


def sweep(tx: Tx) -> None:
    """Settle the payouts whose time has come."""
    for row in tx.all("SELECT * FROM payouts WHERE status = 'pending' AND settle_at <= ?", tx.now):
        settle(tx, row, None)


def next_due(tx: Tx) -> str | None:
    """When the next payout settles."""
    row = tx.one("SELECT min(settle_at) AS at FROM payouts WHERE status = 'pending'")
    return row["at"] if row else None


def create(tx: Tx, wish: Body, key: str) -> Json:
    """Send money; 409 `payout_exists` when another call used the same reference."""
    if tx.find("payouts", merchant_reference=wish["merchant_reference"]):
        raise Refusal(409, "payout_exists", "This reference has a payout already.")
    payout_id = f"po_{secrets.token_hex(12)}"
    money = {name: wish[name] for name in ("merchant_reference", "amount", "currency")}
    tx.add(
        "payouts", **money, id=payout_id, idempotency_key=key, account_ending=wish["account"]["number"][-4:],
        status="pending", created_at=tx.now,
    )  # fmt: skip
    return shown(_start(tx, get(tx, payout_id)))


def _start(tx: Tx, row: Body) -> Body:
    """Settle at once, or leave it pending where a switch says so."""
    subject = ("payout", row["merchant_reference"], row["amount"])
    if (pending := switches.used(tx, "payout_pending", *subject)) is None:
        failed = switches.used(tx, "payout_fail", *subject)
        return settle(tx, row, failed["code"] if failed is not None else None)
    if pending["seconds"] is not None:
        tx.change("payouts", row["n"], settle_at=clock.stamp(tx.now_ms + round(pending["seconds"] * 1000)))
        tx.wake = True
    return get(tx, row["id"])


def settle(tx: Tx, row: Body, failure_code: str | None) -> Body:
    """End a pending payout, well or not; 409 `payout_settled` when it has ended."""
    if row["status"] != "pending":
        raise Refusal(409, "payout_settled", f"This payout has {row['status']}.")
    status = "failed" if failure_code else "succeeded"
    bank_ref = None if failure_code else f"bk_{secrets.token_hex(8)}"
    tx.change(
        "payouts", row["n"], status=status, failure_code=failure_code, bank_ref=bank_ref, settled_at=tx.now
    )  # fmt: skip
    ended = get(tx, row["id"])
    postman.post(tx, f"payout.{status}", row["merchant_reference"], row["amount"], shown(ended))
    return ended


def get(tx: Tx, payout_id: str) -> Body:
    """The payout's row; 404 `payout_not_found`."""
    row = tx.one("SELECT * FROM payouts WHERE id = ?", payout_id)
    if row is None:
        raise Refusal(404, "payout_not_found", "There is no such payout.")
    return row


def total(tx: Tx) -> dict[str, int]:
    """What was paid out, minor units by currency."""
    rows = tx.all("SELECT currency, sum(amount) AS amount FROM payouts WHERE status = 'succeeded' GROUP BY currency")
    return {row["currency"]: row["amount"] for row in rows}


def shown(row: Body) -> Json:
    """A payout as the merchant sees it."""
    return {name: value for name, value in row.items() if name not in ("n", "settle_at")}
