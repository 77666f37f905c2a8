"""Outside calls: what channels are asked, and what is done with their answers. No transaction is open while
they run.

Each call resumes after a crash or an unknown outcome with the key it had: it asks what became of it first.
"""

from __future__ import annotations

from services.payment import gateways, store
from services.payment.commands import paying, payouts
from services.payment.domain.model import Charge, Refused, SentBack
from services.payment.domain.payouts import ACCOUNT_FIELD, ERASED, PaidOut
from services.payment.domain.refusals import UnknownChannel
from shared.kernel.errors import OutsideUnavailable
from shared.messaging.subscriptions import Intent, Intents
from shared.storage.unit_of_work import Node, UnitOfWork
from shared.storage.vault import Erased

calls = Intents()
SURE = 5
"""So many tries, over some minutes: what was sent at the first has arrived by then, or never will."""


def note_attempt(tx: UnitOfWork, intent: Intent, answer: Charge | Refused) -> None:
    """The channel answered about an attempt."""
    paying.observe(tx, intent.data["payment_id"], intent.data["attempt_no"], answer)


def note_refund(tx: UnitOfWork, intent: Intent, answers: list[SentBack]) -> None:
    """The channel answered about a refund."""
    paying.note_refund(tx, intent.data["payment_id"], intent.data["refund_id"], answers)


def note_payout(tx: UnitOfWork, intent: Intent, answer: PaidOut | Refused) -> None:
    """The channel answered about a payout."""
    payouts.note(tx, intent.data["payout_id"], answer)


@calls("open_attempt", settle=note_attempt)
def open_attempt(node: Node, intent: Intent) -> Charge | Refused:
    """Ask for the money; not any more if nobody wants it by now and the channel never heard of it."""
    channel = _channel(node, intent)
    if intent.attempts > 1:
        known = channel.query(intent.key)
        if known is not None:
            return known
        with node.database.read() as connection:
            attempt = store.payments.peek(connection, intent.data["payment_id"]).attempt(intent.data["attempt_no"])
        if attempt is None or attempt.unwanted:
            return Refused("withdrawn")
    return channel.open(intent.key, intent.data["wish"])


@calls("query_attempt", settle=note_attempt)
def query_attempt(node: Node, intent: Intent) -> Charge | Refused:
    """Ask what became of an attempt: its callback may be lost."""
    return _state(_channel(node, intent), intent)


@calls("close_attempt", settle=note_attempt)
def close_attempt(node: Node, intent: Intent) -> Charge | Refused:
    """Ask, then close what is still open."""
    channel = _channel(node, intent)
    charge = _state(channel, intent)
    if charge.status != "pending":
        return charge
    closed = channel.close(charge.charge_id)
    if isinstance(closed, Refused) or closed.status == "pending":
        raise OutsideUnavailable(f"{intent.key} is not closed")
    return closed


@calls("send_refund", settle=note_refund)
def send_refund(node: Node, intent: Intent) -> list[SentBack]:
    """Send the money, unless an earlier try of this refund arrived or is on its way."""
    channel, key = _channel(node, intent), intent.key
    if intent.attempts > 1 or intent.data["tries"] > 1:
        known = channel.query_refund(intent.data["refund_id"])
        if any(one.status != "failed" or one.key == key for one in known):
            return known
    answer = channel.refund(key, intent.data["wish"])
    return [SentBack(key, "failed", answer.code) if isinstance(answer, Refused) else answer]


@calls("query_refund", settle=note_refund)
def query_refund(node: Node, intent: Intent) -> list[SentBack]:
    """Ask what became of a refund that was pending."""
    return _channel(node, intent).query_refund(intent.data["refund_id"])


@calls("send_payout", settle=note_payout)
def send_payout(node: Node, intent: Intent) -> PaidOut | Refused:
    """Send the money, unless an earlier try of this payout arrived.

    If its payee's data were erased it is not sent: the money is the shop's again, at once where nothing was ever sent,
    else after the channel has said `SURE` times that it knows nothing of it.
    """
    channel, payout_id = _channel(node, intent), intent.data["payout_id"]
    if intent.attempts > 1:
        known = channel.query_payout(payout_id)
        if known is not None:
            return known
    with node.database.read() as connection:
        payout = store.payouts.peek(connection, payout_id)
    try:
        account = node.vault.open(payout.details, ACCOUNT_FIELD)
    except Erased as erased:
        if 1 < intent.attempts <= SURE:
            raise OutsideUnavailable(f"{payout_id} may have been sent and still be on its way") from erased
        return Refused(ERASED)
    wish = {"merchant_reference": payout_id, "amount": payout.amount, "currency": payout.currency}
    return channel.pay_out(payout_id, wish | {"account": account})


@calls("query_payout", settle=note_payout)
def query_payout(node: Node, intent: Intent) -> PaidOut | Refused:
    """Ask what became of a payout that was pending."""
    known = _channel(node, intent).query_payout(intent.data["payout_id"])
    if known is None:
        raise OutsideUnavailable(f"{intent.key} is not known to its channel")
    return known


def _state(channel: gateways.Channel, intent: Intent) -> Charge:
    charge = channel.query(intent.key)
    if charge is None:
        raise OutsideUnavailable(f"{intent.key} is not known to its channel")
    return charge


def _channel(node: Node, intent: Intent) -> gateways.Channel:
    try:
        return gateways.channel(node, intent.data["channel"])
    except UnknownChannel as gone:
        raise OutsideUnavailable(f"the channel {intent.data['channel']} is not there") from gone
