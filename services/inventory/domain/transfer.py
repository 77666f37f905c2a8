"""Goods on their way between two warehouses of one shop: they leave one shelf at once, and are on none until received.

Only units that nobody was promised may leave. Every unit that left is received, or missing, and said to be so once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.inventory.domain.stock import MOST_ON_HAND, MovementKind, Shelves, TooMuchStock
from shared.contracts.inventory import StockTransferred, TransferredLine
from shared.kernel.errors import Conflict, Invalid, NotFound

TransferState = Literal["IN_TRANSIT", "RECEIVED"]


class NoSuchTransfer(NotFound):
    """No such transfer is known, or it is not one of yours."""


class SameWarehouse(Invalid):
    """Goods are transferred from one warehouse to another one."""


class UnitsNotAvailable(Conflict):
    """The sending warehouse has fewer units that no order was promised; `available` says how many."""


class AlreadyReceived(Conflict):
    """This transfer was received before; what was counted then stands."""


class SkuNotTransferred(Invalid):
    """The receipt names a SKU that was not sent with this transfer."""


class MoreThanSent(Invalid):
    """The receipt counts more units than were sent; put what was never sent in as a stock receipt."""


class LineNotCounted(Invalid):
    """The receipt leaves a line out; of one that did not arrive at all, say that 0 units were received."""


@dataclass(kw_only=True)
class TransferLine:
    """`qty` units were sent. `received` is None until they were counted at the other end."""

    sku: str
    qty: int
    received: int | None = None

    @property
    def missing(self) -> int:
        return 0 if self.received is None else self.qty - self.received


@dataclass(kw_only=True)
class Transfer:
    """See the module. It is received whole, and once."""

    transfer_id: str
    seller_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    lines: list[TransferLine]
    sent_at: datetime
    state: TransferState = "IN_TRANSIT"
    received_at: datetime | None = None

    @property
    def skus(self) -> set[str]:
        return {line.sku for line in self.lines}

    def send(self, shelves: Shelves, by: str) -> StockTransferred:
        """Take the units off the sending shelf. Raises UnitsNotAvailable; nothing may be kept then."""
        for number, line in enumerate(self.lines):
            available = shelves.at(line.sku, self.from_warehouse_id).available
            if line.qty > available:
                raise UnitsNotAvailable(field=f"lines.{number}.qty", available=available)
            self._move("transfer_out", shelves, line.sku, self.from_warehouse_id, -line.qty, by)
        return self._told("shipped", shelves, by)

    def receive(self, counted: Mapping[str, int], shelves: Shelves, by: str, now: datetime) -> StockTransferred:
        """Put what arrived, units by SKU, on the receiving shelf; the rest is missing.

        Raises AlreadyReceived, SkuNotTransferred, LineNotCounted, MoreThanSent and TooMuchStock; nothing may be kept
        then.
        """
        if self.state == "RECEIVED":
            raise AlreadyReceived()
        sent = {line.sku: line for line in self.lines}
        for number, (sku, units) in enumerate(counted.items()):
            if sku not in sent:
                raise SkuNotTransferred(field=f"lines.{number}.sku")
            if units > sent[sku].qty:
                raise MoreThanSent(field=f"lines.{number}.received", sent=sent[sku].qty)
            if shelves.at(sku, self.to_warehouse_id).on_hand + units > MOST_ON_HAND:
                raise TooMuchStock(field=f"lines.{number}.received")
        for line in self.lines:
            if line.sku not in counted:
                raise LineNotCounted(field="lines", sku=line.sku)
            line.received = counted[line.sku]
            if line.received:
                self._move("transfer_in", shelves, line.sku, self.to_warehouse_id, line.received, by)
        self.state, self.received_at = "RECEIVED", now
        return self._told("received", shelves, by)

    def _move(self, kind: MovementKind, shelves: Shelves, sku: str, warehouse_id: str, units: int, by: str) -> None:
        shelves.move(kind, sku, warehouse_id, on_hand=units, reference=self.transfer_id, by=by)

    def _told(self, status: Literal["shipped", "received"], shelves: Shelves, by: str) -> StockTransferred:
        return StockTransferred(
            transfer_id=self.transfer_id,
            seller_id=self.seller_id,
            from_warehouse_id=self.from_warehouse_id,
            to_warehouse_id=self.to_warehouse_id,
            status=status,
            lines=tuple(
                TransferredLine(sku=line.sku, qty=line.qty, missing=line.missing, available=shelves.available(line.sku))
                for line in self.lines
            ),
            by=by,
        )
