"""Cash on delivery: one payment per order, paid when the couriers of all its shipments have taken their
parts.

The cash is the seller's from then on, but not released before the carrier has remitted it.
"""

from __future__ import annotations

from datetime import datetime

from services.payment.domain import books, telling
from services.payment.domain.model import Outcome, Payment, Split, cod_id
from services.payment.domain.schedule import CASH_GRACE
from shared.contracts.order import OrderConfirmed
from shared.contracts.shipping import CashCollected, DeliveryRefused

BLAMELESS = frozenset({"damaged"})
"""Reasons to refuse that say nothing about the buyer."""


def expect(order: OrderConfirmed) -> Payment:
    """The payment a courier will have to collect."""
    split = Split(order_no=order.order_no, seller_id=order.seller_id, payable=order.cod_amount, cash_in=False)
    return Payment(
        payment_id=cod_id(order.order_no), group_no=order.group_no, buyer_id=order.buyer_id,
        currency=order.currency,
        splits=[split], cod=True, methods=["cod"],
    )  # fmt: skip


def collect(payment: Payment, cash: CashCollected) -> Outcome:
    """A courier took money. Each shipment's is counted once; the carrier owes it to us."""
    out, split = Outcome(), payment.splits[0]
    if cash.shipment_id in payment.collections:
        return out
    payment.collections.append(cash.shipment_id)
    payment.carrier = cash.carrier
    split.captured += cash.amount
    out.postings.append(
        books.posting(
            f"cash:{cash.shipment_id}", "cash", payment.payment_id, payment.currency,
            books.Entry(books.CASH, cash.carrier, -cash.amount),
            books.Entry(books.ESCROW, split.order_no, cash.amount, split.seller_id),
            order_no=split.order_no,
        )
    )  # fmt: skip
    if split.captured >= split.payable or payment.settled:
        _confirm(payment, cash.shipment_id, cash.collected_at, out)
    return out


def refuse(payment: Payment, refusal: DeliveryRefused) -> bool:
    """A parcel was refused at the door. Whether that counts against the buyer: once per order, however many parcels."""
    if payment.refused or refusal.reason in BLAMELESS:
        return False
    payment.refused = True
    return True


def receive(payment: Payment, now: datetime) -> None:
    """The buyer has what they took. Cash may still be told of; the share of a refused parcel will never come."""
    if payment.cod and not payment.confirmed:
        payment.settle_at = now + CASH_GRACE


def settle_for_less(payment: Payment, now: datetime) -> Outcome:
    """The time to tell of cash is over: what was collected by now is all, and what comes yet counts at once."""
    out = Outcome()
    payment.settled, payment.settle_at = True, None
    if payment.splits[0].captured and not payment.confirmed:
        _confirm(payment, payment.collections[-1], now, out)
    return out


def void(payment: Payment) -> None:
    """The order ended; nobody will pay at the door."""
    if payment.cod and not payment.confirmed:
        payment.splits[0].due = False


def remitted(payment: Payment) -> int:
    """The carrier's money for this order is in our bank: answers how much, minor units."""
    split = payment.splits[0]
    split.cash_in = True
    return split.captured


def _confirm(payment: Payment, txn: str, at: datetime, out: Outcome) -> None:
    split, first = payment.splits[0], not payment.confirmed
    payment.confirmed, payment.settle_at, split.paid, split.due = True, None, True, False
    if first:
        out.tell(
            telling.confirmed(payment, [split], "cod", payment.carrier, txn, at),
            telling.held(payment, split, "cash_reconciled"),
        )
