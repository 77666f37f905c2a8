"""Carrying out what the domain decided: facts, bookings, calls and timers, all in the caller's transaction."""

from __future__ import annotations

from services.payment import store
from services.payment.domain.model import Outcome, Payment
from services.payment.domain.schedule import deadlines
from shared.storage.unit_of_work import UnitOfWork


def carry_out(tx: UnitOfWork, payment: Payment, outcome: Outcome | None = None) -> None:
    """Tell, book and ask for what `outcome` holds, and set the payment's timers as its state now needs them."""
    if outcome is not None:
        tx.emit(*outcome.facts)
        for posting in outcome.postings:
            store.add_posting(tx, posting)
        for call in outcome.calls:
            tx.intend(call.kind, call.key, call.data)
        if outcome.refunds:
            store.note_refunds(tx, payment, outcome.refunds)
    wanted = deadlines(payment)
    for name, moment in wanted.items():
        if payment.deadlines.get(name) != moment:
            tx.set_timer(payment.payment_id, name, moment)
    for name in payment.deadlines.keys() - wanted.keys():
        tx.cancel_timer(payment.payment_id, name)
    payment.deadlines = wanted


def add(tx: UnitOfWork, payment: Payment) -> Payment:
    """Keep a new payment, with the terms its sellers have today."""
    for split in payment.splits:
        split.commission_bp, split.holdback_bp = store.terms_of(tx, split.seller_id)
    store.index_orders(tx, payment)
    return store.payments.add(tx, payment)


def of_order(tx: UnitOfWork, group_no: str, order_no: str) -> Payment | None:
    """The payment that pays for an order, locked: its group's, or its own if it is paid at the door."""
    for payment_id in store.candidates(group_no, order_no):
        payment = store.payments.find(tx, payment_id)
        if payment is not None and payment.split(order_no) is not None:
            return payment
    return None
