"""Escrow and cash at the door: what is held, when it is released, and when a carrier's cash has arrived."""

from __future__ import annotations

from services.payment import store
from services.payment.commands.carrying import add, carry_out, of_order
from services.payment.domain import books, cash, escrow
from services.payment.domain.model import Payment, cod_id
from services.payment.domain.refusals import CashNotExpected
from shared.contracts.order import OrderConfirmed
from shared.contracts.payment import CashReconciled
from shared.contracts.shipping import CashCollected, DeliveryRefused
from shared.kernel.errors import TooEarly
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork


def receive(tx: UnitOfWork, group_no: str, order_no: str) -> None:
    """The buyer has the goods."""
    payment = of_order(tx, group_no, order_no)
    if payment is None:
        return  # it cost nothing
    cash.receive(payment, tx.now())
    escrow.receive(payment, order_no, tx.now())
    carry_out(tx, payment)


def settle_cash(tx: UnitOfWork, payment: Payment) -> None:
    """Nobody told of more cash in time."""
    carry_out(tx, payment, cash.settle_for_less(payment, tx.now()))


def release(tx: UnitOfWork, payment: Payment) -> None:
    """Release what is due, on the terms of the time of payment, or today's where none were known then."""
    for split in payment.splits:
        if split.releasable and split.commission_bp is None:
            split.commission_bp, split.holdback_bp = store.terms_of(tx, split.seller_id)
    carry_out(tx, payment, escrow.release(payment, tx.now()))


def complete(tx: UnitOfWork, group_no: str, order_no: str) -> None:
    """The after-sale window closed."""
    payment = of_order(tx, group_no, order_no)
    if payment is not None:
        carry_out(tx, payment, escrow.complete(payment, order_no, tx.now()))


def expect_cash(tx: UnitOfWork, order: OrderConfirmed) -> None:
    """Couriers will collect this order's money."""
    if store.payments.find(tx, cod_id(order.order_no)) is None:
        add(tx, cash.expect(order))


def collect(tx: UnitOfWork, event: CashCollected) -> None:
    """A courier took money. Raises TooEarly."""
    payment = _at_the_door(tx, event.order_no)
    carry_out(tx, payment, cash.collect(payment, event))


def refuse(tx: UnitOfWork, event: DeliveryRefused) -> None:
    """A parcel was refused at the door: the buyer's next cash orders are weighed by it. Raises TooEarly."""
    if cash.refuse(_at_the_door(tx, event.order_no), event):
        store.note_cod_refusal(tx, event.buyer_id)


def _at_the_door(tx: UnitOfWork, order_no: str) -> Payment:
    payment = store.payments.find(tx, cod_id(order_no))
    if payment is None:
        raise TooEarly(f"{order_no} is not known to be paid at the door yet")
    return payment


def void(tx: UnitOfWork, payment: Payment) -> None:
    """The order ended; nobody will pay at the door."""
    cash.void(payment)
    carry_out(tx, payment)


def reconcile(
    tx: UnitOfWork, by: str, *, carrier: str, period: str, currency: str, remitted: int, order_nos: list[str]
) -> CashReconciled:
    """A carrier's remittance came: the cash of these orders is here, a difference stays on the carrier's
    account.

    Raises CashNotExpected, naming the first order that has none waiting.
    """
    wanted = sorted(set(order_nos))
    found = {p.payment_id: p for p in store.payments.lock(tx, [cod_id(order_no) for order_no in wanted])}
    expected = 0
    for order_no in wanted:
        payment = found.get(cod_id(order_no))
        waiting = payment is not None and payment.confirmed and not payment.splits[0].cash_in
        if payment is None or not waiting or (payment.carrier, payment.currency) != (carrier, currency):
            raise CashNotExpected(field="order_nos", order_no=order_no)
        expected += cash.remitted(payment)
        carry_out(tx, payment)
    statement = CashReconciled(
        statement_id=new_id(), carrier=carrier, period=period, expected=expected, remitted=remitted,
        difference=remitted - expected, currency=currency, order_nos=tuple(wanted),
    )  # fmt: skip
    store.keep_statement(tx, statement, by)
    booked = books.posting(
        f"remittance:{statement.statement_id}", "remittance", statement.statement_id, currency,
        books.Entry(books.BANK, "", -remitted), books.Entry(books.CASH, carrier, remitted),
    )  # fmt: skip
    store.add_posting(tx, booked)
    tx.emit(statement)
    return statement
