"""What a warehouse's people do. The shipment's row lock decides between them and whoever stops the order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from services.shipping import store
from services.shipping.domain import Shipment
from services.shipping.domain.shipment import NoSuchShipment
from services.shipping.gateways import Wish
from shared.contracts.shipping import Parcel
from shared.kernel.errors import Conflict, Invalid, Refusal
from shared.storage.unit_of_work import UnitOfWork

LOOK_AFTER = timedelta(days=1)
"""How often the carrier is asked about a shipment under way, in case a report was lost."""
CASH_WITHIN = timedelta(days=1)
"""So long after a delivery without its cash, and the carrier is asked for it."""


class WarehouseUnknown(Conflict):
    """What inventory says of this warehouse has not arrived yet; try again in a moment."""


def own(tx: UnitOfWork, seller_id: str | None, shipment_id: str) -> Shipment:
    """The shop's own shipment, locked. Raises NoSuchShipment."""
    shipment = store.shipments.get(tx, shipment_id)
    if seller_id is None or shipment.seller_id != seller_id:
        raise NoSuchShipment()
    return shipment


def pick(tx: UnitOfWork, seller_id: str | None, shipment_id: str, by: str) -> Shipment:
    """Begin to pick. Raises NoSuchShipment, WrongShipmentState."""
    shipment = own(tx, seller_id, shipment_id)
    tx.emit(*shipment.pick(by, tx.now()))
    return shipment


def pack(
    tx: UnitOfWork,
    seller_id: str | None,
    shipment_id: str,
    *,
    parcels: list[dict[str, Any]],
    service: str | None = None,
) -> Shipment:
    """Close the parcels; the carrier is booked after commit. Raises WarehouseUnknown beside the domain's."""
    shipment = own(tx, seller_id, shipment_id)
    origin = store.warehouse_region(tx, shipment.warehouse_id)
    if origin is None:
        raise WarehouseUnknown(state=shipment.state, possible=[], retry_after=2)
    if not shipment.pack(tuple(Parcel(**parcel) for parcel in parcels), service, tx.now()):
        return shipment
    wish = Wish(
        shipment.packings, shipment.booking_ref, shipment.service, origin, shipment.region, shipment.parcels,
        shipment.cod_amount, shipment.currency,
    )  # fmt: skip
    data = {"shipment_id": shipment_id, "carrier": shipment.carrier, "wish": msgspec.to_builtins(wish)}
    tx.intend("book", shipment.booking_ref, data)
    return shipment


def hand_over(tx: UnitOfWork, seller_id: str | None, shipment_id: str) -> Shipment:
    """The courier took it. Raises NoSuchShipment, WrongShipmentState, BookingPending, BookingRefused."""
    shipment = own(tx, seller_id, shipment_id)
    watched(tx, shipment, lambda: tx.emit(*shipment.hand_over(tx.now())))
    return shipment


def batch(
    tx: UnitOfWork, seller_id: str | None, deed: str, wishes: Sequence[dict[str, Any]], by: str
) -> list[tuple[str, Shipment | Refusal]]:
    """The same deed for many shipments, each done or refused by itself. Raises Invalid when one is named twice."""
    named = [wish["shipment_id"] for wish in wishes]
    if len(set(named)) < len(named):
        raise Invalid("a shipment is named twice", field="shipments")
    store.shipments.lock(tx, sorted(named))
    deeds: dict[str, Callable[[dict[str, Any]], Shipment]] = {
        "pick": lambda wish: pick(tx, seller_id, wish["shipment_id"], by),
        "pack": lambda wish: pack(tx, seller_id, **wish),
        "hand-over": lambda wish: hand_over(tx, seller_id, wish["shipment_id"]),
    }
    outcomes: list[tuple[str, Shipment | Refusal]] = []
    for place, wish in enumerate(wishes):
        if (deed == "pack") != (wish["parcels"] is not None):
            raise Invalid("`parcels` are told when packing, and only then", field=f"shipments.{place}.parcels")
        try:
            outcomes.append((wish["shipment_id"], deeds[deed](wish)))
        except Refusal as refused:  # every deed refuses before it changes anything
            outcomes.append((wish["shipment_id"], refused))
    return outcomes


def watched(tx: UnitOfWork, shipment: Shipment, change: Callable[[], None]) -> None:
    """Make a change; set or forget the deadlines that go with leaving the house and with the way's end."""
    was_in, was_underway, was_owed = shipment.stoppable, shipment.underway, shipment.cash_owed
    change()
    if was_in and not shipment.stoppable:
        tx.cancel_timer(shipment.shipment_id, "ship_by")
    if shipment.underway and not was_underway:
        tx.set_timer(shipment.shipment_id, "tracking", tx.now() + LOOK_AFTER)
    elif not shipment.underway:
        tx.cancel_timer(shipment.shipment_id, "tracking")
    if shipment.cash_owed and not was_owed:
        tx.set_timer(shipment.shipment_id, "cash", tx.now() + CASH_WITHIN)
    elif was_owed and not shipment.cash_owed:
        tx.cancel_timer(shipment.shipment_id, "cash")
