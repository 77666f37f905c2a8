"""Money back: once per refund id, never more than came, tried until it arrives or needs another route.

A refund takes its money out of escrow (or, after the release, out of its share of the commission, the holdback
and then the seller's balance) the moment it is taken up, so that what is promised to the buyer cannot be released
meanwhile. The platform earns by what stays sold.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from services.payment.domain import books
from services.payment.domain.model import Attempt, Call, Capture, Outcome, Payment, Refund, SentBack, Split, is_about
from services.payment.domain.refusals import NoOtherRouteNeeded
from services.payment.domain.schedule import RETRIES, next_poll
from shared.contracts import payment as facts
from shared.contracts.payment import RefundCause
from shared.contracts.refunds import RefundRequested
from shared.kernel.money import percentage


def request(payment: Payment, wish: RefundRequested, now: datetime) -> Outcome:
    """Give an order's money back, or say at once why not. Asked again: tried again if there was no way."""
    out, known, split = Outcome(), payment.refund(wish.refund_id), payment.split(wish.order_no)
    if known is not None:
        _asked_again(payment, known, now, out)
        return out
    capture = payment.kept
    attempt = payment.attempt(capture.attempt_no) if capture else None
    refund = Refund(
        refund_id=wish.refund_id, amount=wish.amount, currency=wish.currency, cause="requested",
        initiated_at=now,
        channel=attempt.channel if attempt else payment.carrier or "none", reason=wish.reason,
        txn=capture.txn if capture else "", charge_id=attempt.charge_id if attempt else "",
        order_no=wish.order_no,
        seller_id=wish.seller_id, case_id=wish.case_id, lines=list(wish.lines), freight=wish.freight_amount,
    )  # fmt: skip
    payment.refunds.append(refund)
    out.refunds.append(refund)
    code = _refusal(payment, split, wish)
    if code or split is None:
        refund.state, refund.code, refund.ended_at, refund.tries = "REFUSED", code, now, 0
        out.tell(_failed(payment, refund, final=True))
        return out
    split.refunding += wish.amount
    out.postings.append(_take(payment, split, refund))
    out.tell(_initiated(payment, refund))
    if not refund.amount:
        _complete(payment, refund, books.CHANNEL, refund.channel, now, out)
    elif not refund.txn:
        refund.tries = 0
        _no_way(payment, refund, "no_original_route", out)
    else:
        out.calls.append(_call(payment, refund))
    return out


def send_back(
    payment: Payment, attempt: Attempt, capture: Capture, cause: RefundCause, now: datetime, out: Outcome
) -> Refund:
    """Odd money goes to suspense and from there straight back. It belongs to no order."""
    refund = Refund(
        refund_id=f"odd_{payment.payment_id}_{len(payment.captures)}", amount=capture.amount,
        currency=capture.currency, channel=attempt.channel,
        cause=cause, initiated_at=now, txn=capture.txn, charge_id=attempt.charge_id,
    )  # fmt: skip
    payment.refunds.append(refund)
    out.refunds.append(refund)
    out.postings += [
        books.posting(
            f"suspense:{attempt.channel}:{capture.txn}", cause, payment.payment_id, capture.currency,
            books.Entry(books.CHANNEL, attempt.channel, -capture.amount),
            books.Entry(books.SUSPENSE, "", capture.amount),
        ),
        books.posting(
            f"refund:{refund.refund_id}", "refund", payment.payment_id, capture.currency,
            books.Entry(books.SUSPENSE, "", -capture.amount), books.Entry(books.REFUNDS, "", capture.amount),
        ),
    ]  # fmt: skip
    out.tell(_initiated(payment, refund))
    out.calls.append(_call(payment, refund))
    return refund


def note(payment: Payment, refund: Refund, answer: SentBack, now: datetime) -> Outcome:
    """The channel's word on a refund, whoever heard it. A failure counts once, for the try it is about. Raises
    AnotherSum."""
    out = Outcome()
    is_about(answer.asked, refund.amount, refund.currency)
    if refund.state in ("COMPLETED", "REFUSED"):
        return out
    if answer.status == "succeeded":
        _complete(payment, refund, books.CHANNEL, refund.channel, now, out)
    elif refund.state == "INITIATED" and answer.status == "pending":
        refund.pending_since = refund.pending_since or now
        refund.next_at = next_poll(refund.pending_since, refund.polls)
        out.refunds.append(refund)
    elif refund.state == "INITIATED" and answer.key == refund.key:
        _fail(payment, refund, answer.code or "failed", now, out)
        out.refunds.append(refund)
    return out


def retry(payment: Payment, now: datetime) -> Outcome:
    """Try those again whose time has come."""
    out = Outcome()
    for refund in payment.refunds:
        if refund.state == "FAILED" and refund.next_at is not None and refund.next_at <= now:
            _again(payment, refund, out)
    return out


def poll(payment: Payment, now: datetime) -> Outcome:
    """Ask about the refunds that a channel keeps pending."""
    out = Outcome()
    for refund in payment.refunds:
        since = refund.pending_since
        if refund.state == "INITIATED" and since and next_poll(since, refund.polls) <= now:
            while next_poll(since, refund.polls) <= now:
                refund.polls += 1
            refund.next_at = next_poll(since, refund.polls)
            out.calls.append(_call(payment, refund, "query_refund"))
    return out


def paid_otherwise(payment: Payment, refund: Refund, to: Literal["bank"], now: datetime) -> Outcome:
    """An operator paid it another way. Raises NoOtherRouteNeeded."""
    out = Outcome()
    if refund.state != "NEEDS_OTHER_ROUTE":
        raise NoOtherRouteNeeded(state=refund.state)
    refund.to = to
    _complete(payment, refund, books.BANK, "", now, out)
    return out


def _refusal(payment: Payment, split: Split | None, wish: RefundRequested) -> str:
    room = split.refundable if split else 0
    return next(
        (
            code
            for code, holds in (
                ("unknown_order", split is None),
                ("currency_mismatch", wish.currency != payment.currency),
                ("exceeds_captured", wish.amount > room),
            )
            if holds
        ),
        "",
    )


def _asked_again(payment: Payment, refund: Refund, now: datetime, out: Outcome) -> None:
    if refund.state == "REFUSED" or (refund.state == "NEEDS_OTHER_ROUTE" and not refund.txn):
        out.tell(_failed(payment, refund, final=True))
    elif refund.state == "NEEDS_OTHER_ROUTE":
        _again(payment, refund, out)


def _take(payment: Payment, split: Split, refund: Refund) -> books.Posting:
    """Out of escrow; after the release out of commission and holdback, and the rest out of the seller's balance."""
    escrow, commission, debit = refund.amount, 0, 0
    if split.released_at:
        # What is due of the part that stays sold, so that the last refund leaves nothing, whatever was rounded.
        due = percentage(min(split.gross, split.refundable), split.commission_bp or 0)
        commission = max(0, split.commission - due)
        escrow = min(split.holdback, refund.amount - commission)
        debit = refund.amount - commission - escrow
        split.commission -= commission
        split.holdback -= escrow
        split.debited += debit
    return books.posting(
        f"refund:{refund.refund_id}", "refund", payment.payment_id, refund.currency,
        books.Entry(books.ESCROW, split.order_no, -escrow, split.seller_id),
        books.Entry(books.COMMISSION, "", -commission),
        books.Entry(books.SELLER, split.seller_id, -debit, split.seller_id),
        books.Entry(books.REFUNDS, "", refund.amount),
        order_no=split.order_no,
    )  # fmt: skip


def _again(payment: Payment, refund: Refund, out: Outcome) -> None:
    refund.state, refund.next_at, refund.pending_since, refund.polls = "INITIATED", None, None, 0
    refund.tries += 1
    out.refunds.append(refund)
    out.calls.append(_call(payment, refund))


def _fail(payment: Payment, refund: Refund, code: str, now: datetime, out: Outcome) -> None:
    if refund.tries > len(RETRIES):
        _no_way(payment, refund, code, out)
        return
    refund.state, refund.code, refund.pending_since = "FAILED", code, None
    refund.next_at = now + RETRIES[refund.tries - 1]
    out.tell(_failed(payment, refund, final=False))


def _no_way(payment: Payment, refund: Refund, code: str, out: Outcome) -> None:
    """The money stays in flight, in the books' `refunds`, until it is paid otherwise or asked for again."""
    refund.state, refund.code, refund.next_at, refund.pending_since = "NEEDS_OTHER_ROUTE", code, None, None
    out.tell(_failed(payment, refund, final=True))


def _complete(payment: Payment, refund: Refund, family: str, owner: str, now: datetime, out: Outcome) -> None:
    refund.state, refund.ended_at, refund.next_at, refund.pending_since = "COMPLETED", now, None, None
    out.refunds.append(refund)
    split = payment.split(refund.order_no)
    if split is not None:
        split.refunding -= refund.amount
        split.refunded += refund.amount
    out.postings.append(
        books.posting(
            f"refunded:{refund.refund_id}", "refunded", payment.payment_id, refund.currency,
            books.Entry(books.REFUNDS, "", -refund.amount), books.Entry(family, owner, refund.amount),
            order_no=refund.order_no,
        )
    )  # fmt: skip
    out.tell(
        facts.RefundCompleted(
            refund_id=refund.refund_id, payment_id=payment.payment_id, group_no=payment.group_no,
            buyer_id=payment.buyer_id, amount=refund.amount, currency=refund.currency, to=refund.to,
            order_fully_refunded=split is not None and split.refunded == split.captured, cause=refund.cause,
            order_no=refund.order_no, seller_id=refund.seller_id, case_id=refund.case_id,
            lines=tuple(refund.lines),
            freight_amount=refund.freight,
        )
    )  # fmt: skip


def _initiated(payment: Payment, refund: Refund) -> facts.RefundInitiated:
    return facts.RefundInitiated(
        refund_id=refund.refund_id, payment_id=payment.payment_id, group_no=payment.group_no,
        amount=refund.amount,
        currency=refund.currency, channel=refund.channel, cause=refund.cause, order_no=refund.order_no,
    )  # fmt: skip


def _failed(payment: Payment, refund: Refund, *, final: bool) -> facts.RefundFailed:
    return facts.RefundFailed(
        refund_id=refund.refund_id, payment_id=payment.payment_id, group_no=payment.group_no,
        buyer_id=payment.buyer_id, amount=refund.amount, currency=refund.currency, code=refund.code,
        attempts=refund.tries, final=final, next_retry_at=refund.next_at,
        cause=refund.cause,
        order_no=refund.order_no, case_id=refund.case_id,
    )  # fmt: skip


def _call(payment: Payment, refund: Refund, kind: str = "send_refund") -> Call:
    wish = {
        "charge": refund.charge_id, "capture": refund.txn, "refund_reference": refund.refund_id,
        "amount": refund.amount, "currency": refund.currency,
    }  # fmt: skip
    about: dict[str, object] = {"payment_id": payment.payment_id, "refund_id": refund.refund_id}
    return Call(kind, refund.key, about | {"channel": refund.channel, "tries": refund.tries, "wish": wish})
