"""What can be looked up: warehouses, stock, its ledger, what is promised to an order, what came back,
and what is on its way between warehouses.

`seller_id` narrows to one shop; None sees all, which only operators may.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from services.inventory.domain.reservation import sale
from services.inventory.domain.returned import NoSuchReturn, Return
from services.inventory.domain.stock import NoSuchReservation, NoSuchSku, NoSuchWarehouse, Stock
from services.inventory.domain.transfer import NoSuchTransfer, Transfer
from services.inventory.store import Warehouse, movement, reservations, returns, sku, stock, transfers, warehouse
from shared.kernel.errors import Invalid
from shared.web.door import Reading, page

Row = dict[str, Any]
_FREE = stock.c.on_hand - stock.c.held - stock.c.allocated - stock.c.backordered


def warehouse_view(one: Warehouse) -> Row:
    return {
        "warehouse_id": one.warehouse_id,
        "seller_id": one.seller_id,
        "title": one.title,
        "region": one.region,
        "opened_at": one.opened_at,
    }


def stock_view(row: Stock) -> Row:
    return {
        "sku": row.sku,
        "warehouse_id": row.warehouse_id,
        "seller_id": row.seller_id,
        "on_hand": row.on_hand,
        "held": row.held,
        "allocated": row.allocated,
        "backordered": row.backordered,
        "available": row.available,
        "low_threshold": row.low_threshold,
        "backorder_limit": row.backorder_limit,
        "low": row.is_low,
    }


def get_warehouse(reading: Reading, warehouse_id: str, seller_id: str | None) -> Row:
    """Raises NoSuchWarehouse."""
    found = reading.execute(
        sa.select(warehouse).where(warehouse.c.warehouse_id == warehouse_id, *_of(warehouse, seller_id))
    ).one_or_none()
    if found is None:
        raise NoSuchWarehouse()
    return dict(found._mapping)


def list_warehouses(reading: Reading, seller_id: str | None, limit: int, cursor: str | None) -> Row:
    """Oldest first."""
    after = [warehouse.c.warehouse_id > cursor] if cursor else []
    rows = reading.execute(
        sa.select(warehouse)
        .where(*_of(warehouse, seller_id), *after)
        .order_by(warehouse.c.warehouse_id)
        .limit(limit + 1)
    )
    return page([dict(row._mapping) for row in rows], limit, lambda row: str(row["warehouse_id"]))


def get_stock(reading: Reading, one: str, seller_id: str | None) -> Row:
    """A SKU in all warehouses. Raises NoSuchSku."""
    known = _known(reading, one, seller_id)
    rows = [
        stock_view(Stock(**row))
        for row in reading.execute(sa.select(stock).where(stock.c.sku == one).order_by(stock.c.warehouse_id)).mappings()
    ]
    sums = {
        name: sum(row[name] for row in rows) for name in ("on_hand", "held", "allocated", "backordered", "available")
    }
    return dict(known._mapping) | sums | {"warehouses": rows}


def list_stock(
    reading: Reading,
    seller_id: str | None,
    limit: int,
    cursor: str | None,
    *,
    warehouse_id: str | None = None,
    product_id: str | None = None,
    low: bool | None = None,
) -> Row:
    """Stock by SKU and warehouse. `low`: only what is below its threshold, or only what is not."""
    wanted = sa.select(stock).where(*_of(stock, seller_id))
    if warehouse_id is not None:
        wanted = wanted.where(stock.c.warehouse_id == warehouse_id)
    if product_id is not None:
        wanted = wanted.join(sku, sku.c.sku == stock.c.sku).where(sku.c.product_id == product_id)
    if low is not None:
        is_low = sa.and_(stock.c.low_threshold > 0, stock.c.low_threshold > _FREE)
        wanted = wanted.where(is_low if low else sa.not_(is_low))
    if cursor is not None:
        where, dot, last = cursor.partition(".")
        if not dot:
            raise Invalid(field="cursor")
        wanted = wanted.where(sa.tuple_(stock.c.sku, stock.c.warehouse_id) > sa.tuple_(last, where))
    rows = reading.execute(wanted.order_by(stock.c.sku, stock.c.warehouse_id).limit(limit + 1)).mappings()
    found = [stock_view(Stock(**row)) for row in rows]
    return page(found, limit, lambda row: f"{row['warehouse_id']}.{row['sku']}")


def list_movements(
    reading: Reading,
    one: str,
    seller_id: str | None,
    limit: int,
    cursor: int | None,
    *,
    warehouse_id: str | None = None,
) -> Row:
    """A SKU's ledger, newest first. Raises NoSuchSku."""
    _known(reading, one, seller_id)
    wanted = sa.select(movement).where(movement.c.sku == one)
    if warehouse_id is not None:
        wanted = wanted.where(movement.c.warehouse_id == warehouse_id)
    if cursor is not None:
        wanted = wanted.where(movement.c.no < cursor)
    rows = reading.execute(wanted.order_by(movement.c.no.desc()).limit(limit + 1))
    return page([dict(row._mapping) for row in rows], limit, lambda row: str(row["no"]))


def get_reservation(reading: Reading, order_no: str, seller_id: str | None) -> Row:
    """What is promised to an order. Raises NoSuchReservation."""
    table = reservations.table
    body = reading.execute(
        sa.select(table.c.body).where(table.c.reservation_id == sale(order_no), *_of(table, seller_id))
    ).scalar()
    if body is None:
        raise NoSuchReservation()
    found = reservations.decode(body)
    parts = [vars(part) for part in found.parts]
    return vars(found) | {"parts": parts}


def return_view(one: Return) -> Row:
    return vars(one) | {"lines": _plain(one.lines), "findings": _plain(one.findings)}


def get_return(reading: Reading, shipment_id: str, seller_id: str | None) -> Row:
    """A parcel that came back. Raises NoSuchReturn."""
    found = returns.peek(reading.connection, shipment_id)
    if seller_id not in (None, found.seller_id):
        raise NoSuchReturn()
    return return_view(found)


def list_returns(
    reading: Reading, seller_id: str | None, limit: int, cursor: str | None, *, state: str | None = None
) -> Row:
    """Those whose shipment was planned first come first."""
    table = returns.table
    wanted = sa.select(table.c.body).where(*_of(table, seller_id))
    if state is not None:
        wanted = wanted.where(table.c.state == state)
    if cursor is not None:
        wanted = wanted.where(table.c.shipment_id > cursor)
    bodies = reading.execute(wanted.order_by(table.c.shipment_id).limit(limit + 1)).scalars()
    return page([return_view(returns.decode(body)) for body in bodies], limit, lambda row: str(row["shipment_id"]))


def transfer_view(one: Transfer) -> Row:
    return vars(one) | {"lines": [vars(line) | {"missing": line.missing} for line in one.lines]}


def get_transfer(reading: Reading, transfer_id: str, seller_id: str | None) -> Row:
    """Goods on their way, or arrived. Raises NoSuchTransfer."""
    found = transfers.peek(reading.connection, transfer_id)
    if seller_id not in (None, found.seller_id):
        raise NoSuchTransfer()
    return transfer_view(found)


def list_transfers(
    reading: Reading, seller_id: str | None, limit: int, cursor: str | None, *, state: str | None = None
) -> Row:
    """Oldest first."""
    table = transfers.table
    wanted = sa.select(table.c.body).where(*_of(table, seller_id))
    if state is not None:
        wanted = wanted.where(table.c.state == state)
    if cursor is not None:
        wanted = wanted.where(table.c.transfer_id > cursor)
    bodies = reading.execute(wanted.order_by(table.c.transfer_id).limit(limit + 1)).scalars()
    return page([transfer_view(transfers.decode(body)) for body in bodies], limit, lambda row: str(row["transfer_id"]))


def _plain(lines: Iterable[Any]) -> list[Row]:
    return [asdict(line) for line in lines]


def _known(reading: Reading, one: str, seller_id: str | None) -> Any:
    known = reading.execute(sa.select(sku).where(sku.c.sku == one, *_of(sku, seller_id))).one_or_none()
    if known is None:
        raise NoSuchSku()
    return known


def _of(table: sa.Table, seller_id: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if seller_id is None else [table.c.seller_id == seller_id]
