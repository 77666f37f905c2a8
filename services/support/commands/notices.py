"""What support does: tells people, marks what was read, and sends letters at most once."""

from __future__ import annotations

from typing import Any

import msgspec

from services.support import store
from services.support.commands.calls import calls
from services.support.domain import OPERATORS, letter, locale_of, notices
from services.support.gateways import MailRefused, OutcomeUnknown, mailer
from shared.contracts.event import Fact
from shared.kernel.errors import NotFound, OutsideUnavailable
from shared.messaging.subscriptions import Intent
from shared.storage.unit_of_work import Node, UnitOfWork
from shared.storage.vault import Erased
from shared.telemetry import logs
from shared.web.auth import OPERATOR, Principal

TRIES_FOR_AN_ADDRESS = 6
"""How often an address is waited for that account has not told us yet."""


class NoSuchNotification(NotFound):
    """There is no such notification, or it is not yours."""


def tell(tx: UnitOfWork, fact: Fact) -> None:
    """Put what the fact means to people into their inboxes. Raises TooEarly while a shop's owner is not known."""
    for notice in notices(fact):
        store.add(tx, notice)


def inboxes(who: Principal) -> list[str]:
    """The accounts whose messages somebody reads: their own, and operators the operators'."""
    return [who.account_id, *([OPERATORS] if who.has(OPERATOR) else ())]


def mark_read(tx: UnitOfWork, who: Principal, notification_id: str) -> dict[str, Any]:
    """Note that a message was read; again changes nothing. Raises NoSuchNotification."""
    row = store.mark_read(tx, notification_id, inboxes(who))
    if row is None:
        raise NoSuchNotification()
    return row


# --- letters ----------------------------------------------------------------------------------------------


def note_mail(tx: UnitOfWork, intent: Intent, outcome: str) -> None:
    """Write down how a letter ended."""
    if outcome == "no_address":
        store.move_mail(tx, intent.key, "asked", outcome)
        return
    row = store.move_mail(tx, intent.key, "sending", outcome)
    if row is None:
        return
    if outcome == "sent":
        tx.emit(store.sent(row, "email"))
    else:
        logs.get("support").warning("mail_not_sent", notification_id=intent.key, outcome=outcome)


@calls("mail", settle=note_mail, delays=(1, 5, 30, 60, 300, 900))
def send_mail(node: Node, intent: Intent) -> str:
    """Send a letter, at most once: `sending` is written down before a word is said to the server.

    Where a try ended and we know that nothing was sent, the mark is taken back and it is tried again. Where we do not
    know (the line broke at the end, or we died), it is not: the same message is in the inbox anyway.
    """
    contact = node.run(lambda tx: store.recipient(tx, intent.key))
    if contact is None:
        if intent.attempts < TRIES_FOR_AN_ADDRESS:
            raise OutsideUnavailable("the address was not heard yet")
        return "no_address"
    try:
        address = node.vault.open(contact["email"], "email")
        name = node.vault.open(contact["full_name"], "full_name")
    except Erased:
        return "no_address"
    row = node.run(lambda tx: store.move_mail(tx, intent.key, "asked", "sending"))
    if row is None:
        return "unknown"
    fields = msgspec.json.decode(row["fields"])
    written = letter(row["template"], fields, locale_of(contact["locale"]), name, node.settings.public_url)
    try:
        mailer(node).send(address, written, intent.key)
    except MailRefused:
        return "failed"
    except OutcomeUnknown:
        return "unknown"
    except OutsideUnavailable:
        node.run(lambda tx: store.move_mail(tx, intent.key, "sending", "asked"))
        raise
    return "sent"
