"""Sellers' warehouses, and the SKUs that catalogue spoke of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.inventory.store.tables import sku, warehouse
from shared.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Warehouse:
    warehouse_id: str
    seller_id: str
    title: str
    region: str
    opened_at: datetime


def add_warehouse(tx: UnitOfWork, one: Warehouse) -> None:
    tx.execute(warehouse.insert(), vars(one))


def find_warehouse(tx: UnitOfWork, warehouse_id: str, seller_id: str) -> Warehouse | None:
    """A seller's own warehouse. It is never changed, so it is not locked."""
    row = tx.execute(
        sa.select(warehouse).where(warehouse.c.warehouse_id == warehouse_id, warehouse.c.seller_id == seller_id)
    ).one_or_none()
    return None if row is None else Warehouse(**row._mapping)


def keep_skus(
    tx: UnitOfWork, product_id: str, seller_id: str, title: str, skus: Iterable[str], *, listed: bool
) -> None:
    """Take note of a product's SKUs. One that is another seller's stays theirs."""
    rows = [
        {"sku": one, "seller_id": seller_id, "product_id": product_id, "title": title, "listed": listed}
        for one in sorted(set(skus))
    ]
    if rows:
        statement = tx.insert(sku)
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=[sku.c.sku],
                set_={name: statement.excluded[name] for name in ("product_id", "title", "listed")},
                where=sku.c.seller_id == statement.excluded.seller_id,
            ),
            rows,
        )


def note_delisted(tx: UnitOfWork, product_id: str, seller_id: str) -> None:
    tx.execute(sku.update().where(sku.c.product_id == product_id, sku.c.seller_id == seller_id).values(listed=False))
