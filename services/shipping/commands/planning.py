"""From a confirmed order to its shipments, and what is done when somebody wants it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from services.shipping import store
from services.shipping.domain import Booking, Dispatch, Shipment
from shared.contracts.inventory import BackorderFilled, StockAllocated
from shared.contracts.lines import SkuLine
from shared.contracts.order import OrderCancellationRequested, OrderCancelled, OrderConfirmed
from shared.kernel.errors import TooEarly
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork

SHIP_WITHIN = timedelta(hours=48)
"""The time to send goods that came in after the order's own `ship_by` was set."""


def confirm_order(tx: UnitOfWork, event: OrderConfirmed) -> None:
    """Keep what is to be sent and where; where from, inventory says."""
    dispatch = store.dispatches.find(tx, event.order_no)
    if dispatch is None:
        dispatch = store.dispatches.add(tx, Dispatch(event.order_no, event.group_no))
    dispatch.confirm(event)


def plan_shipments(tx: UnitOfWork, event: StockAllocated) -> None:
    """One shipment for each warehouse. Raises TooEarly when the order's confirmation is still on its way."""
    dispatch = _confirmed(tx, event.order_no)
    if dispatch is None or dispatch.planned:
        return
    units = [
        (line.warehouse_id, SkuLine(line_id=line.line_id, sku=line.sku, qty=line.qty))
        for line in event.allocations
        if line.qty
    ]
    _plan(tx, dispatch, units)


def plan_backorder(tx: UnitOfWork, event: BackorderFilled) -> None:
    """One more shipment, of what came in. Raises TooEarly when the first plan is not made yet."""
    dispatch = _confirmed(tx, event.order_no)
    if dispatch is None:
        return
    if not dispatch.planned and not dispatch.halted:
        raise TooEarly(f"order {event.order_no} is not planned yet")
    _plan(tx, dispatch, [(event.warehouse_id, SkuLine(line_id=event.line_id, sku=event.sku, qty=event.qty))])


def _confirmed(tx: UnitOfWork, order_no: str) -> Dispatch | None:
    """The order's dispatch; None when it was stopped. Raises TooEarly when nothing was heard of the order."""
    dispatch = store.dispatches.find(tx, order_no)
    if dispatch is not None and dispatch.halted:
        return None
    if dispatch is None or not dispatch.confirmed:
        raise TooEarly(f"order {order_no} is not confirmed yet")
    return dispatch


def _plan(tx: UnitOfWork, dispatch: Dispatch, units: list[tuple[str, SkuLine]]) -> None:
    now = tx.now()
    ship_by = dispatch.ship_by or now + SHIP_WITHIN
    if dispatch.planned:
        ship_by = max(ship_by, now + SHIP_WITHIN)
    for shipment in dispatch.plan((new_id() for _ in units), units, ship_by, now):
        store.shipments.add(tx, shipment)
        tx.emit(shipment.planned())
        tx.set_timer(shipment.shipment_id, "ship_by", shipment.ship_by)


def answer_cancellation(tx: UnitOfWork, event: OrderCancellationRequested) -> None:
    """Stop what has not left and say so, once for each request; without an order, leave a tombstone."""
    if event.stage != "paid":
        return
    dispatch = store.dispatches.find(tx, event.order_no)
    if dispatch is None:
        dispatch = store.dispatches.add(tx, Dispatch(event.order_no, event.group_no))
    shipments = store.shipments_of(tx, dispatch)
    answer, voids = dispatch.answer_request(event, shipments, tx.cause.causation_id, tx.now())
    tx.emit(answer)
    _tidy(tx, shipments, voids)


def stop_order(tx: UnitOfWork, event: OrderCancelled) -> None:
    """The order ended: nothing more leaves. An order never confirmed here has nothing to stop.

    No tombstone is needed: the confirmation is of the same aggregate, so it cannot come after this.
    """
    dispatch = store.dispatches.find(tx, event.order_no)
    if dispatch is None:
        return
    shipments = store.shipments_of(tx, dispatch)
    facts, voids = dispatch.cancel(shipments, tx.cause.causation_id, tx.now())
    tx.emit(*facts)
    _tidy(tx, shipments, voids)


def _tidy(tx: UnitOfWork, shipments: Sequence[Shipment], voids: Sequence[tuple[Shipment, Booking]]) -> None:
    """Forget the deadlines of what was stopped, and have void bookings withdrawn."""
    for shipment in shipments:
        if shipment.state == "CANCELLED":
            tx.cancel_timer(shipment.shipment_id, "ship_by")
    for shipment, booking in voids:
        void_booking(tx, shipment, booking)


def void_booking(tx: UnitOfWork, shipment: Shipment, booking: Booking) -> None:
    """Have a booking withdrawn that is no longer wanted."""
    reference = f"{shipment.shipment_id}.{booking.no}"
    data = {
        "shipment_id": shipment.shipment_id,
        "carrier": shipment.carrier,
        "carrier_ref": booking.carrier_ref,
    }
    tx.intend("void_booking", reference, data)


def miss_ship_by(tx: UnitOfWork, shipment_id: str) -> None:
    """The time to send it is over: say so, once."""
    shipment = store.shipments.find(tx, shipment_id)
    if shipment is not None:
        tx.emit(*shipment.miss_ship_by())
