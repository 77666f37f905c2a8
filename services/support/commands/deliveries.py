"""Facts on their way to merchants' systems: written with the fact, sent after the commit, tried again for three days.

Every attempt is an intent: claimed, sent with no transaction open, settled. If we die after sending and before
settling, it is sent again under the same webhook-id; nothing is lost, and receivers drop the double by that id.
"""

from __future__ import annotations

from random import uniform
from typing import Any

from services.support import store
from services.support.commands.calls import calls
from services.support.commands.webhooks import FIELD, post, resume
from services.support.domain.webhooks import HOLDS_FOR, KEPT_FOR, TEST, Tried, Webhook, messages, next_try
from services.support.gateways import Message, send
from shared.contracts.event import Fact
from shared.messaging.subscriptions import Intent
from shared.storage.unit_of_work import Node, UnitOfWork
from shared.storage.vault import Erased
from shared.telemetry import logs, metrics

PURGE_EVERY = 100


def publish(tx: UnitOfWork, fact: Fact) -> None:
    """Write a delivery to each webhook that wants this fact and whose seller may see it."""
    time = tx.cause.time or tx.now()
    for number, message in enumerate(messages(fact)):
        # A checkout has one order a shop, so a fact's parts go to different shops; were two one's, ids would differ.
        message_id = tx.cause.causation_id + (f"-{number + 1}" if number else "")
        for webhook in store.listeners(tx, message.seller_id):
            if message.type in webhook.types:
                post(tx, webhook, message_id, message.type, message.lane, message.order_no, message.data, time)


def note_attempt(tx: UnitOfWork, intent: Intent, tried: Tried | None) -> None:
    """Write down how an attempt ended, and what follows: the next one, or the next in line."""
    webhook = store.webhooks.find(tx, intent.data["webhook_id"])
    row = store.find_delivery(tx, intent.key)
    if webhook is None or row is None or row["state"] != "pending":
        return  # removed meanwhile
    if tried is None:
        store.change(tx, intent.key, state="queued")
        if webhook.enabled and webhook.shut_until is None:  # disabled or shut when we looked, and open again
            store.start(tx, webhook.webhook_id, [row["lane"]])
        return
    store.add_attempt(
        tx, delivery_id=intent.key, at=tx.now(), status=tried.status, error=tried.error, latency_ms=tried.latency_ms,
        excerpt=tried.excerpt,
    )  # fmt: skip
    metrics.webhooks.labels("taken" if tried.taken else tried.error or "refused").inc()
    change = {
        "tries": row["tries"] + 1, "first_tried_at": row["first_tried_at"] or tx.now(), "by_hand": False,
        "last_status": tried.status, "last_error": tried.error,
    }  # fmt: skip
    if tried.taken:
        _end(tx, row, change, "delivered")
        _go_on(tx, webhook, row, everything=webhook.note_success())
    else:
        _failed(tx, webhook, row, change, tried)
    if row["no"] % PURGE_EVERY == 0:
        store.forget_old(tx, webhook.webhook_id, tx.now() - KEPT_FOR)


def _failed(tx: UnitOfWork, webhook: Webhook, row: Any, change: dict[str, Any], tried: Tried) -> None:
    now, delivery_id = tx.now(), row["delivery_id"]
    if row["type"] == TEST and not tried.final:
        _end(tx, row, change, "given_up")  # the seller is looking; a test says nothing of how well it is otherwise
        return
    if tried.final:
        said = webhook.disable("gone" if tried.error is None else "erased")
    else:
        said = webhook.note_failure(now)
    if said is not None:
        tx.emit(said)
        logs.get("support").warning("webhook_disabled", webhook_id=webhook.webhook_id, reason=said.reason)
    jitter = uniform(0.8, 1.2)
    again = next_try(change["tries"], change["first_tried_at"], now, jitter, tried.wait)
    change["holds"] = row["holds"] and now - change["first_tried_at"] < HOLDS_FOR
    if tried.final or again is None:
        _end(tx, row, change, "given_up")
    elif webhook.admits(delivery_id):
        store.change(tx, delivery_id, next_at=again, **change)
        tx.set_timer(delivery_id, "webhook_retry", again)
    else:
        store.change(tx, delivery_id, state="queued", **change)
    _go_on(tx, webhook, row)


def _end(tx: UnitOfWork, row: Any, change: dict[str, Any], state: str) -> None:
    store.change(tx, row["delivery_id"], state=state, ended_at=tx.now(), next_at=None, **change)


def _go_on(tx: UnitOfWork, webhook: Webhook, row: Any, *, everything: bool = False) -> None:
    """Let others go: all that waits, those behind this one, or one probe in a while."""
    if webhook.shut_until is not None:
        tx.set_timer(webhook.webhook_id, "webhook_go", webhook.shut_until)
    elif everything:
        resume(tx, webhook)
    elif webhook.enabled:
        store.start(tx, webhook.webhook_id, [row["lane"]])


@calls("webhook", settle=note_attempt)
def deliver(node: Node, intent: Intent) -> Tried | None:
    """Make one attempt; None where the delivery may not go now."""

    def look(tx: UnitOfWork) -> tuple[Message, list[str]] | None:
        webhook = store.webhooks.find(tx, intent.data["webhook_id"])
        row = store.find_delivery(tx, intent.key)
        if webhook is None or row is None or row["state"] != "pending":
            return None
        if not webhook.admits(intent.key, by_hand=row["by_hand"]):
            return None
        return Message(webhook.url, row["message_id"], bytes(row["body"]), ()), webhook.signing(tx.now())

    found = node.run(look)
    if found is None:
        return None
    message, sealed = found
    try:
        secrets = [node.vault.open(one, FIELD) for one in sealed]
    except Erased:
        return Tried(None, "secret_erased", 0)
    return send(node, Message(message.url, message.message_id, message.body, secrets))


def try_again(tx: UnitOfWork, delivery_id: str) -> None:
    """Its pause is over. The webhook is locked."""
    row = store.find_delivery(tx, delivery_id)
    if row is None or row["state"] != "pending":
        return
    webhook = store.webhooks.get(tx, row["webhook_id"])
    if webhook.admits(delivery_id):
        store.change(tx, delivery_id, next_at=None)
        tx.intend("webhook", delivery_id, {"webhook_id": webhook.webhook_id})
    else:
        store.change(tx, delivery_id, state="queued", next_at=None)


def go(tx: UnitOfWork, webhook_id: str) -> None:
    """Some more of what waits; where the breaker is shut, one probe, the least tried, lest one bad message stop all."""
    webhook = store.webhooks.find(tx, webhook_id)
    if webhook is None or not webhook.enabled:
        return
    if webhook.shut_until is None:
        resume(tx, webhook)
        return
    probe = store.start(tx, webhook_id, limit=1)
    if probe:
        webhook.probe = probe[0]
    else:
        webhook.half_open()
