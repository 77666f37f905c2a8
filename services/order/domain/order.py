"""What an order is made of: lines, parcels, refunds, and where it stands. Values and sums, no moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.order.domain.states import TERMINAL, State
from shared.contracts.event import Sealed
from shared.contracts.lines import SkuLine
from shared.contracts.order import ReviewReason
from shared.kernel.errors import Fatal
from shared.kernel.money import allocate

ParcelState = Literal[
    "planned", "picking", "packed", "shipped", "failed", "refused",
    "delivered", "returned", "lost", "cancelled",
]  # fmt: skip
Closing = Literal["", "deadline", "wish"]
Wisher = Literal["buyer", "seller", "operator"]
"""Who can want an order cancelled."""
CloseReason = Literal["cod_refused", "undeliverable", "fully_refunded"]
_RANK: dict[ParcelState, int] = {
    "planned": 0, "picking": 1, "packed": 2, "shipped": 3, "failed": 4, "refused": 5,
    "delivered": 6, "returned": 6, "lost": 6, "cancelled": 6,
}  # fmt: skip


@dataclass
class Line:
    """`amount` = qty x unit_price - discount, minor units; the counts are units in each condition."""

    line_id: str
    product_id: str
    sku: str
    title: str
    qty: int
    unit_price: int
    discount: int
    amount: int
    weight_g: int
    shipped: int = 0
    delivered: int = 0
    cancelled: int = 0
    returned: int = 0
    lost: int = 0
    refunded: int = 0
    refunded_amount: int = 0
    reviewed: bool = False

    @property
    def full_price(self) -> int:
        return self.qty * self.unit_price

    @property
    def to_ship(self) -> int:
        """Units that have not left and still shall."""
        return self.qty - self.cancelled - self.shipped

    @property
    def kept(self) -> int:
        """Units that left and did not come back."""
        return self.shipped - self.returned - self.lost

    @property
    def settled(self) -> bool:
        """Whether no unit of it is, or will be, with the buyer."""
        return self.returned + self.lost + self.cancelled >= self.qty

    def price_of_next(self, qty: int) -> int:
        """What the next `qty` units not refunded yet cost: shares that sum to `amount` exactly over all units."""
        share, extra = divmod(self.amount, self.qty)
        first, last = self.refunded, self.refunded + qty
        exact = share * qty + min(last, extra) - min(first, extra)
        return min(exact, self.amount - self.refunded_amount)


@dataclass
class Parcel:
    """A shipment as far as the order cares. `gone`: it left the warehouse, by whoever's word."""

    lines: dict[str, int]
    state: ParcelState = "planned"
    gone: bool = False

    @property
    def over(self) -> bool:
        return _RANK[self.state] == _RANK["delivered"]

    def advance(self, state: ParcelState) -> bool:
        """Go on to `state`; False when it has been there or further, so that late and repeated words do nothing."""
        if _RANK[state] <= _RANK[self.state]:
            return False
        self.state = state
        return True


@dataclass
class Refund:
    """Money asked back (ours) or known to have gone back (anybody's), minor units."""

    amount: int
    done: bool = False


@dataclass
class Order:
    """One seller's part of the group. payable = goods_amount - discount + freight."""

    order_no: str
    index: int
    seller_id: str
    lines: list[Line]
    goods_amount: int
    discount: int
    freight: int
    payable: int
    placed_at: datetime
    state: State = State.PLACED
    came_from: State | None = None
    # where it goes, if the buyer changed that for this order alone
    delivery: Sealed | None = None
    region: str = ""
    # placing
    stock: str = ""
    risk: str = ""
    price_cut: int = 0
    """By how much the seller lowered the price after placement."""
    # review
    review_reasons: list[ReviewReason] = field(default_factory=list)
    review_until: datetime | None = None
    stalled: str = ""
    """What it waits too long for, as the operators were told."""
    auto_approve: bool = True
    approved_by: str = ""
    # an open question: to payment (`closing`: why the unpaid order shall end) or to shipping (`stopping`)
    closing: Closing = ""
    stopping: bool = False
    cancel_by: Wisher | None = None
    cancel_reason: str = ""
    asked: int = 0
    """How many times the present question was put."""
    asked_at: datetime | None = None
    """When it was first put."""
    # money
    attempt_until: datetime | None = None
    failed_attempts: int = 0
    paid_amount: int = 0
    refunded_amount: int = 0
    freight_refunded: int = 0
    refunds: dict[str, Refund] = field(default_factory=dict)
    # goods
    parcels: dict[str, Parcel] = field(default_factory=dict)
    overdue: bool = False
    pauses: list[str] = field(default_factory=list)
    """What the time to confirm receipt stands still for: shipments in trouble, refunds of lost ones."""
    paused_at: datetime | None = None
    receipt_by: datetime | None = None
    extended: bool = False
    # the days
    confirmed_at: datetime | None = None
    ship_by: datetime | None = None
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    received_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str = ""
    deadlines: dict[str, datetime] = field(default_factory=dict)
    version: int = 0

    @property
    def over(self) -> bool:
        return self.state in TERMINAL

    @property
    def all_shipped(self) -> bool:
        """Whether nothing more will leave (and something did)."""
        return all(line.to_ship <= 0 for line in self.lines) and any(line.shipped for line in self.lines)

    @property
    def all_arrived(self) -> bool:
        """Whether no parcel is on its way any more, and at least one was delivered."""
        states = {parcel.state for parcel in self.parcels.values() if parcel.state != "cancelled"}
        return "delivered" in states and states <= {"delivered", "returned", "lost"}

    @property
    def nothing_kept(self) -> bool:
        """Whether the buyer has, and will get, nothing of it."""
        return all(line.settled for line in self.lines)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The services that have not said yet whether it can be."""
        return tuple(name for name, answer in (("inventory", self.stock), ("payment", self.risk)) if not answer)

    def line(self, line_id: str) -> Line:
        """Raises Fatal: who speaks of a line that never was is not to be believed."""
        for line in self.lines:
            if line.line_id == line_id:
                return line
        raise Fatal(f"{self.order_no} has no line {line_id}")

    def units(self) -> dict[str, int]:
        return {line.line_id: line.qty for line in self.lines}

    def sku_lines(self, units: Mapping[str, int] | None = None) -> tuple[SkuLine, ...]:
        """`units` (all, if not given) as lines of a fact."""
        return tuple(
            SkuLine(line_id=line_id, sku=self.line(line_id).sku, qty=qty)
            for line_id, qty in (self.units() if units is None else units).items()
        )

    def may_stay(self, line_id: str) -> int:
        """Units of a line that no parcel has carried off, by all we were told."""
        line = self.line(line_id)
        gone = sum(parcel.lines.get(line_id, 0) for parcel in self.parcels.values() if parcel.gone)
        return line.qty - line.cancelled - max(gone, line.shipped)

    def reprice(self, payable: int) -> None:
        """Make the order cost `payable`: the goods first, the freight where that is not enough.

        What the lines cost is apportioned anew, so that lines and freight sum to `payable` and a refund of any
        of them is exact.
        """
        goods = payable - self.freight
        if goods < 0:
            goods, self.freight = 0, payable
        for line, amount in zip(self.lines, allocate(goods, [line.full_price for line in self.lines]), strict=True):
            line.amount, line.discount = amount, line.full_price - amount
        self.discount, self.payable = self.goods_amount - goods, payable
