"""What inventory does when nothing happens: ends holds nobody came back for, serves those who waited."""

from __future__ import annotations

from services.inventory import store
from shared.messaging.subscriptions import Timers
from shared.storage.unit_of_work import UnitOfWork

HOLD_ENDS = "hold_ends"

due = Timers()


@due(HOLD_ENDS, lock=store.lock_reservations)
def expire(tx: UnitOfWork, reservation_id: str) -> None:
    """Order and payment end a hold in time; when both were silent, the goods go back on sale and order is
    told.
    """
    shelves = store.shelves(tx)
    answer = store.reservations.get(tx, reservation_id).expire(shelves, tx.now())
    if answer is not None:
        tx.emit(answer, *shelves.news())


@due(store.GOODS_CAME_IN, lock=store.lock_waiting)
def fill_backorders(tx: UnitOfWork, sku: str) -> None:
    """What came in, or was given back, goes to those who were promised it, in the order they came."""
    shelves = store.shelves(tx)
    for reservation in store.waiters(tx, sku):
        tx.emit(*reservation.fill(shelves, sku))
    tx.emit(*shelves.news())
    if shelves.is_owed(sku):  # more of them wait than are served at once, or one came while we looked
        tx.set_timer(sku, store.GOODS_CAME_IN, tx.now())
