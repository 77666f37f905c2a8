"""Paying a shop's balance out: the money leaves the balance when it is asked for, so that it cannot be asked for twice.

A payout is `REQUESTED`, then `COMPLETED`, or `FAILED` with the money back in the balance. A failed one is not tried
again: the shop mends its account and asks for another. One that we gave up ourselves, as its payee was erased, can be
`COMPLETED` yet: the channel says so if an earlier try arrived after all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.payment.domain import books
from services.payment.domain.model import Asked, Call, Outcome, Refused, is_about
from services.payment.domain.refusals import (
    BalanceIsNegative,
    BalanceTooSmall,
    PayoutCurrencyMismatch,
    PayoutTooSmall,
)
from services.payment.domain.schedule import next_poll
from shared.contracts.event import Sealed
from shared.contracts.payment import SellerPayoutCompleted, SellerPayoutFailed, SellerPayoutRequested

LEAST = {
    "BHD": 100, "CLP": 500, "COP": 200_000, "HUF": 20_000, "IDR": 500_000, "IQD": 500_000, "ISK": 50, "JOD": 300,
    "JPY": 100, "KRW": 500, "KWD": 300, "LYD": 1_000, "NGN": 50_000, "OMR": 200, "PYG": 5_000, "RWF": 500,
    "TND": 1_000, "UGX": 2_000, "VND": 10_000, "XAF": 200, "XOF": 200,
}  # fmt: skip
"""Minor units, by currency: what a transfer costs is more than a smaller payout is worth."""
LEAST_ELSEWHERE = 100
ACCOUNT_FIELD = "payout_account"
"""As what the details of a bank account are sealed."""
ERASED = "account_erased"
"""Our own word, not the channel's, for a payout whose account nobody can read any more."""
PayoutState = Literal["REQUESTED", "COMPLETED", "FAILED"]


@dataclass(frozen=True)
class PaidOut:
    """The true state of one payout at its channel."""

    status: Literal["succeeded", "failed", "pending"]
    bank_ref: str = ""
    code: str = ""
    asked: Asked | None = None


@dataclass(frozen=True)
class PayoutAccount:
    """Where a shop wants its money; `details` (holder, bank, number) are sealed."""

    currency: str
    details: Sealed


@dataclass
class Payout:
    """`details` is the account as it was when the payout was asked for: every try pays to the same one."""

    payout_id: str
    seller_id: str
    amount: int
    currency: str
    channel: str
    details: Sealed
    requested_at: datetime
    state: PayoutState = "REQUESTED"
    code: str = ""
    bank_ref: str = ""
    ended_at: datetime | None = None
    polls: int = 0
    next_at: datetime | None = None
    """When to ask the channel what became of it, once it has said that it is pending."""


def request(payout: Payout, account: PayoutAccount, balance: int) -> Outcome:
    """Take the money out of the balance and send it. Raises PayoutTooSmall, PayoutCurrencyMismatch, BalanceIsNegative,
    BalanceTooSmall."""
    if payout.currency != account.currency:
        raise PayoutCurrencyMismatch(field="currency", currency=account.currency)
    least = LEAST.get(payout.currency, LEAST_ELSEWHERE)
    if payout.amount < least:
        raise PayoutTooSmall(field="amount", least=least)
    if balance < 0:
        raise BalanceIsNegative(balance=balance, currency=payout.currency)
    if payout.amount > balance:
        raise BalanceTooSmall(field="amount", balance=balance, currency=payout.currency)
    out = Outcome()
    out.postings.append(_posting(payout, "payout", _balance(payout, -1), _under_way(payout, 1)))
    out.calls.append(Call("send_payout", payout.payout_id, _about(payout)))
    out.tell(SellerPayoutRequested(**_money(payout)))
    return out


def observe(payout: Payout, answer: PaidOut | Refused, now: datetime) -> Outcome:
    """Note what the channel says: its first final word holds, what comes after changes nothing. Raises AnotherSum."""
    out = Outcome()
    if isinstance(answer, PaidOut):
        is_about(answer.asked, payout.amount, payout.currency)
    succeeded = isinstance(answer, PaidOut) and answer.status == "succeeded"
    arrived_after_all = succeeded and payout.state == "FAILED" and payout.code == ERASED
    if arrived_after_all:
        out.postings.append(_posting(payout, "payout_arrived", _balance(payout, -1), _under_way(payout, 1)))
    elif payout.state != "REQUESTED":
        return out
    if isinstance(answer, PaidOut) and answer.status == "pending":
        payout.next_at = payout.next_at or next_poll(now, payout.polls)
        return out
    payout.ended_at, payout.next_at = now, None
    if isinstance(answer, PaidOut) and succeeded:
        payout.state, payout.code, payout.bank_ref = "COMPLETED", "", answer.bank_ref
        gone = books.Entry(books.CHANNEL, payout.channel, payout.amount)
        out.postings.append(_posting(payout, "paid_out", _under_way(payout, -1), gone))
        out.tell(SellerPayoutCompleted(**_money(payout), bank_ref=answer.bank_ref))
        return out
    payout.state, payout.code = "FAILED", answer.code
    out.postings.append(_posting(payout, "payout_failed", _under_way(payout, -1), _balance(payout, 1)))
    out.tell(SellerPayoutFailed(**_money(payout), code=answer.code))
    return out


def poll(payout: Payout, now: datetime) -> Outcome:
    """No callback came: ask what became of it."""
    out = Outcome()
    if payout.state == "REQUESTED":
        payout.polls += 1
        payout.next_at = next_poll(now, payout.polls)
        out.calls.append(Call("query_payout", f"{payout.payout_id}:{payout.polls}", _about(payout)))
    return out


def _about(payout: Payout) -> dict[str, object]:
    return {"payout_id": payout.payout_id, "channel": payout.channel}


def _money(payout: Payout) -> dict[str, Any]:
    return {name: getattr(payout, name) for name in ("payout_id", "seller_id", "amount", "currency")}


def _balance(payout: Payout, sign: int) -> books.Entry:
    return books.Entry(books.SELLER, payout.seller_id, sign * payout.amount, payout.seller_id)


def _under_way(payout: Payout, sign: int) -> books.Entry:
    return books.Entry(books.PAYOUTS, payout.payout_id, sign * payout.amount, payout.seller_id)


def _posting(payout: Payout, kind: str, *entries: books.Entry) -> books.Posting:
    return books.posting(f"{kind}:{payout.payout_id}", kind, payout.payout_id, payout.currency, *entries)
