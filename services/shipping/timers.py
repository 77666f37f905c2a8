"""What happens when nothing happens."""

from __future__ import annotations

from services.shipping import commands, store
from shared.messaging.subscriptions import Timers
from shared.storage.unit_of_work import UnitOfWork

due = Timers()


@due("ship_by", lock=store.shipments.lock)
def miss_ship_by(tx: UnitOfWork, shipment_id: str) -> None:
    """Not sent in time: the buyer may cancel without asking."""
    commands.miss_ship_by(tx, shipment_id)


@due("tracking", lock=store.shipments.lock)
def chase(tx: UnitOfWork, shipment_id: str) -> None:
    """A day under way has passed."""
    commands.chase(tx, shipment_id)


@due("cash", lock=store.shipments.lock)
def ask_for_cash(tx: UnitOfWork, shipment_id: str) -> None:
    """A day after the delivery no cash was told of."""
    commands.ask_for_cash(tx, shipment_id)
