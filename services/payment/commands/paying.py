"""Paying: from the request for money to its confirmation, and the arbiter's answer."""

from __future__ import annotations

from services.payment import gateways, store
from services.payment.commands import payouts
from services.payment.commands.carrying import add, carry_out
from services.payment.domain import paying, refunding
from services.payment.domain.model import Attempt, Charge, Payment, Refused, SentBack, Split, online_id
from services.payment.domain.refusals import NoSuchPayment, NoSuchPayout
from shared.contracts.lines import PaidMethod
from shared.contracts.order import OrderPaymentRequested
from shared.kernel.errors import TooEarly
from shared.storage.unit_of_work import UnitOfWork
from shared.telemetry import logs


def expect_payment(tx: UnitOfWork, request: OrderPaymentRequested) -> None:
    """A group may be paid from now on. Asked again: it is there already."""
    if store.payments.find(tx, online_id(request.group_no)) is not None:
        return
    splits = [Split(order_no=o.order_no, seller_id=o.seller_id, payable=o.payable) for o in request.orders]
    payment = Payment(
        payment_id=online_id(request.group_no), group_no=request.group_no, buyer_id=request.buyer_id,
        currency=request.currency, splits=splits, pay_by=request.pay_by, methods=list(request.methods),
    )  # fmt: skip
    add(tx, payment)


def pay(
    tx: UnitOfWork,
    buyer_id: str,
    group_no: str,
    *,
    method: PaidMethod,
    channel: str,
    expected_amount: int,
    instrument: str | None = None,
) -> tuple[Payment, Attempt]:
    """An attempt to pay a group, to be opened at its channel. Raises NoSuchPayment, UnknownChannel, and what
    `paying.open_attempt` raises."""
    payment = store.payments.find(tx, online_id(group_no))
    if payment is None or payment.buyer_id != buyer_id:
        raise NoSuchPayment()
    chosen = gateways.instrument(tx.node, channel, method, instrument)
    attempt, outcome = paying.open_attempt(payment, method, channel, chosen, expected_amount, tx.now())
    carry_out(tx, payment, outcome)
    return payment, attempt


def observe(tx: UnitOfWork, payment_id: str, attempt_no: int, answer: Charge | Refused) -> None:
    """Note what a channel says of an attempt: the one way for callbacks, queries, openings and closings."""
    payment = store.payments.get(tx, payment_id)
    attempt = payment.attempt(attempt_no)
    if attempt is None:
        raise NoSuchPayment()
    was = payment.confirmed
    if isinstance(answer, Refused):
        outcome = paying.refused(payment, attempt, answer, tx.now())
    else:
        outcome = paying.observe(payment, attempt, answer, tx.now())
    carry_out(tx, payment, outcome)
    if payment.confirmed and not was:
        asked = sum(split.payable for split in payment.splits if split.paid)
        if asked > payment.captured:
            logs.get("payment").warning("paid_less_than_asked", payment_id=payment_id, asked=asked)


def take_callback(tx: UnitOfWork, channel: str, notice: gateways.Notice) -> bool:
    """The effect of a verified callback, once per event id. Answers whether it was new.

    Raises NoSuchPayment, NoSuchPayout.
    """
    if not store.claim_callback(tx, channel, notice.event_id):
        return False
    if notice.payout is not None:
        tx.rejoin("payout", notice.payout_id)
        if store.payouts.get(tx, notice.payout_id).channel != channel:
            raise NoSuchPayout()
        payouts.note(tx, notice.payout_id, notice.payout)
        return True
    tx.rejoin("payment", notice.payment_id)
    if notice.charge is not None:
        number = _attempt_no(notice.payment_id, notice.charge.key)
        attempt = store.payments.get(tx, notice.payment_id).attempt(number)
        if attempt is None or attempt.channel != channel:
            raise NoSuchPayment()  # one channel has no say in another's attempts
        observe(tx, notice.payment_id, number, notice.charge)
    elif notice.refund is not None:
        refund = store.payments.get(tx, notice.payment_id).refund(notice.refund_id)
        if refund is None or refund.channel != channel:
            raise NoSuchPayment()
        note_refund(tx, notice.payment_id, notice.refund_id, [notice.refund])
    return True


def note_refund(tx: UnitOfWork, payment_id: str, refund_id: str, answers: list[SentBack]) -> None:
    """Note what a channel says of a refund."""
    payment = store.payments.get(tx, payment_id)
    refund = payment.refund(refund_id)
    if refund is None:
        raise NoSuchPayment()
    for answer in answers:
        carry_out(tx, payment, refunding.note(payment, refund, answer, tx.now()))


def arbitrate(tx: UnitOfWork, group_no: str, order_nos: list[str]) -> None:
    """Answer whether these orders are paid or cannot be any more. Raises TooEarly."""
    payment = store.payments.find(tx, online_id(group_no))
    if payment is None:
        # What asked for the money comes from the same publisher but failed here, and is still to be tried
        # again.
        raise TooEarly(f"no payment was requested for {group_no} yet")
    carry_out(tx, payment, paying.arbitrate(payment, order_nos, tx.cause.causation_id))


def drop(tx: UnitOfWork, payment: Payment, order_no: str) -> None:
    """An order ended unpaid."""
    carry_out(tx, payment, paying.drop(payment, order_no))


def adjust(tx: UnitOfWork, group_no: str, order_no: str, payable: int) -> None:
    """An unpaid order costs something else now."""
    payment = store.payments.find(tx, online_id(group_no))
    if payment is not None:
        paying.adjust(payment, order_no, payable)


def _attempt_no(payment_id: str, key: str) -> int:
    """Which attempt a key was made for. Raises NoSuchPayment for keys that are not ours."""
    number = key.removeprefix(f"{payment_id}:attempt:")
    if number == key or not number.isascii() or not number.isdecimal() or len(number) > 3:
        raise NoSuchPayment()
    return int(number)
