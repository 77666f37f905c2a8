"""What happens when nothing happens: merchants' systems that did not answer are tried again."""

from __future__ import annotations

from services.support import commands, store
from shared.messaging.subscriptions import Timers
from shared.storage.unit_of_work import UnitOfWork

due = Timers()


@due("webhook_retry", lock=store.lock_webhooks_of)
def try_again(tx: UnitOfWork, delivery_id: str) -> None:
    """The pause after a failed attempt is over."""
    commands.deliveries.try_again(tx, delivery_id)


@due("webhook_go", lock=store.webhooks.lock)
def go(tx: UnitOfWork, webhook_id: str) -> None:
    """A webhook was left alone long enough, or has more waiting than goes at once."""
    commands.deliveries.go(tx, webhook_id)
