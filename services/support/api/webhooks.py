"""Merchants' systems: where facts about a shop's orders are sent, and what became of each."""

from __future__ import annotations

from typing import Any

from services.support import commands, queries
from services.support.api.door import door
from services.support.schemas.webhooks import (
    ChangeWebhook,
    DeliveryList,
    DeliveryQuery,
    DeliveryView,
    DeliveryWithAttempts,
    RegisterWebhook,
    WebhookList,
    WebhookTypeList,
    WebhookView,
    WebhookWithSecret,
)
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import SELLER, Principal
from shared.web.door import Reading, expected_version


@door.get("/webhook-types", who={SELLER}, answer=WebhookTypeList)
def list_webhook_types(reading: Reading, who: Principal) -> Any:
    """The facts a webhook may be told, and which of their fields."""
    return queries.webhooks.types()


@door.post("/webhooks", who={SELLER}, body=RegisterWebhook, answer=WebhookWithSecret, status=201, key="none")
def post_webhook(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Register a URL of your system for the facts it wants to hear. The secret is shown this once."""
    webhook, secret = commands.webhooks.register(tx, who, **body)
    answer = queries.webhooks.view(webhook) | {"secret": secret, "old_secret_until": None}
    return answer, {"Location": f"/v1/webhooks/{webhook.webhook_id}"}


@door.get("/webhooks", who={SELLER}, answer=WebhookList)
def list_webhooks(reading: Reading, who: Principal) -> Any:
    """Your shop's webhooks."""
    return queries.webhooks.list_webhooks(reading, who)


@door.get("/webhooks/<webhook_id>", who={SELLER}, answer=WebhookView)
def get_webhook(reading: Reading, who: Principal, webhook_id: str) -> Any:
    """One webhook, and whether it answers."""
    return queries.webhooks.view(queries.webhooks.own(reading, who, webhook_id))


@door.patch("/webhooks/<webhook_id>", who={SELLER}, body=ChangeWebhook, answer=WebhookView)
def patch_webhook(tx: UnitOfWork, who: Principal, webhook_id: str, body: dict[str, Any]) -> Any:
    """Change its URL, facts or description, or switch it off and on; what waits for it goes when it is on."""
    return queries.webhooks.view(commands.webhooks.change(tx, who, webhook_id, expected_version(), body))


@door.delete("/webhooks/<webhook_id>", who={SELLER}, status=204)
def delete_webhook(tx: UnitOfWork, who: Principal, webhook_id: str) -> None:
    """Remove a webhook and its log."""
    commands.webhooks.remove(tx, who, webhook_id)


@door.post("/webhooks/<webhook_id>/secret", who={SELLER}, answer=WebhookWithSecret, key="none")
def post_webhook_secret(tx: UnitOfWork, who: Principal, webhook_id: str) -> Any:
    """Sign with a new secret, shown this once; for 24 hours everything is signed with the old one as well."""
    webhook, secret, until = commands.webhooks.change_secret(tx, who, webhook_id)
    return queries.webhooks.view(webhook) | {"secret": secret, "old_secret_until": until}


@door.post("/webhooks/<webhook_id>/test", who={SELLER}, answer=DeliveryView, status=202)
def post_webhook_test(tx: UnitOfWork, who: Principal, webhook_id: str) -> Any:
    """Send a test event, once; see the delivery for what came of it."""
    delivery_id = commands.webhooks.try_out(tx, who, webhook_id)
    return queries.webhooks.delivery(tx, who, webhook_id, delivery_id)


@door.get("/webhooks/<webhook_id>/deliveries", who={SELLER}, query=DeliveryQuery, answer=DeliveryList)
def list_webhook_deliveries(reading: Reading, who: Principal, webhook_id: str, query: dict[str, Any]) -> Any:
    """What was sent in the last 30 days, and what waits, the newest first."""
    return queries.webhooks.deliveries(reading, who, webhook_id, **query)


@door.get("/webhooks/<webhook_id>/deliveries/<delivery_id>", who={SELLER}, answer=DeliveryWithAttempts)
def get_webhook_delivery(reading: Reading, who: Principal, webhook_id: str, delivery_id: str) -> Any:
    """One delivery: its message, and every attempt with the beginning of the answer."""
    return queries.webhooks.delivery(reading, who, webhook_id, delivery_id)


@door.post("/webhooks/<webhook_id>/deliveries/<delivery_id>/resend", who={SELLER}, answer=DeliveryView, status=202)
def post_webhook_resend(tx: UnitOfWork, who: Principal, webhook_id: str, delivery_id: str) -> Any:
    """Send it again now, under the same webhook-id."""
    commands.webhooks.send_again(tx, who, webhook_id, delivery_id)
    return queries.webhooks.delivery(tx, who, webhook_id, delivery_id)
