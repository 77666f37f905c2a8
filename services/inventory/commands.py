"""What sellers ask inventory to do: open warehouses, put stock in, take it out, count it, say how it is kept, send it
from one warehouse to another, and inspect what came back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.inventory import store
from services.inventory.domain.returned import Finding, NoSuchReturn, Return
from services.inventory.domain.stock import (
    AdjustmentReason,
    NoSuchSku,
    NoSuchWarehouse,
    RepeatedSku,
    Shelves,
    Stock,
    StockMoved,
    UnknownSku,
    UnknownWarehouse,
)
from services.inventory.domain.transfer import NoSuchTransfer, SameWarehouse, Transfer, TransferLine
from services.inventory.store import Warehouse
from shared.contracts.inventory import WarehouseOpened
from shared.kernel.errors import Refusal
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork

Line = dict[str, Any]


def open_warehouse(tx: UnitOfWork, seller_id: str, *, title: str, region: str) -> Warehouse:
    """A warehouse is in use from now on."""
    warehouse = Warehouse(new_id(), seller_id, title, region, tx.now())
    store.add_warehouse(tx, warehouse)
    tx.emit(WarehouseOpened(warehouse_id=warehouse.warehouse_id, seller_id=seller_id, title=title, region=region))
    return warehouse


def receive(
    tx: UnitOfWork, seller_id: str, by: str, *, warehouse_id: str, lines: Sequence[Line], reference: str = ""
) -> list[Stock]:
    """Put goods in. All lines or none. Raises UnknownWarehouse, UnknownSku, RepeatedSku, TooMuchStock."""
    return _adjust(tx, seller_id, by, warehouse_id, lines, "received", lambda line, _row: line["qty"], reference)


def adjust(
    tx: UnitOfWork,
    seller_id: str,
    by: str,
    *,
    warehouse_id: str,
    lines: Sequence[Line],
    reason: AdjustmentReason,
    reference: str = "",
) -> list[Stock]:
    """Correct the books by so many units, up or down. Raises StockPromised too."""
    return _adjust(tx, seller_id, by, warehouse_id, lines, reason, lambda line, _row: line["delta"], reference)


def count(
    tx: UnitOfWork, seller_id: str, by: str, *, warehouse_id: str, lines: Sequence[Line], reference: str = ""
) -> list[Stock]:
    """Make the books say what was counted. Raises StockMoved where they had not said what the counter
    `expected`.
    """

    def delta(line: Line, row: Stock) -> int:
        if line.get("expected") not in (None, row.on_hand):
            raise StockMoved(on_hand=row.on_hand)
        return int(line["counted"]) - row.on_hand

    return _adjust(tx, seller_id, by, warehouse_id, lines, "stocktake", delta, reference)


def agree(
    tx: UnitOfWork, seller_id: str, sku: str, warehouse_id: str, *, low_threshold: int, backorder_limit: int
) -> Stock:
    """From which number on a SKU is low in a warehouse, and how many may be sold before they are there.

    Raises NoSuchSku, NoSuchWarehouse. Promises that were given before under a higher limit are kept.
    """
    if store.find_warehouse(tx, warehouse_id, seller_id) is None:
        raise NoSuchWarehouse()
    shelves = store.lock_shelves(tx, [sku])
    if shelves.owner(sku) != seller_id:
        raise NoSuchSku()
    row = shelves.agree(sku, warehouse_id, low_threshold=low_threshold, backorder_limit=backorder_limit)
    tx.emit(*shelves.news())
    return row


def inspect(tx: UnitOfWork, seller_id: str, by: str, shipment_id: str, *, lines: Sequence[Line]) -> Return:
    """Say of every unit that came back what it is worth. What is fit for sale is stock again.

    Raises NoSuchReturn, AlreadyInspected, LineNotReturned, UnitsDoNotAddUp, TooMuchStock.
    """
    returned = store.returns.get(tx, shipment_id)
    if returned.seller_id != seller_id:
        raise NoSuchReturn()
    shelves = store.lock_shelves(tx, returned.skus)
    facts = returned.inspect([Finding(**line) for line in lines], shelves, by, tx.now())
    tx.emit(*facts, *shelves.news())
    return returned


def transfer(
    tx: UnitOfWork, seller_id: str, by: str, *, from_warehouse_id: str, to_warehouse_id: str, lines: Sequence[Line]
) -> Transfer:
    """Send goods to another warehouse of the shop: all lines or none, and only what nobody was promised.

    Raises SameWarehouse, UnknownWarehouse, UnknownSku, RepeatedSku, UnitsNotAvailable.
    """
    if from_warehouse_id == to_warehouse_id:
        raise SameWarehouse(field="to_warehouse_id")
    _own_warehouse(tx, seller_id, to_warehouse_id, "to_warehouse_id")
    skus = [line["sku"] for line in lines]
    shelves = _shelves(tx, seller_id, from_warehouse_id, skus, named="from_warehouse_id")
    sent = store.transfers.add(
        tx,
        Transfer(
            transfer_id=new_id(),
            seller_id=seller_id,
            from_warehouse_id=from_warehouse_id,
            to_warehouse_id=to_warehouse_id,
            lines=[TransferLine(**line) for line in lines],
            sent_at=tx.now(),
        ),
    )
    tx.emit(sent.send(shelves, by), *shelves.news())
    return sent


def receive_transfer(tx: UnitOfWork, seller_id: str, by: str, transfer_id: str, *, lines: Sequence[Line]) -> Transfer:
    """Say how much of each line arrived; the rest is missing. What arrived serves first those who wait for it.

    Raises NoSuchTransfer, AlreadyReceived, RepeatedSku, SkuNotTransferred, LineNotCounted, MoreThanSent, TooMuchStock.
    """
    sent = store.transfers.get(tx, transfer_id)
    if sent.seller_id != seller_id:
        raise NoSuchTransfer()
    _each_once([line["sku"] for line in lines])
    shelves = store.lock_shelves(tx, sent.skus)
    counted = {line["sku"]: line["received"] for line in lines}
    tx.emit(sent.receive(counted, shelves, by, tx.now()), *shelves.news())
    return sent


def _adjust(
    tx: UnitOfWork,
    seller_id: str,
    by: str,
    warehouse_id: str,
    lines: Sequence[Line],
    reason: AdjustmentReason,
    delta: Callable[[Line, Stock], int],
    reference: str,
) -> list[Stock]:
    shelves = _shelves(tx, seller_id, warehouse_id, [line["sku"] for line in lines])
    rows = []
    for number, line in enumerate(lines):
        row = shelves.at(line["sku"], warehouse_id)
        try:
            if units := delta(line, row):
                tx.emit(shelves.adjust(row.sku, warehouse_id, units, reason=reason, by=by, reference=reference))
        except Refusal as refusal:
            refusal.field = f"lines.{number}"
            raise
        rows.append(row)
    tx.emit(*shelves.news())
    return rows


def _shelves(
    tx: UnitOfWork, seller_id: str, warehouse_id: str, skus: list[str], *, named: str = "warehouse_id"
) -> Shelves:
    _own_warehouse(tx, seller_id, warehouse_id, named)
    _each_once(skus)
    shelves = store.lock_shelves(tx, skus)
    for number, sku in enumerate(skus):
        if shelves.owner(sku) != seller_id:
            raise UnknownSku(field=f"lines.{number}.sku")
    return shelves


def _own_warehouse(tx: UnitOfWork, seller_id: str, warehouse_id: str, field: str) -> None:
    if store.find_warehouse(tx, warehouse_id, seller_id) is None:
        raise UnknownWarehouse(field=field)


def _each_once(skus: list[str]) -> None:
    for number, sku in enumerate(skus):
        if sku in skus[:number]:
            raise RepeatedSku(field=f"lines.{number}.sku")
