"""Money back, asked for by facts; and the operator's way out where the channel has none."""

from __future__ import annotations

from services.payment import store
from services.payment.commands.carrying import carry_out, of_order
from services.payment.domain import refunding
from services.payment.domain.model import Payment, Refund
from services.payment.domain.refusals import NoSuchRefund
from shared.contracts.refunds import RefundRequested
from shared.kernel.errors import TooEarly
from shared.storage.unit_of_work import UnitOfWork


def give_back(tx: UnitOfWork, wish: RefundRequested) -> None:
    """Take a refund up, or say why not. Raises TooEarly."""
    payment = of_order(tx, wish.group_no, wish.order_no)
    if payment is None:
        raise TooEarly(f"nothing is known of the money of {wish.order_no} yet")
    carry_out(tx, payment, refunding.request(payment, wish, tx.now()))


def paid_otherwise(tx: UnitOfWork, refund_id: str) -> tuple[Payment, Refund]:
    """An operator sent a bank transfer instead. Raises NoSuchRefund, NoOtherRouteNeeded."""
    payment_id = store.payment_of_refund(tx, refund_id)
    payment = store.payments.find(tx, payment_id) if payment_id else None
    refund = payment.refund(refund_id) if payment else None
    if payment is None or refund is None:
        raise NoSuchRefund()
    carry_out(tx, payment, refunding.paid_otherwise(payment, refund, "bank", tx.now()))
    return payment, refund
