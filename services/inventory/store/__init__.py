"""Where warehouses, stock, its ledger and the reservations are kept.

Lock order, everywhere: reservations by id, then returns by shipment, then transfers, then SKUs, then their stock by
(SKU, warehouse); each with one statement for a whole batch. The SKU's row is the lock of all its stock, so that what is
read of a SKU is all there is of it, even while a warehouse gets it for the first time.
"""

from services.inventory.store.book import (
    GOODS_CAME_IN,
    lock_reservations,
    lock_shelves,
    lock_waiting,
    shelves,
    waiters,
)
from services.inventory.store.known import Warehouse, add_warehouse, find_warehouse, keep_skus, note_delisted
from services.inventory.store.tables import (
    metadata,
    movement,
    reservations,
    returns,
    sku,
    stock,
    transfers,
    waiting,
    warehouse,
)

__all__ = [
    "GOODS_CAME_IN",
    "Warehouse",
    "add_warehouse",
    "find_warehouse",
    "keep_skus",
    "lock_reservations",
    "lock_shelves",
    "lock_waiting",
    "metadata",
    "movement",
    "note_delisted",
    "reservations",
    "returns",
    "shelves",
    "sku",
    "stock",
    "transfers",
    "waiters",
    "waiting",
    "warehouse",
]
