"""Merchants' systems: one row each."""

from __future__ import annotations

import sqlalchemy as sa

from services.support.domain.webhooks import Webhook
from services.support.store.rows import metadata
from shared.kernel.errors import NotFound
from shared.storage.repository import Repository, aggregate_table
from shared.storage.unit_of_work import UnitOfWork


class NoSuchWebhook(NotFound):
    """There is no such webhook, or it is not yours."""


webhook = aggregate_table(
    "webhook",
    metadata,
    "webhook_id",
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("url", sa.String(2000), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Index("webhook_of_shop", "seller_id", "enabled"),
)
"""Its row's lock is held by whoever writes deliveries for it or decides what becomes of one."""

webhooks = Repository(
    webhook,
    Webhook,
    key=lambda one: one.webhook_id,
    columns=lambda one: {"seller_id": one.seller_id, "url": one.url, "enabled": one.enabled},
    missing=NoSuchWebhook,
)


def count_webhooks(tx: UnitOfWork, seller_id: str) -> int:
    """How many a shop has."""
    tx.flush()
    mine = sa.select(sa.func.count()).select_from(webhook).where(webhook.c.seller_id == seller_id)
    return int(tx.execute(mine).scalar_one())


def url_is_taken(tx: UnitOfWork, seller_id: str, url: str, webhook_id: str = "") -> bool:
    """Whether another webhook of this shop has the URL."""
    same = sa.select(webhook.c.webhook_id).where(
        webhook.c.seller_id == seller_id, webhook.c.url == url, webhook.c.webhook_id != webhook_id
    )
    return tx.execute(same).first() is not None
