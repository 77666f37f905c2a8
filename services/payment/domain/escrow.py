"""Money held for a seller until the buyer has the goods, and released less the platform's commission.

Released is what is left of the order's money after refunds, those on their way included. A share of the net
(the seller's `holdback_bp`) stays in escrow until the order is completed.
"""

from __future__ import annotations

from datetime import datetime

from services.payment.domain import books
from services.payment.domain.model import Outcome, Payment, Split
from services.payment.domain.schedule import RELEASE_AFTER
from shared.contracts import payment as facts
from shared.kernel.money import percentage


def receive(payment: Payment, order_no: str, now: datetime) -> Outcome:
    """The buyer has the goods: the money goes to the seller an hour from now."""
    split = payment.split(order_no)
    if split is not None and not split.received:
        split.received, split.release_at = True, now + RELEASE_AFTER
    return Outcome()


def release(payment: Payment, now: datetime) -> Outcome:
    """Release what is due. A split whose seller's terms are not known yet waits another hour."""
    out = Outcome()
    for split in payment.splits:
        if not split.releasable or split.release_at is None or split.release_at > now:
            continue
        if split.commission_bp is None:
            split.release_at = now + RELEASE_AFTER
            continue
        _release(payment, split, now, out)
    return out


def complete(payment: Payment, order_no: str, now: datetime) -> Outcome:
    """The after-sale window closed: nothing is held back any more."""
    out, split = Outcome(), payment.split(order_no)
    if split is None or split.completed:
        return out
    split.completed = True
    if split.released_at and split.holdback:
        amount, split.holdback = split.holdback, 0
        split.net += amount
        out.postings.append(
            books.posting(
                f"holdback:{order_no}", "holdback", payment.payment_id, payment.currency,
                books.Entry(books.ESCROW, order_no, -amount, split.seller_id),
                books.Entry(books.SELLER, split.seller_id, amount, split.seller_id),
                order_no=order_no,
            )
        )  # fmt: skip
        out.tell(_released(payment, split, gross=amount, commission=0, net=amount, holdback=0))
    return out


def _release(payment: Payment, split: Split, now: datetime, out: Outcome) -> None:
    gross = split.refundable
    commission = percentage(gross, split.commission_bp or 0)
    holdback = 0 if split.completed else percentage(gross - commission, split.holdback_bp)
    net = gross - commission - holdback
    split.released_at, split.gross, split.commission = now, gross, commission
    split.net, split.holdback = net, holdback
    if not gross:
        return  # all of it went back to the buyer
    out.postings.append(
        books.posting(
            f"release:{split.order_no}", "release", payment.payment_id, payment.currency,
            books.Entry(books.ESCROW, split.order_no, holdback - gross, split.seller_id),
            books.Entry(books.COMMISSION, "", commission),
            books.Entry(books.SELLER, split.seller_id, net, split.seller_id),
            order_no=split.order_no,
        )
    )  # fmt: skip
    out.tell(_released(payment, split, gross=gross, commission=commission, net=net, holdback=holdback))


def _released(
    payment: Payment, split: Split, *, gross: int, commission: int, net: int, holdback: int
) -> facts.FundsReleased:
    return facts.FundsReleased(
        group_no=payment.group_no, order_no=split.order_no, seller_id=split.seller_id, gross=gross,
        commission=commission, net=net, holdback=holdback, currency=payment.currency,
    )  # fmt: skip
