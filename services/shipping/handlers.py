"""What shipping does when others have spoken."""

from __future__ import annotations

from collections.abc import Sequence

from services.shipping import commands, store
from shared.contracts.event import Fact
from shared.contracts.inventory import BackorderFilled, StockAllocated, WarehouseOpened
from shared.contracts.order import OrderCancellationRequested, OrderCancelled, OrderConfirmed
from shared.messaging.subscriptions import Subscriptions
from shared.storage.unit_of_work import UnitOfWork

on = Subscriptions("shipping")
_OF_ORDERS = (OrderConfirmed, StockAllocated, BackorderFilled, OrderCancellationRequested, OrderCancelled)


@on.batch
def lock_orders(facts: Sequence[Fact], tx: UnitOfWork) -> None:
    """Dispatches, then shipments, of all the batch's orders."""
    order_nos = [fact.order_no for fact in facts if isinstance(fact, _OF_ORDERS)]
    if order_nos:
        store.lock_orders(tx, order_nos)


@on(WarehouseOpened)
def keep_warehouse(event: WarehouseOpened, tx: UnitOfWork) -> None:
    """Parcels may be collected there."""
    store.keep_warehouse(tx, event.warehouse_id, event.region)


@on(OrderConfirmed)
def confirm_order(event: OrderConfirmed, tx: UnitOfWork) -> None:
    """Keep what goes where; wait for the warehouses."""
    commands.confirm_order(tx, event)


@on(StockAllocated)
def plan_shipments(event: StockAllocated, tx: UnitOfWork) -> None:
    """Plan one shipment per warehouse. Goods of an after-sale case are planned with the case."""
    if event.purpose == "sale":
        commands.plan_shipments(tx, event)


@on(BackorderFilled)
def plan_backorder(event: BackorderFilled, tx: UnitOfWork) -> None:
    """Plan one more shipment."""
    commands.plan_backorder(tx, event)


@on(OrderCancellationRequested)
def answer_cancellation(event: OrderCancellationRequested, tx: UnitOfWork) -> None:
    """Stop what has not left, and answer."""
    commands.answer_cancellation(tx, event)


@on(OrderCancelled)
def stop_order(event: OrderCancelled, tx: UnitOfWork) -> None:
    """Nothing more of it leaves."""
    commands.stop_order(tx, event)
