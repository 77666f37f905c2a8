"""What others told us: of shops (account) and of stock (inventory)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from services.catalog.store.tables import seller, sku_stock
from shared.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Shop:
    seller_id: str
    account_id: str
    shop_name: str
    currency: str
    approved: bool


def keep_shop(tx: UnitOfWork, one: Shop) -> None:
    """Remember the shop; its row stays locked until the transaction ends."""
    statement = tx.insert(seller).values(vars(one))
    changed = {name: statement.excluded[name] for name in vars(one) if name != "seller_id"}
    tx.execute(statement.on_conflict_do_update(index_elements=[seller.c.seller_id], set_=changed))


def suspend_shop(tx: UnitOfWork, seller_id: str) -> None:
    """The shop may not sell; its row stays locked until the transaction ends."""
    tx.execute(seller.update().where(seller.c.seller_id == seller_id).values(approved=False))


def find_shop(tx: UnitOfWork, seller_id: str) -> Shop | None:
    """The shop, which stays as it is until the transaction ends: a suspension waits, then sees what we did."""
    row = tx.execute(sa.select(seller).where(seller.c.seller_id == seller_id).with_for_update(read=True)).one_or_none()
    return Shop(**row._mapping) if row else None


def keep_stock(tx: UnitOfWork, rows: Sequence[dict[str, Any]], *, anew: bool = True) -> None:
    """Rows ``{sku, seller_id, sold_out}``, each SKU once. Not `anew`: what is known of a SKU stays."""
    statement = tx.insert(sku_stock)
    changed = {"sold_out": statement.excluded.sold_out, "seller_id": statement.excluded.seller_id}
    key = [sku_stock.c.sku]
    tx.execute(
        statement.on_conflict_do_update(index_elements=key, set_=changed)
        if anew
        else statement.on_conflict_do_nothing(index_elements=key),
        sorted(rows, key=lambda row: str(row["sku"])),
    )


def stock_of(source: Any, seller_id: str, codes: Sequence[str]) -> dict[str, bool]:
    """``{SKU: sold out}`` of this seller's SKUs that have a stock record. `source`: a transaction or a
    reading."""
    columns = sku_stock.c
    rows = source.execute(
        sa.select(columns.sku, columns.sold_out).where(columns.sku.in_(codes), columns.seller_id == seller_id)
    )
    return {row.sku: row.sold_out for row in rows}
