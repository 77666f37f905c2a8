"""What sellers may ask of their warehouses, stock and returns, and operators may see of everybody's."""

from __future__ import annotations

from typing import Any

from services.inventory import commands, queries
from services.inventory.domain.stock import NoShop, Stock
from services.inventory.schemas import (
    AdjustStock,
    CountStock,
    InspectReturn,
    MovementPage,
    MovementQuery,
    OpenWarehouse,
    ReceiveStock,
    ReceiveTransfer,
    ReservationView,
    ReturnPage,
    ReturnQuery,
    ReturnView,
    SendTransfer,
    SkuStockView,
    StockLines,
    StockPage,
    StockQuery,
    StockTerms,
    StockView,
    TransferPage,
    TransferQuery,
    TransferView,
    WarehousePage,
    WarehouseQuery,
    WarehouseView,
)
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import OPERATOR, SELLER, Principal
from shared.web.door import Door, Reading

door = Door("inventory", __name__, description="Warehouses, stock and returns")

Body = dict[str, Any]


@door.post("/warehouses", who={SELLER}, body=OpenWarehouse, answer=WarehouseView, status=201)
def post_warehouse(tx: UnitOfWork, who: Principal, body: Body) -> Any:
    """Open a warehouse."""
    warehouse = commands.open_warehouse(tx, _shop(who), **body)
    return queries.warehouse_view(warehouse), {"Location": f"/v1/warehouses/{warehouse.warehouse_id}"}


@door.get("/warehouses", who={SELLER, OPERATOR}, query=WarehouseQuery, answer=WarehousePage)
def get_warehouses(reading: Reading, who: Principal, query: Body) -> Any:
    """The shop's warehouses; an operator sees all, or those of `seller_id`."""
    return queries.list_warehouses(reading, _scope(who, query), query["limit"], query["cursor"])


@door.get("/warehouses/<warehouse_id>", who={SELLER, OPERATOR}, answer=WarehouseView)
def get_warehouse(reading: Reading, who: Principal, warehouse_id: str) -> Any:
    """One warehouse."""
    return queries.get_warehouse(reading, warehouse_id, _scope(who))


@door.post("/stock-receipts", who={SELLER}, body=ReceiveStock, answer=StockLines, status=201)
def post_stock_receipt(tx: UnitOfWork, who: Principal, body: Body) -> Any:
    """Put goods into a warehouse: all lines or none. Without an Idempotency-Key a retry does it twice."""
    return _lines(body, commands.receive(tx, _shop(who), who.account_id, **body))


@door.post("/stock-adjustments", who={SELLER}, body=AdjustStock, answer=StockLines, status=201)
def post_stock_adjustment(tx: UnitOfWork, who: Principal, body: Body) -> Any:
    """Correct the books up or down: all lines or none. What is promised to orders stays."""
    return _lines(body, commands.adjust(tx, _shop(who), who.account_id, **body))


@door.post("/stocktakes", who={SELLER}, body=CountStock, answer=StockLines, status=201)
def post_stocktake(tx: UnitOfWork, who: Principal, body: Body) -> Any:
    """Make the books say what was counted: all lines or none."""
    return _lines(body, commands.count(tx, _shop(who), who.account_id, **body))


@door.put("/stock/<sku>/warehouses/<warehouse_id>", who={SELLER}, body=StockTerms, answer=StockView)
def put_stock_terms(tx: UnitOfWork, who: Principal, sku: str, warehouse_id: str, body: Body) -> Any:
    """Say when a SKU is low in a warehouse, and how many may be sold before they are there."""
    return queries.stock_view(commands.agree(tx, _shop(who), sku, warehouse_id, **body))


@door.get("/stock", who={SELLER, OPERATOR}, query=StockQuery, answer=StockPage)
def get_stock_list(reading: Reading, who: Principal, query: Body) -> Any:
    """Stock by SKU and warehouse."""
    filters = {name: query[name] for name in ("warehouse_id", "product_id", "low") if name in query}
    return queries.list_stock(reading, _scope(who, query), query["limit"], query["cursor"], **filters)


@door.get("/stock/<sku>", who={SELLER, OPERATOR}, answer=SkuStockView)
def get_stock(reading: Reading, who: Principal, sku: str) -> Any:
    """A SKU's stock in all warehouses."""
    return queries.get_stock(reading, sku, _scope(who))


@door.get("/stock/<sku>/movements", who={SELLER, OPERATOR}, query=MovementQuery, answer=MovementPage)
def get_movements(reading: Reading, who: Principal, sku: str, query: Body) -> Any:
    """A SKU's ledger, newest first: every change, by how much, and because of what."""
    return queries.list_movements(
        reading, sku, _scope(who), query["limit"], query["cursor"], warehouse_id=query.get("warehouse_id")
    )


@door.get("/reservations/<order_no>", who={SELLER, OPERATOR}, answer=ReservationView)
def get_reservation(reading: Reading, who: Principal, order_no: str) -> Any:
    """What is promised to an order."""
    return queries.get_reservation(reading, order_no, _scope(who))


@door.get("/returns", who={SELLER, OPERATOR}, query=ReturnQuery, answer=ReturnPage)
def get_returns(reading: Reading, who: Principal, query: Body) -> Any:
    """Parcels of sold goods that came back, undelivered or refused at the door."""
    return queries.list_returns(reading, _scope(who, query), query["limit"], query["cursor"], state=query.get("state"))


@door.get("/returns/<shipment_id>", who={SELLER, OPERATOR}, answer=ReturnView)
def get_return(reading: Reading, who: Principal, shipment_id: str) -> Any:
    """A parcel that came back."""
    return queries.get_return(reading, shipment_id, _scope(who))


@door.post("/returns/<shipment_id>/inspection", who={SELLER}, body=InspectReturn, answer=ReturnView, status=201)
def post_inspection(tx: UnitOfWork, who: Principal, shipment_id: str, body: Body) -> Any:
    """Say of every unit that came back whether it can be sold again. Once: what can be is on sale from now on."""
    return queries.return_view(commands.inspect(tx, _shop(who), who.account_id, shipment_id, **body))


@door.post("/transfers", who={SELLER}, body=SendTransfer, answer=TransferView, status=201)
def post_transfer(tx: UnitOfWork, who: Principal, body: Body) -> Any:
    """Send goods to another of the shop's warehouses: all lines or none, and only what no order was promised. Until
    they are received nobody can order them. Without an Idempotency-Key a retry sends as much again.
    """
    sent = commands.transfer(tx, _shop(who), who.account_id, **body)
    return queries.transfer_view(sent), {"Location": f"/v1/transfers/{sent.transfer_id}"}


@door.get("/transfers", who={SELLER, OPERATOR}, query=TransferQuery, answer=TransferPage)
def get_transfers(reading: Reading, who: Principal, query: Body) -> Any:
    """Goods sent from warehouse to warehouse."""
    scope, state = _scope(who, query), query.get("state")
    return queries.list_transfers(reading, scope, query["limit"], query["cursor"], state=state)


@door.get("/transfers/<transfer_id>", who={SELLER, OPERATOR}, answer=TransferView)
def get_transfer(reading: Reading, who: Principal, transfer_id: str) -> Any:
    """One transfer."""
    return queries.get_transfer(reading, transfer_id, _scope(who))


@door.post("/transfers/<transfer_id>/receipt", who={SELLER}, body=ReceiveTransfer, answer=TransferView, status=201)
def post_transfer_receipt(tx: UnitOfWork, who: Principal, transfer_id: str, body: Body) -> Any:
    """Say how many units of each line arrived, once. They can be ordered from now on; the rest is missing."""
    return queries.transfer_view(commands.receive_transfer(tx, _shop(who), who.account_id, transfer_id, **body))


def _shop(who: Principal) -> str:
    if who.seller_id is None:
        raise NoShop()
    return who.seller_id


def _scope(who: Principal, query: Body | None = None) -> str | None:
    """Whose things the caller may see: everybody's for operators (or those they ask for), else the shop's
    own.
    """
    if who.has(OPERATOR):
        return (query or {}).get("seller_id")
    return _shop(who)


def _lines(body: Body, rows: list[Stock]) -> Body:
    return {"warehouse_id": body["warehouse_id"], "lines": [queries.stock_view(row) for row in rows]}
