"""Attempts to pay, and what becomes of the money: one path for callbacks, our own queries and closing."""

from __future__ import annotations

from datetime import datetime

from services.payment.domain import books, refunding, telling
from services.payment.domain.model import (
    Ask,
    Attempt,
    AttemptState,
    Call,
    Capture,
    Charge,
    Money,
    Outcome,
    Payment,
    Refused,
    is_about,
)
from services.payment.domain.refusals import (
    AmountChanged,
    MethodNotOffered,
    NotPaidHere,
    PaymentAlreadyMade,
    PaymentDeadlinePassed,
    PaymentIsClosed,
    PaymentIsClosing,
    TooManyAttempts,
)
from services.payment.domain.schedule import next_poll
from shared.contracts.lines import PaidMethod
from shared.contracts.payment import RefundCause

MOST_ATTEMPTS = 20


def open_attempt(
    payment: Payment, method: PaidMethod, channel: str, instrument: str, expected: int, now: datetime
) -> tuple[Attempt, Outcome]:
    """An attempt to pay all that is due: the open one if it is the same, else a new one that replaces it.

    Raises NotPaidHere, PaymentAlreadyMade, PaymentIsClosing, PaymentIsClosed, PaymentDeadlinePassed,
    MethodNotOffered,
    AmountChanged, TooManyAttempts.
    """
    if payment.cod:
        raise NotPaidHere()
    if payment.confirmed:
        raise PaymentAlreadyMade()
    if payment.asks:
        raise PaymentIsClosing()
    if not payment.due:
        raise PaymentIsClosed()
    if payment.pay_by is None or now >= payment.pay_by:
        raise PaymentDeadlinePassed()
    if method not in payment.methods:
        raise MethodNotOffered(field="method", methods=list(payment.methods))
    if expected != payment.payable:
        raise AmountChanged(field="expected_amount", payable=payment.payable, currency=payment.currency)
    out, shares = Outcome(), {split.order_no: split.payable for split in payment.due}
    for attempt in payment.live:
        this = (attempt.method, attempt.channel, attempt.instrument, attempt.shares)
        if this == (method, channel, instrument, shares) and not attempt.unwanted:
            return attempt, out
    if len(payment.attempts) >= MOST_ATTEMPTS:
        raise TooManyAttempts()
    for attempt in payment.live:
        _close(payment, attempt, out)
    attempt = Attempt(
        no=len(payment.attempts) + 1, method=method, channel=channel, instrument=instrument, amount=expected,
        shares=shares, expires_at=payment.pay_by,
    )  # fmt: skip
    payment.attempts.append(attempt)
    wish = {
        "merchant_reference": payment.payment_id, "instrument": instrument, "amount": attempt.amount,
        "currency": payment.currency, "expires_at": attempt.expires_at,
    }  # fmt: skip
    out.calls.append(_call("open_attempt", payment, attempt, wish=wish))
    return attempt, out


def refused(payment: Payment, attempt: Attempt, answer: Refused, now: datetime) -> Outcome:
    """The channel took nothing up."""
    out = Outcome()
    if attempt.state == "opening":
        _end(payment, attempt, "failed", answer.code, now, out)
        _answer(payment, out)
    return out


def observe(payment: Payment, attempt: Attempt, charge: Charge, now: datetime) -> Outcome:
    """Take note of an attempt's true state, whoever saw it. Seen again, or late, it changes nothing. Raises AnotherSum,
    for what was asked; what was paid may be any sum."""
    out = Outcome()
    is_about(charge.asked, attempt.amount, payment.currency)
    if attempt.state == "opening":
        _opened(payment, attempt, charge, now, out)
    known = {capture.txn for capture in payment.captures}
    for money in charge.captures:
        if money.txn not in known:
            _receive(payment, attempt, money, now, out)
    if attempt.live and charge.status == "failed":
        _end(payment, attempt, "failed", charge.code or "failed", now, out)
    if attempt.live and charge.status == "closed":
        _end(payment, attempt, "closed", charge.code or "closed", now, out)
    _answer(payment, out)
    return out


def poll(payment: Payment, now: datetime) -> Outcome:
    """Ask about the attempts whose callback may have been lost."""
    out = Outcome()
    for attempt in payment.attempts:
        if attempt.state == "open" and attempt.opened_at and next_poll(attempt.opened_at, attempt.polls) <= now:
            while next_poll(attempt.opened_at, attempt.polls) <= now:
                attempt.polls += 1
            out.calls.append(_call("query_attempt", payment, attempt))
    return out


def arbitrate(payment: Payment, order_nos: list[str], event_id: str) -> Outcome:
    """The order asks: are these paid, or can they be no more? Answered now, or when open attempts have ended.

    Money that is here was told when it came, and that fact is on its way: nothing is said again. Of orders
    that
    were dropped before it is said again.
    """
    out = Outcome()
    unpaid = [split for split in payment.splits if split.order_no in order_nos and not split.paid]
    if payment.cod or not unpaid:
        return out
    wanted = [split.order_no for split in unpaid]
    if any(split.due for split in unpaid):
        payment.asks = [ask for ask in payment.asks if ask.order_nos != wanted] + [Ask(wanted, event_id)]
        for attempt in payment.live:
            _close(payment, attempt, out)
        _answer(payment, out)
    else:
        out.tell(telling.expired(payment, Ask(wanted, event_id)))
    return out


def drop(payment: Payment, order_no: str) -> Outcome:
    """The order ended unpaid, without asking us: what is open for it is closed."""
    out, split = Outcome(), payment.split(order_no)
    if split is None or not split.due:
        return out
    split.due = False
    for attempt in payment.live:
        if order_no in attempt.shares:
            _close(payment, attempt, out)
    return out


def adjust(payment: Payment, order_no: str, payable: int) -> None:
    """Another price. An open attempt keeps its sum: if that is paid, the order settles the difference."""
    split = payment.split(order_no)
    if split is not None and split.due:
        split.payable = payable


def _opened(payment: Payment, attempt: Attempt, charge: Charge, now: datetime, out: Outcome) -> None:
    attempt.state, attempt.opened_at, attempt.charge_id = "open", now, charge.charge_id
    attempt.display, attempt.display_value = charge.display, charge.display_value
    out.tell(telling.initiated(payment, attempt))
    if attempt.unwanted and charge.status == "pending":
        _close(payment, attempt, out)


def _close(payment: Payment, attempt: Attempt, out: Outcome) -> None:
    """Have it closed at the channel. While it is being opened this waits: it cannot be closed unseen."""
    attempt.unwanted = True
    if attempt.state == "open":
        out.calls.append(_call("close_attempt", payment, attempt))


def _end(payment: Payment, attempt: Attempt, state: AttemptState, code: str, now: datetime, out: Outcome) -> None:
    attempt.state, attempt.code = state, code
    if not attempt.unwanted:
        out.tell(telling.failed(payment, attempt, now))


def _receive(payment: Payment, attempt: Attempt, money: Money, now: datetime, out: Outcome) -> None:
    """Money is here: it pays the splits if it is the right sum, the first and still wanted, or goes back."""
    odd, first = _odd(payment, attempt, money), payment.kept
    capture = Capture(money.txn, attempt.no, money.amount, money.currency, money.at, kept=odd is None)
    payment.captures.append(capture)
    if odd is None:
        _keep(payment, attempt, capture, out)
        return
    refund = refunding.send_back(payment, attempt, capture, odd, now, out)
    out.tell(telling.odd(payment, attempt, money, refund, first.attempt_no if first else attempt.no, now))
    if attempt.live and odd == "amount_mismatch":
        _end(payment, attempt, "mismatched", odd, now, out)
    elif attempt.live:
        attempt.state = "paid"


def _odd(payment: Payment, attempt: Attempt, money: Money) -> RefundCause | None:
    """Why this money may not be kept. A closed attempt may still pay while all of its orders wait for it."""
    if (money.amount, money.currency) != (attempt.amount, payment.currency):
        return "amount_mismatch"
    if payment.confirmed:
        return "duplicate_payment"
    return None if {split.order_no for split in payment.due} == set(attempt.shares) else "late_payment"


def _keep(payment: Payment, attempt: Attempt, capture: Capture, out: Outcome) -> None:
    attempt.state, payment.confirmed, payment.asks = "paid", True, []
    splits = [split for split in payment.splits if split.order_no in attempt.shares]
    for split in splits:
        split.captured, split.paid, split.due = attempt.shares[split.order_no], True, False
    out.postings.append(
        books.posting(
            f"capture:{payment.payment_id}:{attempt.no}", "capture", payment.payment_id, payment.currency,
            books.Entry(books.CHANNEL, attempt.channel, -capture.amount),
            *(books.Entry(books.ESCROW, split.order_no, split.captured, split.seller_id) for split in splits),
        )
    )  # fmt: skip
    out.tell(telling.confirmed(payment, splits, attempt.method, attempt.channel, capture.txn, capture.at))
    out.tell(*(telling.held(payment, split, "receipt") for split in splits))
    for other in payment.live:
        _close(payment, other, out)


def _answer(payment: Payment, out: Outcome) -> None:
    """Answer what the order asked, once no attempt can bring money any more."""
    if payment.live:
        return
    asks, payment.asks = payment.asks, []
    for ask in asks:
        for split in payment.splits:
            if split.order_no in ask.order_nos:
                split.due = False
        out.tell(telling.expired(payment, ask))


def _call(kind: str, payment: Payment, attempt: Attempt, **more: object) -> Call:
    data: dict[str, object] = {"payment_id": payment.payment_id, "attempt_no": attempt.no}
    data |= {"channel": attempt.channel, "charge_id": attempt.charge_id}
    return Call(kind, f"{payment.payment_id}:attempt:{attempt.no}", data | more)
