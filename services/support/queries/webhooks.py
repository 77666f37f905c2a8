"""What a seller can look up: their webhooks, and the log of what was sent there."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from services.support import store
from services.support.domain.webhooks import SHOWN, TYPES, Webhook
from shared.web.auth import Principal
from shared.web.door import Reading, page

_D, _A = store.delivery.c, store.delivery_attempt.c
_PLAIN = (
    "delivery_id", "webhook_id", "message_id", "type", "order_no", "state", "tries", "last_status", "last_error",
    "created_at", "next_at", "ended_at",
)  # fmt: skip


def types() -> dict[str, Any]:
    """All that may be chosen, with what it means."""
    return {
        "items": [
            {"type": name, "means": " ".join((fact.__doc__ or "").split()), "fields": SHOWN[fact].fields}
            for name, fact in sorted(TYPES.items())
        ]
    }


def own(reading: Reading, who: Principal, webhook_id: str) -> Webhook:
    """The seller's webhook. Raises NoSuchWebhook."""
    webhook = store.webhooks.peek(reading.connection, webhook_id)
    if webhook.seller_id != who.seller_id:
        raise store.NoSuchWebhook()
    return webhook


def list_webhooks(reading: Reading, who: Principal) -> dict[str, Any]:
    """All of the shop's, the oldest first."""
    table = store.webhooks.table
    mine = sa.select(table.c.body).where(table.c.seller_id == who.seller_id).order_by(table.c.webhook_id)
    return {"items": [view(store.webhooks.decode(body)) for body in reading.execute(mine).scalars()]}


def view(webhook: Webhook) -> dict[str, Any]:
    names = (
        "webhook_id", "url", "types", "description", "enabled", "disabled_because", "failures", "failing_since",
        "created_at", "version",
    )  # fmt: skip
    return {name: getattr(webhook, name) for name in names} | {"next_probe_at": webhook.shut_until}


def deliveries(
    reading: Reading, who: Principal, webhook_id: str, *, limit: int, cursor: int | None = None,
    state: str | None = None, order_no: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of the log, the newest first. Raises NoSuchWebhook."""
    own(reading, who, webhook_id)
    wanted = sa.select(store.delivery).where(_D.webhook_id == webhook_id).order_by(_D.no.desc()).limit(limit + 1)
    if state is not None:
        wanted = wanted.where(_D.state == state)
    if order_no is not None:
        wanted = wanted.where(_D.order_no == order_no)
    if cursor is not None:
        wanted = wanted.where(_D.no < cursor)
    rows = [delivery_view(row) for row in reading.execute(wanted).mappings()]
    return page(rows, limit, lambda row: str(row["sequence"]))


def delivery(reading: Any, who: Principal, webhook_id: str, delivery_id: str) -> dict[str, Any]:
    """One delivery with its message and all its attempts. Raises NoSuchWebhook, NoSuchDelivery."""
    own(reading, who, webhook_id)
    wanted = sa.select(store.delivery).where(_D.webhook_id == webhook_id, _D.delivery_id == delivery_id)
    row = reading.execute(wanted).mappings().one_or_none()
    if row is None:
        raise store.NoSuchDelivery()
    attempts = reading.execute(
        sa.select(_A.at, _A.status, _A.error, _A.latency_ms, _A.excerpt)
        .where(_A.delivery_id == delivery_id)
        .order_by(_A.attempt_id)
    ).mappings()
    return delivery_view(row) | {
        "message": msgspec.json.decode(bytes(row["body"])),
        "attempts": [dict(one) for one in attempts],
    }


def delivery_view(row: sa.RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in _PLAIN} | {"sequence": row["no"]}
