"""Payouts: where a shop wants its money, what it asks for, and what the channel says of it."""

from __future__ import annotations

from services.payment import gateways, store
from services.payment.domain import payouts
from services.payment.domain.model import Outcome, Refused
from services.payment.domain.payouts import ACCOUNT_FIELD, PaidOut, Payout, PayoutAccount
from services.payment.domain.refusals import NoPayoutAccount
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork

TIMER = "poll_payout"


def keep_account(
    tx: UnitOfWork, account_id: str, seller_id: str, *, currency: str, holder: str, bank: str, number: str
) -> None:
    """The shop is paid to this bank account from now on; sealed for the person who gave it."""
    details = tx.vault.seal(account_id, ACCOUNT_FIELD, {"holder": holder, "bank": bank, "number": number})
    store.keep_payout_account(tx, seller_id, PayoutAccount(currency, details))


def request(tx: UnitOfWork, seller_id: str, *, amount: int, currency: str) -> Payout:
    """Pay so much of the shop's balance out. Raises NoPayoutAccount, PayoutsNotOffered and what
    `domain.payouts.request` raises."""
    account = store.lock_payout_account(tx, seller_id)
    if account is None:
        raise NoPayoutAccount()
    payout = Payout(
        payout_id=new_id(), seller_id=seller_id, amount=amount, currency=currency,
        channel=gateways.paying_out(tx.node), details=account.details, requested_at=tx.now(),
    )  # fmt: skip
    outcome = payouts.request(payout, account, store.balance_of(tx, seller_id, currency))
    store.payouts.add(tx, payout)
    _carry_out(tx, payout, outcome)
    return payout


def note(tx: UnitOfWork, payout_id: str, answer: PaidOut | Refused) -> None:
    """Note what the channel says: the one way for callbacks, answers and queries."""
    payout = store.payouts.get(tx, payout_id)
    _carry_out(tx, payout, payouts.observe(payout, answer, tx.now()))


def poll(tx: UnitOfWork, payout_id: str) -> None:
    """Ask what became of a payout that was pending."""
    payout = store.payouts.get(tx, payout_id)
    _carry_out(tx, payout, payouts.poll(payout, tx.now()))


def _carry_out(tx: UnitOfWork, payout: Payout, outcome: Outcome) -> None:
    tx.emit(*outcome.facts)
    for posting in outcome.postings:
        store.add_posting(tx, posting)
    for call in outcome.calls:
        tx.intend(call.kind, call.key, call.data)
    if payout.next_at is not None:
        tx.set_timer(payout.payout_id, TIMER, payout.next_at)
    elif outcome.facts:
        tx.cancel_timer(payout.payout_id, TIMER)
