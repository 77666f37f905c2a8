"""What a seller wants of their webhooks: register, change, sign with another secret, try, send again, remove."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime
from typing import Any

from services.support import store
from services.support.domain.webhooks import TEST, Webhook, encode
from services.support.gateways import guarded
from shared.kernel.errors import Conflict, PreconditionFailed
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import Principal
from shared.web.outbound import UrlNotAllowed

MOST_WEBHOOKS = 10
FIELD = "webhook_secret"
"""The field under which secrets are sealed."""


class TooManyWebhooks(Conflict):
    """A shop has ten webhooks at most; remove one first."""


class WebhookUrlTaken(Conflict):
    """Another of your webhooks has this URL; change that one, or give it another secret."""


class WebhookIsDisabled(Conflict):
    """Nothing is sent to a disabled webhook; enable it first."""


class DeliveryWaits(Conflict):
    """This delivery was not tried yet: it waits for an earlier one of its order, or for the webhook to answer again."""


def register(tx: UnitOfWork, who: Principal, url: str, types: list[str], description: str) -> tuple[Webhook, str]:
    """A new webhook and its secret, which is never shown again.

    Raises UrlNotAllowed, TooManyWebhooks, WebhookUrlTaken.
    """
    seller_id = str(who.seller_id)
    if store.count_webhooks(tx, seller_id) >= MOST_WEBHOOKS:
        raise TooManyWebhooks()
    _check_url(tx, seller_id, url)
    secret = _new_secret()
    webhook = Webhook(
        webhook_id=new_id(), seller_id=seller_id, account_id=who.account_id, url=url, types=sorted(set(types)),
        description=description, secret=tx.vault.seal(who.account_id, FIELD, secret), created_at=tx.now(),
    )  # fmt: skip
    return store.webhooks.add(tx, webhook), secret


def own(tx: UnitOfWork, who: Principal, webhook_id: str) -> Webhook:
    """The seller's webhook, locked. Raises NoSuchWebhook."""
    webhook = store.webhooks.get(tx, webhook_id)
    if webhook.seller_id != who.seller_id:
        raise store.NoSuchWebhook()
    return webhook


def change(tx: UnitOfWork, who: Principal, webhook_id: str, expected: int | None, new: dict[str, Any]) -> Webhook:
    """Other values from now on. What waits is sent to the new URL; enabling lets it go at once.

    Raises NoSuchWebhook, PreconditionFailed, UrlNotAllowed, WebhookUrlTaken.
    """
    webhook = own(tx, who, webhook_id)
    if expected is not None and expected != webhook.version:
        raise PreconditionFailed(field="If-Match")
    if "url" in new:
        _check_url(tx, webhook.seller_id, new["url"], webhook_id)
        webhook.url = new["url"]
    webhook.types = sorted(set(new.get("types", webhook.types)))
    webhook.description = new.get("description", webhook.description)
    webhook.version += 1
    enabled = new.get("enabled", webhook.enabled)
    if not enabled and webhook.enabled:
        webhook.disable("seller")
    elif enabled and (not webhook.enabled or "url" in new):
        webhook.enable()
        resume(tx, webhook)
    return webhook


def change_secret(tx: UnitOfWork, who: Principal, webhook_id: str) -> tuple[Webhook, str, datetime]:
    """A new secret, and until when everything is signed with the old one as well.

    Raises NoSuchWebhook, SecretChangedTooOften.
    """
    webhook = own(tx, who, webhook_id)
    secret = _new_secret()
    until = webhook.change_secret(tx.vault.seal(webhook.account_id, FIELD, secret), tx.now())
    return webhook, secret, until


def remove(tx: UnitOfWork, who: Principal, webhook_id: str) -> None:
    """Forget the webhook and its log. Raises NoSuchWebhook."""
    own(tx, who, webhook_id)
    store.forget(tx, webhook_id)


def try_out(tx: UnitOfWork, who: Principal, webhook_id: str) -> str:
    """Send a test event, once. Answers the delivery's id. Raises NoSuchWebhook, WebhookIsDisabled."""
    webhook = own(tx, who, webhook_id)
    if not webhook.enabled:
        raise WebhookIsDisabled()
    delivery_id = post(tx, webhook, new_id(), TEST, "", None, {"webhook_id": webhook_id}, tx.now(), by_hand=True)
    tx.flush()
    return delivery_id


def send_again(tx: UnitOfWork, who: Principal, webhook_id: str, delivery_id: str) -> None:
    """Send a delivery now, whatever became of it; under the same webhook-id, out of order where the seller wants so.

    Raises NoSuchWebhook, NoSuchDelivery, WebhookIsDisabled, DeliveryWaits.
    """
    webhook = own(tx, who, webhook_id)
    row = store.find_delivery(tx, delivery_id)
    if row is None or row["webhook_id"] != webhook_id:
        raise store.NoSuchDelivery()
    if not webhook.enabled:
        raise WebhookIsDisabled()
    if row["state"] == "queued" and not row["tries"]:
        raise DeliveryWaits()
    if row["state"] == "pending" and row["next_at"] is None:
        return  # on its way this very moment
    tx.cancel_timer(delivery_id, "webhook_retry")
    store.change(
        tx, delivery_id, state="pending", holds=row["holds"] and row["state"] in ("queued", "pending"), by_hand=True,
        tries=0, first_tried_at=None, next_at=None, ended_at=None,
    )  # fmt: skip
    tx.intend("webhook", delivery_id, {"webhook_id": webhook_id})


def post(
    tx: UnitOfWork, webhook: Webhook, message_id: str, kind: str, lane: str, order_no: str | None,
    data: dict[str, Any], time: datetime, *, by_hand: bool = False,
) -> str:  # fmt: skip
    """Write a delivery; it starts in its turn. Answers its id. The webhook is locked."""
    webhook.told += 1
    delivery_id = new_id()
    row = {
        "delivery_id": delivery_id, "webhook_id": webhook.webhook_id, "no": webhook.told, "message_id": message_id,
        "type": kind, "lane": lane or delivery_id, "order_no": order_no,
        "body": encode(message_id, kind, time, webhook.told, data),
        "state": "queued", "holds": not by_hand, "by_hand": by_hand, "tries": 0, "created_at": tx.now(),
    }  # fmt: skip
    store.insert(tx, webhook, row)
    return delivery_id


def resume(tx: UnitOfWork, webhook: Webhook) -> None:
    """Let what waits go, some now and the rest in a moment."""
    if len(store.start(tx, webhook.webhook_id)) == store.AT_ONCE:
        tx.set_timer(webhook.webhook_id, "webhook_go", tx.now())


def _check_url(tx: UnitOfWork, seller_id: str, url: str, webhook_id: str = "") -> None:
    try:
        guarded(tx.node).check(url)
    except UrlNotAllowed as error:
        raise UrlNotAllowed(error.detail, field="url") from None
    if store.url_is_taken(tx, seller_id, url, webhook_id):
        raise WebhookUrlTaken(field="url")


def _new_secret() -> str:
    """As Standard Webhooks writes it: 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
