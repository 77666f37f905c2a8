"""What is promised to one order.

HELD -> ALLOCATED -> CONSUMED, or given back (RELEASED, EXPIRED), or never had (REFUSED). A confirmed order
that still waits for goods to come in is BACKORDERED until it has them. There is one reservation per order;
its id follows from the order's number, so that nothing can make a second one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from services.inventory.domain.plan import Wanted, plan
from services.inventory.domain.stock import MovementKind, Shelves, Stock
from shared.contracts.inventory import (
    BackorderFilled,
    DeductedLine,
    StockAllocated,
    StockDeducted,
    StockReleased,
    StockReservationExpired,
    StockReservationFailed,
    StockReserved,
)
from shared.contracts.lines import Purpose, SkuLine, StockLine
from shared.kernel.errors import TooEarly

SAFETY = timedelta(minutes=15)
"""A hold outlives the deadline it serves: order and payment end it, our timer is the net below them."""
FIRST_HOLD = timedelta(minutes=30) + SAFETY
"""Until somebody names a deadline: the time an order usually has to be paid."""
REVIEW_GRACE = timedelta(hours=24)
"""Orders under suspicion are decided this long after their first review deadline."""

State = Literal["HELD", "BACKORDERED", "ALLOCATED", "CONSUMED", "RELEASED", "EXPIRED", "REFUSED"]
CONFIRMED: frozenset[State] = frozenset({"BACKORDERED", "ALLOCATED"})


def sale(order_no: str) -> str:
    """The id of an order's reservation."""
    return f"R-{order_no}"


@dataclass(kw_only=True)
class Part:
    """A line's units in one warehouse."""

    line_id: str
    sku: str
    warehouse_id: str
    held: int = 0
    allocated: int = 0
    backordered: int = 0
    shipped: int = 0

    @property
    def here(self) -> int:
        return self.held + self.allocated

    @property
    def line(self) -> StockLine:
        return StockLine(
            line_id=self.line_id,
            sku=self.sku,
            warehouse_id=self.warehouse_id,
            qty=self.here,
            backordered_qty=self.backordered,
        )


@dataclass(kw_only=True)
class Reservation:
    """See the module. Methods move units on the shelves they are given and return what came of it."""

    reservation_id: str
    group_no: str
    order_no: str
    seller_id: str
    state: State
    wanted: list[Wanted] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    expires_at: datetime | None = None
    shipments: list[str] = field(default_factory=list)
    purpose: Purpose = "sale"
    case_id: str | None = None

    @property
    def skus(self) -> set[str]:
        return {line.sku for line in self.wanted}

    def take(self, shelves: Shelves, until: datetime) -> StockReserved | StockReservationFailed:
        """Hold every unit of every line, or none."""
        planned = plan(self.wanted, {sku: shelves.of(sku, self.seller_id) for sku in sorted(self.skus)})
        self.parts = []
        if planned.shortages:
            self.state, self.expires_at = "REFUSED", None
            return StockReservationFailed(
                **self._about(), purpose=self.purpose, case_id=self.case_id, shortages=planned.shortages
            )
        for take in planned.takes:
            part = Part(line_id=take.line_id, sku=take.sku, warehouse_id=take.warehouse_id)
            self.parts.append(part)
            self._move(shelves, "hold", part, held=take.qty, backordered=take.backordered)
        self.state, self.expires_at = "HELD", until
        return StockReserved(
            **self._about(), purpose=self.purpose, case_id=self.case_id, lines=self._lines(), expires_at=until
        )

    def extend(self, until: datetime) -> bool:
        """Hold on at least until then. Answers whether that changed anything."""
        if self.state != "HELD" or self.expires_at is None or until <= self.expires_at:
            return False
        self.expires_at = until
        return True

    def expire(self, shelves: Shelves, now: datetime) -> StockReservationExpired | None:
        """Give a hold back that ran out."""
        if self.state != "HELD" or self.expires_at is None or now < self.expires_at:
            return None
        lines = self._give_back(shelves, "expire")
        self.state = "EXPIRED"
        return StockReservationExpired(
            reservation_id=self.reservation_id, group_no=self.group_no, order_no=self.order_no, lines=lines
        )

    def allocate(
        self, shelves: Shelves, confirmed: Iterable[Wanted], now: datetime
    ) -> StockAllocated | StockReservationFailed | None:
        """Make it firm; if the hold had run out, take what is confirmed once more.

        None when it is firm or over already.
        """
        if self.state in ("EXPIRED", "REFUSED"):
            self.wanted = list(confirmed)
            answer = self.take(shelves, now)
            if isinstance(answer, StockReservationFailed):
                return answer
        if self.state != "HELD":
            return None
        for part in self.parts:
            if part.held:
                self._move(shelves, "allocate", part, held=-part.held, allocated=part.held)
        self.state, self.expires_at = "ALLOCATED", None
        self._settle()
        return StockAllocated(**self._about(), purpose=self.purpose, case_id=self.case_id, allocations=self._lines())

    def fill(self, shelves: Shelves, sku: str) -> list[BackorderFilled]:
        """Give the order what has come in for it. Of an unpaid order nothing is said: it is told as one."""
        facts = []
        for part in self.parts:
            qty = min(part.backordered, shelves.at(sku, part.warehouse_id).free) if part.sku == sku else 0
            if not qty:
                continue
            if self.state == "HELD":
                self._move(shelves, "fill", part, backordered=-qty, held=qty)
                continue
            self._move(shelves, "fill", part, backordered=-qty, allocated=qty)
            still = sum(other.backordered for other in self.parts if other.line_id == part.line_id)
            facts.append(
                BackorderFilled(
                    **self._about(),
                    line_id=part.line_id,
                    sku=sku,
                    warehouse_id=part.warehouse_id,
                    qty=qty,
                    still_backordered_qty=still,
                )
            )
        self._settle()
        return facts

    def release(self, shelves: Shelves, cause: str) -> StockReleased | None:
        """The order is over: give back what has not left, and take nothing any more."""
        lines = self._give_back(shelves, "release")
        self.state = "CONSUMED" if any(part.shipped for part in self.parts) else "RELEASED"
        self.expires_at = None
        return StockReleased(**self._about(), lines=lines, cause_event_id=cause) if lines else None

    def release_lines(self, shelves: Shelves, cancelled: Iterable[SkuLine], cause: str) -> StockReleased | None:
        """Give back these units, those that are still to come in first.

        Raises TooEarly when it is not clear whose they are: a confirmed line lies in several warehouses and
        more of it is left than is cancelled. What is not cancelled has been shipped then, and that fact is on
        its way.
        """
        if self.state != "HELD" and self.state not in CONFIRMED:
            return None
        qty_of: Counter[str] = Counter()
        for line in cancelled:
            qty_of[line.line_id] += line.qty
        lines: list[StockLine] = []
        for line_id, qty in qty_of.items():
            parts = [part for part in self.parts if part.line_id == line_id]
            for part in parts:
                if units := min(qty, part.backordered):
                    qty -= units
                    lines.append(self._drop(shelves, "release", part, backordered=units))
            lying = [part for part in parts if part.here]
            if self.state in CONFIRMED and len(lying) > 1 and 0 < qty < sum(part.here for part in lying):
                raise TooEarly(f"{self.order_no}: the shipment of what is left of line {line_id} is not known yet")
            for part in lying:
                if units := min(qty, part.here):
                    qty -= units
                    lines.append(self._drop(shelves, "release", part, here=units))
        self._settle()
        return StockReleased(**self._about(), lines=_joined(lines), cause_event_id=cause) if lines else None

    def close(self, shelves: Shelves, cause: str) -> StockReleased | None:
        """An order ended after it was shipped: what it still waited for is not wanted any more.

        Raises TooEarly while allocated units have not left: an order closes only when all have, so that is on
        its way.
        """
        if any(part.here for part in self.parts):
            raise TooEarly(f"{self.order_no}: closed, but not all of its shipments are known")
        return self.release(shelves, cause)

    def ship(
        self, shelves: Shelves, shipment_id: str, warehouse_id: str, lines: Iterable[SkuLine]
    ) -> StockDeducted | None:
        """A shipment's units have left the shelf. Once per shipment.

        Units this order no longer has (it gave them back, and yet they left) are taken from what is free
        there: the shelf is emptier, whoever they were meant for. Raises TooEarly before the order is
        confirmed, Overdrawn when the shelf has no such units.
        """
        if shipment_id in self.shipments:
            return None
        if self.state in ("HELD", "EXPIRED", "REFUSED"):
            raise TooEarly(f"{self.order_no} was shipped, but is not known to be confirmed")
        gone = []
        for line in lines:
            part = self._part(line, warehouse_id)
            row = self._move(
                shelves,
                "deduct",
                part,
                on_hand=-line.qty,
                allocated=-min(line.qty, part.allocated),
                shipment_id=shipment_id,
            )
            part.shipped += line.qty
            gone.append(
                DeductedLine(
                    line_id=line.line_id,
                    sku=line.sku,
                    warehouse_id=warehouse_id,
                    qty=line.qty,
                    on_hand_after=row.on_hand,
                )
            )
        self.shipments.append(shipment_id)
        self._settle()
        return StockDeducted(**self._about(), shipment_id=shipment_id, lines=tuple(gone))

    # --- the pieces ----------------------------------------------------------------------------------------

    def _about(self) -> dict[str, str]:
        return {
            "reservation_id": self.reservation_id,
            "group_no": self.group_no,
            "order_no": self.order_no,
            "seller_id": self.seller_id,
        }

    def _lines(self) -> tuple[StockLine, ...]:
        return tuple(part.line for part in self.parts if part.here or part.backordered)

    def _part(self, line: SkuLine, warehouse_id: str) -> Part:
        for part in self.parts:
            if (part.line_id, part.sku, part.warehouse_id) == (line.line_id, line.sku, warehouse_id):
                return part
        part = Part(line_id=line.line_id, sku=line.sku, warehouse_id=warehouse_id)
        self.parts.append(part)
        return part

    def _move(
        self,
        shelves: Shelves,
        kind: MovementKind,
        part: Part,
        *,
        on_hand: int = 0,
        held: int = 0,
        allocated: int = 0,
        backordered: int = 0,
        shipment_id: str = "",
    ) -> Stock:
        row = shelves.move(
            kind,
            part.sku,
            part.warehouse_id,
            on_hand=on_hand,
            held=held,
            allocated=allocated,
            backordered=backordered,
            reservation_id=self.reservation_id,
            shipment_id=shipment_id,
        )
        part.held += held
        part.allocated += allocated
        part.backordered += backordered
        return row

    def _drop(
        self, shelves: Shelves, kind: MovementKind, part: Part, *, here: int = 0, backordered: int = 0
    ) -> StockLine:
        held = min(here, part.held)
        self._move(shelves, kind, part, held=-held, allocated=held - here, backordered=-backordered)
        return StockLine(
            line_id=part.line_id,
            sku=part.sku,
            warehouse_id=part.warehouse_id,
            qty=here,
            backordered_qty=backordered,
        )

    def _give_back(self, shelves: Shelves, kind: MovementKind) -> tuple[StockLine, ...]:
        return tuple(
            self._drop(shelves, kind, part, here=part.here, backordered=part.backordered)
            for part in self.parts
            if part.here or part.backordered
        )

    def _settle(self) -> None:
        """The state that follows from what is left."""
        if self.state in ("EXPIRED", "REFUSED"):
            return
        if not any(part.here or part.backordered for part in self.parts):
            self.state = "CONSUMED" if any(part.shipped for part in self.parts) else "RELEASED"
            self.expires_at = None
        elif self.state in CONFIRMED:
            self.state = "BACKORDERED" if any(part.backordered for part in self.parts) else "ALLOCATED"


def _joined(lines: Iterable[StockLine]) -> tuple[StockLine, ...]:
    """One line for what one warehouse gives back of one line."""
    joined: dict[tuple[str, str], StockLine] = {}
    for line in lines:
        key = line.line_id, line.warehouse_id
        first = joined.get(key)
        if first is not None:
            line = replace(line, qty=first.qty + line.qty, backordered_qty=first.backordered_qty + line.backordered_qty)
        joined[key] = line
    return tuple(joined.values())
