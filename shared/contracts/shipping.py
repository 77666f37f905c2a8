"""Facts of the shipping service: freight, and shipments from plan to doorstep or back.

None of them carries a person's name or address; who takes a parcel is said by kind only.
"""

from dataclasses import dataclass
from typing import Literal

from shared.contracts.event import Fact
from shared.contracts.lines import Actor, Amount, Count, Currency, LineQty, Moment, Ordinal, Quantity, SkuLine

Kind = Literal["sale", "replacement", "return_back", "service"]
ReturnReason = Literal["refused", "undeliverable"]
GoneReason = Literal["handed_over", "delivered", "lost"]
TrackingStatus = Literal[
    "accepted",
    "in_transit",
    "out_for_delivery",
    "ready_for_pickup",
    "delivered",
    "attempt_failed",
    "exception",
    "refused",
    "returning",
    "returned",
]


@dataclass(frozen=True, kw_only=True)
class FreightRule:
    """Freight to the regions under a prefix ("*", "CN", "CN-ZJ"; the longest match wins)."""

    region_prefix: str
    first_weight_g: Quantity
    first_fee: Amount
    step_weight_g: Quantity
    step_fee: Amount
    days_min: Count
    days_max: Count


@dataclass(frozen=True, kw_only=True)
class Parcel:
    weight_g: Count
    length_mm: Count = 0
    width_mm: Count = 0
    height_mm: Count = 0


class FreightTemplateChanged(Fact, about="freight_template/seller_id", key="seller_id"):
    """A seller's freight terms, all of them, from now on. Order quotes by them."""

    seller_id: str
    currency: Currency
    rules: tuple[FreightRule, ...]
    free_over: Amount | None = None


class ShipmentPlanned(Fact, about="shipment/shipment_id", key="group_no"):
    """A shipment will leave this warehouse with these lines by `ship_by`."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    kind: Kind
    index: Ordinal
    of: Ordinal
    """As far as is known today: a filled back-order may add more."""
    warehouse_id: str
    lines: tuple[SkuLine, ...]
    carrier: str
    service: str
    ship_by: Moment
    cod_amount: Amount
    currency: Currency
    case_id: str | None = None


class PickingStarted(Fact, about="shipment/shipment_id", key="group_no"):
    """The warehouse began to pick a shipment."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    warehouse_id: str
    by: str


class ShipmentPacked(Fact, about="shipment/shipment_id", key="group_no"):
    """A shipment is packed and labelled; its address can no longer be changed."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    parcels: tuple[Parcel, ...]
    label_ref: str


class Shipped(Fact, about="shipment/shipment_id", key="group_no"):
    """The carrier took a shipment over. Inventory takes its units off the shelf."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    kind: Kind
    warehouse_id: str
    carrier: str
    tracking_no: str
    lines: tuple[SkuLine, ...]
    shipped_at: Moment
    eta: Moment | None = None
    case_id: str | None = None


class ShipmentCancelled(Fact, about="order/order_no", key="group_no"):
    """The answer to a request to cancel, when something could be stopped or nothing was planned yet.

    `lines` are the units that will not leave, planned or not. All three lists empty: nothing was known of the
    order, and nothing of it will be shipped. `gone_shipment_ids` not empty: the rest had left already.
    """

    group_no: str
    order_no: str
    shipment_ids: tuple[str, ...]
    lines: tuple[LineQty, ...]
    gone_shipment_ids: tuple[str, ...]
    cause_event_id: str


class ShipmentCancellationRejected(Fact, about="order/order_no", key="group_no"):
    """The answer to a request to cancel, when all that was asked for had left already."""

    group_no: str
    order_no: str
    shipment_ids: tuple[str, ...]
    reason: GoneReason
    cause_event_id: str


class ShipmentOverdue(Fact, about="shipment/shipment_id", key="group_no"):
    """A shipment did not leave in time. The buyer may cancel without the seller's consent."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    kind: Kind
    ship_by: Moment
    case_id: str | None = None


class TrackingUpdated(Fact, about="shipment/shipment_id", key="group_no"):
    """The carrier reported where a shipment is. It moves no state by itself."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    carrier: str
    tracking_no: str
    status: TrackingStatus
    location: str
    """Town or depot."""
    at: Moment
    raw_ref: str = ""
    eta: Moment | None = None


class Delivered(Fact, about="shipment/shipment_id", key="group_no"):
    """A shipment arrived."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    kind: Kind
    lines: tuple[SkuLine, ...]
    delivered_at: Moment
    signed_by: Literal["recipient", "neighbour", "locker", "front_desk"] = "recipient"
    case_id: str | None = None


class DeliveryFailed(Fact, about="shipment/shipment_id", key="group_no"):
    """Nobody could take a shipment. The carrier tries again; the time to confirm receipt stands still."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    attempt: Ordinal
    reason: str
    at: Moment
    next_attempt_at: Moment | None = None


class DeliveryRefused(Fact, about="shipment/shipment_id", key="group_no"):
    """The buyer refused a shipment at the door; it comes back. Account counts refusals of cash orders."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    reason: str
    cod: bool
    at: Moment


class ReturnedToSender(Fact, about="shipment/shipment_id", key="group_no"):
    """A shipment is back in its warehouse. Order gives the money back; inventory inspects the goods."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    kind: Kind
    warehouse_id: str
    lines: tuple[SkuLine, ...]
    reason: ReturnReason
    cod: bool
    received_at: Moment


class ShipmentLost(Fact, about="shipment/shipment_id", key="group_no"):
    """A shipment was declared lost. The buyer is owed their money or the goods."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    kind: Kind
    warehouse_id: str
    lines: tuple[SkuLine, ...]
    declared_at: Moment
    by: Actor


class CashCollected(Fact, about="shipment/shipment_id", key="group_no"):
    """The courier took money at the door. Payment confirms once all shipments of the order have theirs."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    amount: Amount
    currency: Currency
    method: Literal["cash", "qr_at_door"]
    carrier: str
    collected_at: Moment
    courier_id: str = ""
