"""A shipment from its plan to a doorstep or back.

    PLANNED -> PICKING -> PACKED -> SHIPPED -> DELIVERED
    PLANNED, PICKING, PACKED -> CANCELLED        SHIPPED -> RETURNING -> RETURNED_TO_SENDER
    SHIPPED, RETURNING -> LOST                   PACKED -> PICKING (a part was cancelled: packed anew)

Where the carrier says it is (`tracking_status`) is kept beside the state. The carrier's reports are taken in
the order in which it counted them, a later one waiting for the earlier ones: any order of arrival ends alike.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.shipping.domain.reports import Report
from shared.contracts.event import Fact
from shared.contracts.lines import Actor, SkuLine
from shared.contracts.shipping import (
    Kind,
    Parcel,
    PickingStarted,
    ShipmentLost,
    ShipmentOverdue,
    ShipmentPacked,
    ShipmentPlanned,
    Shipped,
    TrackingStatus,
)
from shared.kernel.errors import Conflict, NotFound

State = Literal[
    "PLANNED",
    "PICKING",
    "PACKED",
    "SHIPPED",
    "DELIVERED",
    "CANCELLED",
    "RETURNING",
    "RETURNED_TO_SENDER",
    "LOST",
]
Attention = Literal[
    "",
    "no_scan",
    "carrier_reports_lost",
    "moving_after_end",
    "left_after_cancel",
    "tracking_refused",
    "unexpected_cash",
    "cash_missing",
]
"""Why an operator should look at a shipment; nothing is guessed meanwhile."""

DEEDS: dict[str, dict[State, State]] = {
    "pick": {"PLANNED": "PICKING"},
    "pack": {"PICKING": "PACKED"},
    "hand-over": {"PACKED": "SHIPPED"},
    "declare-lost": {"SHIPPED": "LOST", "RETURNING": "LOST"},
}
STOPPABLE: tuple[State, ...] = ("PLANNED", "PICKING", "PACKED")
UNDERWAY: tuple[State, ...] = ("SHIPPED", "RETURNING")


class NoSuchShipment(NotFound):
    """There is no such shipment, or it is not yours."""


class WrongShipmentState(Conflict):
    """The shipment's state does not allow this; `state` and `possible` say what does."""


class BookingPending(Conflict):
    """The carrier has not confirmed the booking yet; try again in a moment."""


class BookingRefused(Conflict):
    """The carrier refused the booking (`carrier_code`); pack again with other parcels or another service."""


class PackedOtherwise(Conflict):
    """The shipment is packed and booked already, with other parcels or another service."""


@dataclass
class Booking:
    """What was asked of the carrier for one packing; `no` tells a packing from the one before it."""

    no: int
    status: Literal["asked", "booked", "refused"] = "asked"
    carrier_ref: str = ""
    tracking_no: str = ""
    label_ref: str = ""
    eta: datetime | None = None
    code: str = ""


@dataclass
class Shipment:
    """One parcel or more that leave one warehouse together, of one order."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    kind: Kind
    index: int
    of: int
    warehouse_id: str
    lines: tuple[SkuLine, ...]
    region: str
    """Where it goes."""
    ship_by: datetime
    planned_at: datetime
    currency: str
    cash_due: dict[str, int] = field(default_factory=dict)
    """What the courier is to collect at the door, minor units by line."""
    carrier: str = "sandbox"
    service: str = "standard"
    state: State = "PLANNED"
    overdue: bool = False
    parcels: tuple[Parcel, ...] = ()
    packings: int = 0
    booking: Booking | None = None
    picked_at: datetime | None = None
    packed_at: datetime | None = None
    shipped_at: datetime | None = None
    ended_at: datetime | None = None
    """When it was delivered, cancelled, returned or declared lost."""
    tracking_status: TrackingStatus | None = None
    heard: int = 0
    """The number of the last report taken."""
    news_at: datetime | None = None
    scans: list[Report] = field(default_factory=list)
    waiting: list[Report] = field(default_factory=list)
    """Reports that came before one with a lower number."""
    refused: bool = False
    attempts: int = 0
    cash: int = 0
    """What the courier has taken at the door."""
    attention: Attention = ""

    @property
    def possible(self) -> list[str]:
        """What the warehouse can do with it now."""
        return [deed for deed, moves in DEEDS.items() if self.state in moves and deed != "declare-lost"]

    @property
    def stoppable(self) -> bool:
        """Whether it is still in the warehouse."""
        return self.state in STOPPABLE

    @property
    def gone(self) -> bool:
        """Whether it left the warehouse."""
        return self.state not in STOPPABLE and self.state != "CANCELLED"

    @property
    def underway(self) -> bool:
        """Whether the carrier has it."""
        return self.state in UNDERWAY

    @property
    def cod_amount(self) -> int:
        """The cash to collect at the door, minor units."""
        return sum(self.cash_due.values())

    @property
    def cash_owed(self) -> bool:
        """Whether somebody has the goods and nobody was seen to pay for them."""
        return self.state == "DELIVERED" and self.cod_amount > 0 and not self.cash

    @property
    def booking_ref(self) -> str:
        """What the carrier knows the present packing by."""
        return f"{self.shipment_id}.{self.packings}"

    @property
    def tracking_no(self) -> str:
        """The present packing's number at the carrier; empty before it is booked."""
        return self.booking.tracking_no if self.booking else ""

    @property
    def eta(self) -> datetime | None:
        """When the carrier means to be there."""
        return self.booking.eta if self.booking else None

    @property
    def has_gap(self) -> bool:
        """Whether a report is missing before one that is here."""
        return bool(self.waiting) and self.booking is not None and self.booking.status == "booked"

    def names(self, *more: str) -> dict[str, Any]:
        """The fields that all its facts carry, and `more`."""
        always = ("shipment_id", "group_no", "order_no", "seller_id")
        return {name: getattr(self, name) for name in (*always, *more)}

    # --- in the warehouse --------------------------------------------------------------------------------

    def planned(self) -> ShipmentPlanned:
        """That it will be sent."""
        fields = "buyer_id", "kind", "index", "of", "warehouse_id", "lines", "carrier", "service"
        return ShipmentPlanned(**self.names(*fields, "ship_by", "cod_amount", "currency"))

    def pick(self, by: str, now: datetime) -> list[Fact]:
        """Begin to pick. Raises WrongShipmentState."""
        if not self._move("pick"):
            return []
        self.picked_at = now
        return [PickingStarted(**self.names("warehouse_id"), by=by)]

    def pack(self, parcels: tuple[Parcel, ...], service: str | None, now: datetime) -> bool:
        """Close the parcels; whether the carrier is to be asked. A refused booking may be asked for anew.

        Raises WrongShipmentState, PackedOtherwise.
        """
        service = service or self.service
        same = (self.parcels, self.service) == (parcels, service)
        refused = self.booking is not None and self.booking.status == "refused"
        if not (self.state == "PACKED" and refused) and not self._move("pack"):
            if same:
                return False
            raise PackedOtherwise(state=self.state, possible=self.possible)
        self.parcels, self.service, self.packed_at = parcels, service, now
        self.packings += 1
        self.booking = Booking(self.packings)
        return True

    def booked(self, answer: Booking) -> list[Fact]:
        """The carrier answered a booking. What it reported meanwhile is to be caught up with."""
        if not self.wants(answer):
            return []
        self.booking = answer
        if answer.status != "booked":
            return []
        return [ShipmentPacked(**self.names("parcels"), label_ref=answer.label_ref)]

    def wants(self, answer: Booking) -> bool:
        """Whether this booking is the one that is waited for."""
        ours = self.booking is not None and self.booking.no == answer.no
        return self.state == "PACKED" and ours and self.booking is not None and self.booking.status == "asked"

    def hand_over(self, now: datetime) -> list[Fact]:
        """The carrier took it. Raises WrongShipmentState, BookingPending, BookingRefused."""
        booking = self.booking
        if self.state == "PACKED" and booking is not None and booking.status == "refused":
            raise BookingRefused(carrier_code=booking.code, state=self.state, possible=["pack"])
        if self.state == "PACKED" and (booking is None or booking.status == "asked"):
            raise BookingPending(state=self.state, possible=[], retry_after=2)
        if not self._move("hand-over"):
            return []
        return [self.leave(now)]

    def stop(self, lines: Collection[str], now: datetime) -> Booking | None:
        """Keep `lines` (none: all) from leaving; answers the booking that is void by that, if any.

        A part of a packed shipment means that it is packed anew, under a booking of its own.
        """
        kept = tuple(line for line in self.lines if lines and line.line_id not in lines)
        if not self.stoppable or kept == self.lines:
            return None
        void = self.booking if self.booking is not None and self.booking.status == "booked" else None
        if not kept:
            self.state, self.ended_at = "CANCELLED", now
            return void
        self.lines = kept
        self.cash_due = {line.line_id: self.cash_due[line.line_id] for line in kept if line.line_id in self.cash_due}
        if self.state == "PACKED":
            self.state, self.booking, self.parcels, self.packed_at = "PICKING", None, (), None
            self.waiting.clear()
        return void

    def miss_ship_by(self) -> list[Fact]:
        """The time to send it is over."""
        if not self.stoppable or self.overdue:
            return []
        self.overdue = True
        return [ShipmentOverdue(**self.names("buyer_id", "kind", "ship_by"))]

    # --- with the carrier --------------------------------------------------------------------------------

    def declare_lost(self, by: Actor, now: datetime) -> list[Fact]:
        """An operator says that it will not come. Raises WrongShipmentState."""
        if not self._move("declare-lost"):
            return []
        self.ended_at, self.attention = now, ""
        names = self.names("buyer_id", "kind", "warehouse_id", "lines")
        return [ShipmentLost(**names, declared_at=now, by=by)]

    def leave(self, now: datetime) -> Shipped:
        """It is out of the house, by our own people's word or by the carrier's first scan."""
        self.state, self.shipped_at, self.news_at = "SHIPPED", now, now
        return Shipped(
            **self.names("buyer_id", "kind", "warehouse_id", "carrier", "lines"),
            tracking_no=self.tracking_no, shipped_at=now, eta=self.eta,
        )  # fmt: skip

    def _move(self, deed: str) -> bool:
        """Whether the deed is to be done; False when it was the last one done. Raises WrongShipmentState."""
        moves = DEEDS[deed]
        if self.state in moves:
            self.state = moves[self.state]
            return True
        if self.state in moves.values():
            return False
        raise WrongShipmentState(state=self.state, possible=self.possible)
