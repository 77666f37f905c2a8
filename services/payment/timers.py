"""What happens when nothing happens: lost callbacks are asked about, refunds tried again, escrow released."""

from __future__ import annotations

from services.payment import store
from services.payment.commands import holding, payouts
from services.payment.commands.carrying import carry_out
from services.payment.domain import paying, refunding
from services.payment.domain.model import Payment
from shared.messaging.subscriptions import Timers
from shared.storage.unit_of_work import UnitOfWork

due = Timers()


@due("poll", lock=store.payments.lock)
def ask_the_channel(tx: UnitOfWork, payment_id: str) -> None:
    """No callback came: ask what became of open attempts and pending refunds."""
    payment = _fired(tx, payment_id, "poll")
    carry_out(tx, payment, paying.poll(payment, tx.now()))
    carry_out(tx, payment, refunding.poll(payment, tx.now()))


@due("retry_refund", lock=store.payments.lock)
def try_refunds_again(tx: UnitOfWork, payment_id: str) -> None:
    """A refund failed a while ago."""
    payment = _fired(tx, payment_id, "retry_refund")
    carry_out(tx, payment, refunding.retry(payment, tx.now()))


@due("release", lock=store.payments.lock)
def release_funds(tx: UnitOfWork, payment_id: str) -> None:
    """An hour since receipt, and nobody complained."""
    holding.release(tx, _fired(tx, payment_id, "release"))


@due("settle_cash", lock=store.payments.lock)
def settle_cash(tx: UnitOfWork, payment_id: str) -> None:
    """Two days since a receipt, and not all of the cash was told of."""
    holding.settle_cash(tx, _fired(tx, payment_id, "settle_cash"))


@due(payouts.TIMER, lock=store.payouts.lock)
def ask_about_the_payout(tx: UnitOfWork, payout_id: str) -> None:
    """No callback came: ask what became of a pending payout."""
    payouts.poll(tx, payout_id)


def _fired(tx: UnitOfWork, payment_id: str, name: str) -> Payment:
    """The payment whose timer has just gone off; carrying out sets it again where it is still needed."""
    payment = store.payments.get(tx, payment_id)
    payment.deadlines.pop(name, None)
    return payment
