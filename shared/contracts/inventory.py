"""Facts of the inventory service: warehouses, stock on the shelf, and what of it is promised to whom."""

from dataclasses import dataclass
from typing import Literal

from shared.contracts.event import Fact
from shared.contracts.lines import Count, Moment, Purpose, Quantity, StockLine


@dataclass(frozen=True, kw_only=True)
class Shortage:
    line_id: str
    sku: str
    wanted: Quantity
    available: Count


@dataclass(frozen=True, kw_only=True)
class DeductedLine:
    line_id: str
    sku: str
    warehouse_id: str
    qty: Quantity
    on_hand_after: Count


Disposition = Literal["resellable", "refurbish", "scrap"]


@dataclass(frozen=True, kw_only=True)
class InspectedLine:
    """What was found of units that came back. `disposition` is what becomes of the accepted ones.

    A line whose units fare differently appears once for each finding.
    """

    line_id: str
    sku: str
    qty_accepted: Count
    qty_rejected: Count
    disposition: Disposition


@dataclass(frozen=True, kw_only=True)
class TransferredLine:
    """`qty` units were sent, of which `missing` did not arrive. `available` is what all warehouses have now."""

    sku: str
    qty: Quantity
    missing: Count
    available: Count


class WarehouseOpened(Fact, about="warehouse/warehouse_id", key="seller_id"):
    """A seller's warehouse is in use. Shipping may send from it."""

    warehouse_id: str
    seller_id: str
    title: str
    region: str


class StockReserved(Fact, about="reservation/reservation_id", key="group_no"):
    """All lines of an order are held until `expires_at`; order may ask for the money."""

    reservation_id: str
    group_no: str
    order_no: str
    seller_id: str
    purpose: Purpose
    lines: tuple[StockLine, ...]
    expires_at: Moment
    case_id: str | None = None


class StockReservationFailed(Fact, about="reservation/reservation_id", key="group_no"):
    """Stock does not suffice, nothing is held (or an expired hold can't be had again). Order cancels."""

    reservation_id: str
    group_no: str
    order_no: str
    seller_id: str
    purpose: Purpose
    shortages: tuple[Shortage, ...]
    case_id: str | None = None


class StockReservationExpired(Fact, about="reservation/reservation_id", key="group_no"):
    """A hold ran out with no word from the order, whose timer must have been lost: it asks payment now."""

    reservation_id: str
    group_no: str
    order_no: str
    lines: tuple[StockLine, ...]


class StockAllocated(Fact, about="reservation/reservation_id", key="group_no"):
    """A confirmed order's stock is firm. Shipping plans one shipment for each warehouse."""

    reservation_id: str
    group_no: str
    order_no: str
    seller_id: str
    purpose: Purpose
    allocations: tuple[StockLine, ...]
    case_id: str | None = None


class StockReleased(Fact, about="reservation/reservation_id", key="group_no"):
    """Held or allocated stock may be sold again."""

    reservation_id: str
    group_no: str
    order_no: str
    seller_id: str
    lines: tuple[StockLine, ...]
    cause_event_id: str


class StockDeducted(Fact, about="reservation/reservation_id", key="group_no"):
    """A shipment's units left the shelf."""

    reservation_id: str
    group_no: str
    order_no: str
    seller_id: str
    shipment_id: str
    lines: tuple[DeductedLine, ...]


class BackorderFilled(Fact, about="reservation/reservation_id", key="group_no"):
    """Units an order was waiting for came in and are allocated to it. Shipping plans a later shipment."""

    reservation_id: str
    group_no: str
    order_no: str
    seller_id: str
    line_id: str
    sku: str
    warehouse_id: str
    qty: Quantity
    still_backordered_qty: Count


class StockAdjusted(Fact, about="stock/sku", key="sku"):
    """Stock was put in, taken out or counted. `on_hand` is this warehouse's, `available` that of all."""

    sku: str
    seller_id: str
    warehouse_id: str
    delta: int
    on_hand: Count
    available: Count
    reason: Literal["received", "stocktake", "damage", "manual"]
    by: str


class ReturnInspected(Fact, about="return/shipment_id", key="group_no"):
    """The shop looked at every unit of a shipment that came back. Of what can be sold again, StockRestocked tells."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    warehouse_id: str
    lines: tuple[InspectedLine, ...]
    inspected_at: Moment
    by: str
    case_id: str | None = None


class StockRestocked(Fact, about="stock/sku", key="sku"):
    """Units that came back are on the shelf again. `on_hand` is this warehouse's, `available` that of all."""

    sku: str
    seller_id: str
    warehouse_id: str
    shipment_id: str
    order_no: str
    qty: Quantity
    on_hand: Count
    available: Count
    case_id: str | None = None


class StockTransferred(Fact, about="transfer/transfer_id", key="seller_id"):
    """Goods left one warehouse of a shop for another, or were counted there. On the way they are nobody's to order."""

    transfer_id: str
    seller_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    status: Literal["shipped", "received"]
    lines: tuple[TransferredLine, ...]
    by: str


class StockLow(Fact, about="stock/sku", key="sku"):
    """A SKU fell below its threshold in a warehouse. The seller is told."""

    sku: str
    seller_id: str
    warehouse_id: str
    available: Count
    threshold: Count
    suggested_qty: Count


class StockDepleted(Fact, about="stock/sku", key="sku"):
    """A SKU is sold out in all warehouses. Catalog shows it so."""

    sku: str
    seller_id: str


class StockReplenished(Fact, about="stock/sku", key="sku"):
    """A SKU that was sold out can be had again. Catalog shows it so; those who wait for it are told."""

    sku: str
    seller_id: str
    available: Quantity
