"""The facts about a payment, put together from it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from services.payment.domain.model import Ask, Attempt, Money, Payment, Refund, Split
from shared.contracts import payment as facts
from shared.contracts.event import Fact
from shared.contracts.lines import PaidMethod


def initiated(payment: Payment, attempt: Attempt) -> facts.PaymentInitiated:
    """An attempt is open."""
    return facts.PaymentInitiated(
        **_whose(payment), order_nos=tuple(attempt.shares), attempt_no=attempt.no, method=attempt.method,
        channel=attempt.channel, amount=attempt.amount, currency=payment.currency, display=attempt.display,
        expires_at=attempt.expires_at,
    )  # fmt: skip


def failed(payment: Payment, attempt: Attempt, now: datetime) -> facts.PaymentFailed:
    """An attempt ended without money; another may be made while there is time."""
    return facts.PaymentFailed(
        **_whose(payment), order_nos=tuple(attempt.shares), attempt_no=attempt.no, method=attempt.method,
        channel=attempt.channel, code=attempt.code,
        retryable=payment.pay_by is not None and now < payment.pay_by,
    )  # fmt: skip


def confirmed(
    payment: Payment, splits: list[Split], method: PaidMethod, channel: str, txn: str, at: datetime
) -> facts.PaymentConfirmed:
    """All of it is here."""
    return facts.PaymentConfirmed(
        **_whose(payment), method=method, channel=channel, amount=sum(split.captured for split in splits),
        currency=payment.currency, channel_txn=txn, paid_at=at,
        splits=tuple(
            facts.Split(order_no=split.order_no, seller_id=split.seller_id, amount=split.captured)
            for split in splits
        ),
    )  # fmt: skip


def held(payment: Payment, split: Split, until: Literal["receipt", "cash_reconciled"]) -> facts.FundsHeld:
    """An order's money is in escrow."""
    return facts.FundsHeld(
        group_no=payment.group_no, order_no=split.order_no, seller_id=split.seller_id, amount=split.captured,
        currency=payment.currency, until=until,
    )  # fmt: skip


def expired(payment: Payment, ask: Ask) -> facts.PaymentExpired:
    """These orders were not paid and cannot be any more."""
    return facts.PaymentExpired(
        payment_id=payment.payment_id, group_no=payment.group_no, order_nos=tuple(ask.order_nos),
        closed_at_channel=any(attempt.charge_id for attempt in payment.attempts),
        asked_by_event_id=ask.event_id,
    )  # fmt: skip


def odd(payment: Payment, attempt: Attempt, money: Money, refund: Refund, first: int, now: datetime) -> Fact:
    """Money that goes back; `first` is the attempt that was paid before."""
    common = _whose(payment) | {"channel_txn": money.txn, "refund_id": refund.refund_id}
    if refund.cause == "amount_mismatch":
        return facts.PaymentAmountMismatched(
            **common, expected=attempt.amount, currency=payment.currency, received=money.amount,
            received_currency=money.currency, action="refund",
        )  # fmt: skip
    common |= {"amount": money.amount, "currency": money.currency}
    if refund.cause == "duplicate_payment":
        return facts.DuplicatePaymentDetected(**common, first_attempt=first, second_attempt=attempt.no)
    return facts.LatePaymentReceived(
        **common, order_nos=tuple(attempt.shares), channel=attempt.channel, received_at=now
    )


def _whose(payment: Payment) -> dict[str, Any]:
    return {"payment_id": payment.payment_id, "group_no": payment.group_no, "buyer_id": payment.buyer_id}
