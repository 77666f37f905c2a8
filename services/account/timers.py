"""What happens when nothing happens: suspensions end."""

from __future__ import annotations

from services.account import commands, store
from shared.messaging.subscriptions import Timers
from shared.storage.unit_of_work import UnitOfWork

due = Timers()


@due(commands.shops.SUSPENSION_ENDS, lock=store.shops.shops.lock)
def end_suspension(tx: UnitOfWork, seller_id: str) -> None:
    """A suspension for a time is over."""
    commands.shops.end_suspension(tx, seller_id)
