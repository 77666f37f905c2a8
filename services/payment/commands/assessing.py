"""Risk: weigh each order when it is placed."""

from __future__ import annotations

from services.payment import store
from services.payment.domain import risk
from shared.contracts.order import OrderPlaced
from shared.storage.unit_of_work import UnitOfWork


def assess(tx: UnitOfWork, order: OrderPlaced) -> None:
    """Weigh it, remember why, and say what we think."""
    habits = store.load_habits(tx, [order.buyer_id])[order.buyer_id]
    weighed = risk.assess(order, habits, tx.now())
    store.add_assessment(tx, order, weighed)
    tx.emit(weighed)
