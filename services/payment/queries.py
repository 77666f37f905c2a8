"""What can be looked up: payments, escrow, refunds, balances, the books as a whole, and risk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from services.payment import store
from services.payment.domain import books
from services.payment.domain.model import Attempt, Payment, Refund, Split
from services.payment.domain.payouts import ACCOUNT_FIELD, Payout
from services.payment.domain.refusals import (
    NoSuchAssessment,
    NoSuchEscrow,
    NoSuchPayment,
    NoSuchPayout,
    NoSuchPayoutAccount,
)
from services.payment.domain.risk import RULES
from shared.storage.vault import Erased
from shared.web.auth import OPERATOR, Principal
from shared.web.door import Reading, page

View = dict[str, Any]


# -------------------------------------------------------------------------------------------------- payments
def payment(reading: Reading, who: Principal, payment_id: str) -> View:
    """One payment, for its buyer and operators. Raises NoSuchPayment."""
    table = store.payments.table
    found = _payments(reading, table.c.payment_id == payment_id)
    if not found or not _may_see(who, found[0][0]):
        raise NoSuchPayment()
    return payment_view(*found[0])


def group_payments(reading: Reading, who: Principal, group_no: str) -> View:
    """The payments of a group: one, or one for each order that is paid at the door. Raises NoSuchPayment."""
    table = store.payments.table
    found = _payments(reading, table.c.group_no == group_no)
    if not found or not _may_see(who, found[0][0]):
        raise NoSuchPayment()
    return {"items": [payment_view(*one) for one in found], "next": None}


def attempt(reading: Reading, payment_id: str, attempt_no: int) -> View:
    """One attempt as it is now. Raises NoSuchPayment."""
    whole = store.payments.peek(reading.connection, payment_id)
    found = whole.attempt(attempt_no)
    if found is None:
        raise NoSuchPayment()
    return attempt_view(whole, found)


def is_being_opened(reading: Reading, payment_id: str, attempt_no: int) -> bool:
    """Whether a worker is asking the channel for it right now."""
    return store.call_is_under_way(reading.connection, "open_attempt", f"{payment_id}:attempt:{attempt_no}")


def payment_view(whole: Payment, version: int | None = None) -> View:
    """What its buyer is shown of a payment."""
    names = ("payment_id", "group_no", "status", "payable", "captured", "refunded", "currency", "methods", "pay_by")
    view: View = {name: getattr(whole, name) for name in names}
    view["splits"] = whole.splits
    view["attempts"] = [attempt_view(whole, one) for one in whole.attempts]
    return view if version is None else view | {"version": version}


def attempt_view(whole: Payment, one: Attempt) -> View:
    """What its buyer is shown of an attempt."""
    shown = one.state == "open"
    return {
        "payment_id": whole.payment_id, "attempt_no": one.no, "method": one.method, "channel": one.channel,
        "instrument": one.instrument, "amount": one.amount, "currency": whole.currency,
        "expires_at": one.expires_at,
        "status": "closing" if one.live and one.unwanted else one.state, "code": one.code or None,
        "display": {"kind": one.display, "value": one.display_value} if shown and not one.unwanted else None,
    }  # fmt: skip


def _payments(reading: Reading, where: sa.ColumnElement[bool]) -> list[tuple[Payment, int]]:
    table = store.payments.table
    rows = reading.execute(sa.select(table.c.body, table.c.version).where(where).order_by(table.c.payment_id))
    return [(store.payments.decode(row.body), row.version) for row in rows]


def _may_see(who: Principal, whole: Payment) -> bool:
    return who.has(OPERATOR) or whole.buyer_id == who.account_id


# ------------------------------------------------------------------------------------------ escrow and
# refunds
def _of_order(reading: Reading, who: Principal, order_no: str) -> tuple[Payment, Split]:
    """An order's payment and split, for its buyer, its seller and operators. Raises NoSuchEscrow."""
    table = store.payments.table
    body = reading.execute(
        sa.select(table.c.body)
        .join(store.payment_order, store.payment_order.c.payment_id == table.c.payment_id)
        .where(store.payment_order.c.order_no == order_no)
    ).scalar()
    whole = store.payments.decode(body) if body is not None else None
    split = whole.split(order_no) if whole else None
    if whole is None or split is None or not (_may_see(who, whole) or _sells(who, split)):
        raise NoSuchEscrow()
    return whole, split


def _sells(who: Principal, split: Split) -> bool:
    return who.seller_id is not None and who.seller_id == split.seller_id


_ESCROW_STATES: tuple[tuple[str, str, Callable[[Split], object]], ...] = (
    ("NONE", "unpaid", lambda s: not s.captured),
    ("RETURNED", "refunded", lambda s: s.captured == s.refunded + s.refunding and not s.released_at),
    ("RELEASED", "until_completed", lambda s: s.released_at and s.holdback),
    ("RELEASED", "released", lambda s: s.released_at),
    ("HELD", "cash_not_remitted", lambda s: not s.cash_in),
    ("HELD", "release_scheduled", lambda s: s.release_at),
    ("HELD", "awaiting_receipt", lambda s: True),
)


def escrow(reading: Reading, who: Principal, order_no: str) -> View:
    """Where an order's money is, and what it waits for. Raises NoSuchEscrow."""
    whole, split = _of_order(reading, who, order_no)
    state, reason = next((state, reason) for state, reason, holds in _ESCROW_STATES if holds(split))
    view: View = {
        "order_no": order_no, "currency": whole.currency, "captured": split.captured, "held": split.in_escrow,
        "held_back": split.holdback, "released": split.net, "refunding": split.refunding,
        "refunded": split.refunded,
        "state": state, "reason": reason, "release_at": split.release_at, "released_at": split.released_at,
    }  # fmt: skip
    if who.has(OPERATOR) or _sells(who, split):
        terms = ("commission", "commission_bp", "holdback_bp")
        view |= {name: getattr(split, name) for name in terms}
    return view


def order_refunds(reading: Reading, who: Principal, order_no: str) -> View:
    """The refunds of an order, oldest first. Raises NoSuchEscrow."""
    whole, _ = _of_order(reading, who, order_no)
    return {"items": [refund_view(whole, one) for one in whole.refunds if one.order_no == order_no], "next": None}


def refunds(reading: Reading, state: str, limit: int, cursor: str) -> View:
    """Refunds in a state, for operators, by id."""
    index, table = store.refund_index, store.payments.table
    rows = reading.execute(
        sa.select(index.c.refund_id, table.c.body)
        .join(table, table.c.payment_id == index.c.payment_id)
        .where(index.c.state == state, index.c.refund_id > cursor)
        .order_by(index.c.refund_id)
        .limit(limit + 1)
    )
    items = []
    for row in rows:
        whole = store.payments.decode(row.body)
        one = whole.refund(row.refund_id)
        items += [refund_view(whole, one)] if one else []
    return page(items, limit, lambda view: str(view["refund_id"]))


def refund_view(whole: Payment, one: Refund) -> View:
    """A refund as people see it."""
    names = ("refund_id", "order_no", "case_id", "amount", "currency", "cause", "reason", "state", "code", "to")
    return {name: getattr(one, name) for name in (*names, "initiated_at", "ended_at", "lines")} | {
        "payment_id": whole.payment_id,
        "attempts": one.tries,
        "next_retry_at": one.next_at if one.state == "FAILED" else None,
        "freight_amount": one.freight,
    }


# ---------------------------------------------------------------------------------------------------- ledger
def balance(reading: Reading, seller_id: str) -> View:
    """What a shop may have paid out, and what is still in escrow for it, by currency."""
    entry = store.ledger_entry.c
    rows = reading.execute(
        sa.select(entry.currency, entry.family, sa.func.sum(entry.amount).label("amount"))
        .where(entry.seller_id == seller_id, entry.family.in_([books.SELLER, books.ESCROW]))
        .group_by(entry.currency, entry.family)
        .order_by(entry.currency)
    )
    lines: dict[str, View] = {}
    for row in rows:
        line = lines.setdefault(row.currency, {"currency": row.currency, "balance": 0, "in_escrow": 0})
        line["balance" if row.family == books.SELLER else "in_escrow"] = int(row.amount)
    return {"seller_id": seller_id, "items": list(lines.values())}


def entries(reading: Reading, seller_id: str, limit: int, cursor: int | None) -> View:
    """The entries of a shop's balance, latest first."""
    entry, posting = store.ledger_entry.c, store.ledger_posting.c
    wanted = (
        sa.select(
            entry.id.label("entry_id"), posting.kind, posting.order_no, entry.amount, entry.currency,
            posting.posted_at
        )
        .join(store.ledger_posting, posting.key == entry.posting_key)
        .where(entry.family == books.SELLER, entry.owner == seller_id)
        .order_by(entry.id.desc())
        .limit(limit + 1)
    )  # fmt: skip
    if cursor is not None:
        wanted = wanted.where(entry.id < cursor)
    rows = [dict(row._mapping) for row in reading.execute(wanted)]
    return page(rows, limit, lambda row: str(row["entry_id"]))


def payout_account(reading: Reading, seller_id: str) -> View:
    """The bank account of a shop. Raises NoSuchPayoutAccount, also where nobody can read it any more."""
    account = store.payout_account_of(reading.connection, seller_id)
    if account is None:
        raise NoSuchPayoutAccount()
    try:
        details = reading.vault.open(account.details, ACCOUNT_FIELD)
    except Erased as erased:
        raise NoSuchPayoutAccount() from erased
    return payout_account_view(seller_id, account.currency, details)


def payout_account_view(seller_id: str, currency: str, details: View) -> View:
    """What a shop is shown of its bank account: a token of somebody else's making must not read it out."""
    shown = {"holder": f"{details['holder'][0]}…", "bank": details["bank"], "ending": details["number"][-4:]}
    return {"seller_id": seller_id, "currency": currency} | shown


def payouts(reading: Reading, who: Principal, limit: int, cursor: str | None) -> View:
    """One's own shop's payouts, or for operators all, latest first."""
    table = store.payouts.table
    wanted = sa.select(table.c.body).order_by(table.c.payout_id.desc()).limit(limit + 1)
    if not who.has(OPERATOR):
        wanted = wanted.where(table.c.seller_id == who.seller_id)
    if cursor is not None:
        wanted = wanted.where(table.c.payout_id < cursor)
    found = [payout_view(store.payouts.decode(row.body)) for row in reading.execute(wanted)]
    return page(found, limit, lambda view: str(view["payout_id"]))


def payout(reading: Reading, who: Principal, payout_id: str) -> View:
    """One payout, for its shop and operators. Raises NoSuchPayout."""
    found = store.payouts.peek(reading.connection, payout_id)
    if not who.has(OPERATOR) and found.seller_id != who.seller_id:
        raise NoSuchPayout()
    return payout_view(found)


def payout_view(one: Payout) -> View:
    """A payout as people see it."""
    names = ("payout_id", "seller_id", "amount", "currency", "state", "requested_at", "ended_at")
    return {name: getattr(one, name) for name in names} | {"code": one.code or None, "bank_ref": one.bank_ref or None}


def trial_balance(reading: Reading) -> View:
    """All accounts by family and currency; and whether the books are in balance."""
    entry = store.ledger_entry.c
    rows = reading.execute(
        sa.select(
            entry.family, entry.currency, sa.func.sum(entry.amount).label("balance"),
            sa.func.count().label("entries")
        )
        .group_by(entry.family, entry.currency)
        .order_by(entry.family, entry.currency)
    )  # fmt: skip
    accounts = [dict(row._mapping) | {"balance": int(row.balance)} for row in rows]
    total: dict[str, int] = {}
    for account in accounts:
        total[account["currency"]] = total.get(account["currency"], 0) + account["balance"]
    crooked = sa.select(entry.posting_key).group_by(entry.posting_key).having(sa.func.sum(entry.amount) != 0)
    unbalanced = reading.execute(sa.select(sa.func.count()).select_from(crooked.subquery())).scalar()
    return {"accounts": accounts, "total": total, "unbalanced": unbalanced}


# ------------------------------------------------------------------------------------------------------ risk
def risk(reading: Reading, order_no: str) -> View:
    """How an order's risk was weighed, and why. Raises NoSuchAssessment."""
    table = store.risk_assessment
    row = reading.execute(sa.select(table).where(table.c.order_no == order_no)).one_or_none()
    if row is None:
        raise NoSuchAssessment()
    hit = set(msgspec.json.decode(row.rules_hit, type=list[str]))
    return dict(row._mapping) | {"rules_hit": [rule for rule in RULES if rule.code in hit]}
