"""What goes to merchants' systems: one row for each message to each webhook, and one for each attempt.

A delivery is `queued` while it waits for its turn (behind an earlier one of its order, or while its webhook is shut or
disabled), `pending` while it has its turn (an intent is there, or a timer until `next_at`), then `delivered` or
`given_up`. All of it is decided under the lock of the webhook's row, so that no turn is lost between two transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.support.domain.webhooks import Webhook
from services.support.store.rows import metadata
from services.support.store.webhooks import webhook, webhooks
from shared.kernel.errors import NotFound
from shared.storage.types import BigId, Body, Moment
from shared.storage.unit_of_work import UnitOfWork

delivery = sa.Table(
    "webhook_delivery",
    metadata,
    sa.Column("delivery_id", sa.String(36), primary_key=True),
    sa.Column("webhook_id", sa.String(64), nullable=False),
    sa.Column("no", sa.Integer, nullable=False),
    sa.Column("message_id", sa.String(96), nullable=False),
    sa.Column("type", sa.String(96), nullable=False),
    sa.Column("lane", sa.String(128), nullable=False),
    sa.Column("order_no", sa.String(64), nullable=True),
    sa.Column("body", Body, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("holds", sa.Boolean, nullable=False),
    sa.Column("by_hand", sa.Boolean, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("first_tried_at", Moment, nullable=True),
    sa.Column("next_at", Moment, nullable=True),
    sa.Column("ended_at", Moment, nullable=True),
    sa.Column("last_status", sa.Integer, nullable=True),
    sa.Column("last_error", sa.String(32), nullable=True),
    sa.CheckConstraint("state IN ('queued','pending','delivered','given_up')", name="webhook_delivery_state"),
    sa.UniqueConstraint("webhook_id", "no", name="webhook_delivery_no"),
    sa.UniqueConstraint("webhook_id", "message_id", name="webhook_delivery_once"),
    sa.Index(
        "webhook_delivery_open",
        "webhook_id",
        "lane",
        "no",
        postgresql_where=sa.text("state IN ('queued', 'pending')"),
        sqlite_where=sa.text("state IN ('queued', 'pending')"),
    ),
    sa.Index("webhook_delivery_order", "order_no"),
)
"""`no` counts a webhook's messages from 1. `holds`: later ones of its lane wait for it, and it for earlier ones."""

delivery_attempt = sa.Table(
    "webhook_attempt",
    metadata,
    sa.Column("attempt_id", BigId, primary_key=True, autoincrement=True),
    sa.Column("delivery_id", sa.String(36), nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("status", sa.Integer, nullable=True),
    sa.Column("error", sa.String(32), nullable=True),
    sa.Column("latency_ms", sa.Integer, nullable=False),
    sa.Column("excerpt", sa.Text, nullable=False),
    sa.Index("webhook_attempt_delivery", "delivery_id"),
)


class NoSuchDelivery(NotFound):
    """There is no such delivery, or it is not yours."""


_D = delivery.c
OPEN = ("queued", "pending")
AT_ONCE = 200


class Mailbag:
    """What a batch of facts has for merchants' systems: webhooks looked up once, deliveries written once."""

    def __init__(self) -> None:
        self.listeners: dict[str, list[Webhook]] = {}
        self.rows: list[tuple[Webhook, dict[str, Any]]] = []

    def flush(self, tx: UnitOfWork) -> None:
        waiting, self.rows = self.rows, []
        if not waiting:
            return
        tx.execute(delivery.insert(), [row for _, row in waiting])
        by_id = {one.webhook_id: one for one, _ in waiting}
        for webhook_id, one in sorted(by_id.items()):
            if one.shut_until is None:
                start(tx, webhook_id, {row["lane"] for _, row in waiting if row["webhook_id"] == webhook_id})


def _mailbag(tx: UnitOfWork) -> Mailbag:
    found: Mailbag = tx.repositories.setdefault(Mailbag, Mailbag())
    return found


def load_listeners(tx: UnitOfWork, seller_ids: Iterable[str]) -> None:
    """Lock the enabled webhooks of these shops, in one sorted order."""
    wanted = sorted(set(seller_ids))
    if not wanted:
        return
    enabled = sa.select(webhook.c.webhook_id).where(tx.among(webhook.c.seller_id, wanted), webhook.c.enabled)
    found = sorted(tx.execute(enabled).scalars())
    bag = _mailbag(tx)
    for one in webhooks.lock(tx, found) if found else ():
        if one.enabled:
            bag.listeners.setdefault(one.seller_id, []).append(one)


def listeners(tx: UnitOfWork, seller_id: str) -> Sequence[Webhook]:
    """The shop's enabled webhooks among those that were loaded."""
    return _mailbag(tx).listeners.get(seller_id, ())


def insert(tx: UnitOfWork, to: Webhook, row: dict[str, Any]) -> None:
    """Write a delivery with the batch's others; it starts when nothing of its lane is before it."""
    _mailbag(tx).rows.append((to, row))


def start(tx: UnitOfWork, webhook_id: str, lanes: Iterable[str] | None = None, limit: int = AT_ONCE) -> list[str]:
    """Give their turn to queued deliveries that wait for no other one, those tried least often first.

    Of `lanes`, or of all. The webhook is locked. Answers whose turn it is now.
    """
    before = delivery.alias()
    behind = (
        sa.exists()
        .where(
            before.c.webhook_id == _D.webhook_id,
            before.c.lane == _D.lane,
            before.c.no < _D.no,
            before.c.holds,
            before.c.state.in_(OPEN),
        )
        .correlate(delivery)
    )
    ready = sa.select(_D.delivery_id).where(
        _D.webhook_id == webhook_id, _D.state == "queued", sa.or_(sa.not_(_D.holds), sa.not_(behind))
    )
    if lanes is not None:
        ready = ready.where(tx.among(_D.lane, sorted(lanes)))
    found = list(tx.execute(ready.order_by(_D.tries, _D.no).limit(limit)).scalars())
    if found:
        tx.execute(delivery.update().where(tx.among(_D.delivery_id, found)).values(state="pending", next_at=None))
    for delivery_id in found:
        tx.intend("webhook", delivery_id, {"webhook_id": webhook_id})
    return found


def find_delivery(tx: UnitOfWork, delivery_id: str) -> sa.RowMapping | None:
    """The row; lock its webhook before you decide by it."""
    return tx.execute(sa.select(delivery).where(_D.delivery_id == delivery_id)).mappings().one_or_none()


def lock_webhooks_of(tx: UnitOfWork, delivery_ids: list[str]) -> None:
    """Lock the webhooks that these deliveries go to."""
    theirs = sa.select(_D.webhook_id).where(tx.among(_D.delivery_id, delivery_ids)).distinct()
    webhooks.lock(tx, sorted(tx.execute(theirs).scalars()))


def change(tx: UnitOfWork, delivery_id: str, **values: Any) -> None:
    """Write columns of one delivery."""
    tx.execute(delivery.update().where(_D.delivery_id == delivery_id).values(**values))


def add_attempt(tx: UnitOfWork, **row: Any) -> None:
    """Note one attempt in the log."""
    tx.execute(delivery_attempt.insert().values(**row))


def forget(tx: UnitOfWork, webhook_id: str) -> None:
    """Remove a webhook with its log; the row is locked."""
    _remove(tx, sa.select(_D.delivery_id).where(_D.webhook_id == webhook_id))
    tx.execute(webhook.delete().where(webhook.c.webhook_id == webhook_id))


def forget_old(tx: UnitOfWork, webhook_id: str, before: datetime, limit: int = 500) -> None:
    """Remove some of a webhook's oldest deliveries, if they are older than `before`."""
    oldest = sa.select(_D.delivery_id).where(_D.webhook_id == webhook_id, _D.created_at < before)
    _remove(tx, oldest.order_by(_D.no).limit(limit))


def _remove(tx: UnitOfWork, which: sa.Select[Any]) -> None:
    attempts = delivery_attempt.c.delivery_id
    tx.execute(delivery_attempt.delete().where(attempts.in_(which)))
    tx.execute(delivery.delete().where(_D.delivery_id.in_(which)))
