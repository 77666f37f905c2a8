"""A parcel that came back to its warehouse: the shop looks at every unit of it once.

Only what is accepted there and fit for sale becomes stock again. No refund, and no carrier's word, puts anything on a
shelf.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.inventory.domain.reservation import sale
from services.inventory.domain.stock import MOST_ON_HAND, Shelves, TooMuchStock
from shared.contracts.event import Fact
from shared.contracts.inventory import Disposition, InspectedLine, ReturnInspected, StockRestocked
from shared.contracts.lines import SkuLine
from shared.contracts.shipping import ReturnReason
from shared.kernel.errors import Conflict, Invalid, NotFound

State = Literal["AWAITING_INSPECTION", "INSPECTED"]


class NoSuchReturn(NotFound):
    """No such shipment has come back, or it is not one of yours."""


class AlreadyInspected(Conflict):
    """This return was inspected before; what was found then stands."""


class LineNotReturned(Invalid):
    """The inspection names a line that was not in the parcel."""


class UnitsDoNotAddUp(Invalid):
    """Every unit that came back is accepted or rejected, each once; no line of an inspection is without units."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of some units of a line. `disposition` is what becomes of the accepted ones."""

    line_id: str
    qty_accepted: int
    qty_rejected: int
    disposition: Disposition


@dataclass(kw_only=True)
class Return:
    """See the module. A shipment comes back whole, and once."""

    shipment_id: str
    group_no: str
    order_no: str
    seller_id: str
    warehouse_id: str
    reason: ReturnReason
    received_at: datetime
    lines: list[SkuLine]
    state: State = "AWAITING_INSPECTION"
    inspected_at: datetime | None = None
    findings: list[InspectedLine] = field(default_factory=list)

    @property
    def skus(self) -> set[str]:
        return {line.sku for line in self.lines}

    def inspect(self, found: Sequence[Finding], shelves: Shelves, by: str, now: datetime) -> list[Fact]:
        """Keep what was found, and put what is fit for sale back on the shelf it had left.

        Raises AlreadyInspected, LineNotReturned, UnitsDoNotAddUp and TooMuchStock; nothing may be kept then.
        """
        if self.state == "INSPECTED":
            raise AlreadyInspected()
        self.findings = self._accounted(found)
        self.state, self.inspected_at = "INSPECTED", now
        inspected = ReturnInspected(
            **self._about(), group_no=self.group_no, lines=tuple(self.findings), inspected_at=now, by=by
        )
        fit: Counter[str] = Counter()
        for line in self.findings:
            if line.disposition == "resellable":
                fit[line.sku] += line.qty_accepted
        return [inspected, *(self._restock(shelves, sku, fit[sku], by) for sku in sorted(fit) if fit[sku])]

    def _accounted(self, found: Sequence[Finding]) -> list[InspectedLine]:
        back = {line.line_id: line for line in self.lines}
        left = {line.line_id: line.qty for line in self.lines}
        for number, one in enumerate(found):
            if one.line_id not in left:
                raise LineNotReturned(field=f"lines.{number}.line_id")
            units = one.qty_accepted + one.qty_rejected
            left[one.line_id] -= units
            if not units or left[one.line_id] < 0:
                raise UnitsDoNotAddUp(field=f"lines.{number}", line_id=one.line_id, returned=back[one.line_id].qty)
        for line_id, units in left.items():
            if units:
                raise UnitsDoNotAddUp(field="lines", line_id=line_id, returned=back[line_id].qty)
        return [
            InspectedLine(
                line_id=one.line_id,
                sku=back[one.line_id].sku,
                qty_accepted=one.qty_accepted,
                qty_rejected=one.qty_rejected,
                disposition=one.disposition,
            )
            for one in found
        ]

    def _restock(self, shelves: Shelves, sku: str, qty: int, by: str) -> StockRestocked:
        if shelves.at(sku, self.warehouse_id).on_hand + qty > MOST_ON_HAND:
            raise TooMuchStock(field="lines")
        row = shelves.move(
            "restock",
            sku,
            self.warehouse_id,
            on_hand=qty,
            reservation_id=sale(self.order_no),
            shipment_id=self.shipment_id,
            by=by,
        )
        return StockRestocked(**self._about(), sku=sku, qty=qty, on_hand=row.on_hand, available=shelves.available(sku))

    def _about(self) -> dict[str, str]:
        return {
            "shipment_id": self.shipment_id,
            "order_no": self.order_no,
            "seller_id": self.seller_id,
            "warehouse_id": self.warehouse_id,
        }
