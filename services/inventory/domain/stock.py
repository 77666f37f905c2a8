"""Stock on the shelves: one `Stock` per SKU and warehouse, moved only by typed movements that are kept.

Four numbers count units: `on_hand` lie in the warehouse; of these `held` are set aside for unpaid orders and
`allocated` are firm for confirmed ones; `backordered` are promised and not here yet. They never go below
zero, and `on_hand - held - allocated` never does: a unit is promised to one order at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from shared.contracts.event import Fact
from shared.contracts.inventory import StockAdjusted, StockDepleted, StockLow, StockReplenished
from shared.kernel.errors import Conflict, Forbidden, Invalid, NotFound

MovementKind = Literal[
    "receive", "adjust", "hold", "fill", "allocate", "release", "expire", "deduct", "restock",
    "transfer_out", "transfer_in",
]  # fmt: skip
AdjustmentReason = Literal["received", "stocktake", "damage", "manual"]
MOST_ON_HAND = 1_000_000_000


class NoSuchWarehouse(NotFound):
    """There is no such warehouse, or it is not yours."""


class NoSuchSku(NotFound):
    """No product with this SKU is known to inventory, or it is not yours."""


class UnknownWarehouse(Invalid):
    """The body names a warehouse that does not exist or is not yours."""


class UnknownSku(Invalid):
    """The body names a SKU that is not yours, or not known yet: a new product is known after a moment."""


class RepeatedSku(Invalid):
    """The body names one SKU on two lines; add them up."""


class StockPromised(Conflict):
    """Fewer units would be left than are promised to orders; wait until those are shipped or cancelled."""


class StockMoved(Conflict):
    """The books did not say what you expected them to when you counted; look again and count again."""


class NoShop(Forbidden):
    """Your token speaks for no shop."""


class NoSuchReservation(NotFound):
    """Nothing was ever promised to such an order, or it is not one of yours."""


class TooMuchStock(Conflict):
    """A warehouse holds at most one thousand million units of a SKU."""


class Overdrawn(Exception):
    """A movement would take units that are not there: what others say and our books contradict each other."""


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One line of the ledger: what changed, by how many units, and because of what."""

    kind: MovementKind
    sku: str
    warehouse_id: str
    on_hand: int = 0
    held: int = 0
    allocated: int = 0
    backordered: int = 0
    reservation_id: str = ""
    shipment_id: str = ""
    reason: str = ""
    reference: str = ""
    by: str = "system"
    cause: str = ""


@dataclass(kw_only=True)
class Stock:
    """One SKU in one warehouse. `backorder_limit` units may be promised beyond what is here."""

    sku: str
    warehouse_id: str
    seller_id: str
    on_hand: int = 0
    held: int = 0
    allocated: int = 0
    backordered: int = 0
    backorder_limit: int = 0
    low_threshold: int = 0
    version: int = 0

    @property
    def free(self) -> int:
        """Units here that no order has."""
        return self.on_hand - self.held - self.allocated

    @property
    def available(self) -> int:
        """Units a new order may take: what came in belongs first to those who wait for it."""
        return max(0, self.free - self.backordered)

    @property
    def room(self) -> int:
        """Units a new order may be promised before they are here."""
        return max(0, self.backorder_limit - self.backordered)

    @property
    def promised(self) -> int:
        return self.held + self.allocated

    @property
    def is_low(self) -> bool:
        return self.available < self.low_threshold

    @property
    def is_owed(self) -> bool:
        """Whether units lie here that somebody waits for."""
        return self.free > 0 and self.backordered > 0

    def apply(self, movement: Movement) -> None:
        """Raises Overdrawn, changing nothing."""
        after = (
            self.on_hand + movement.on_hand,
            self.held + movement.held,
            self.allocated + movement.allocated,
            self.backordered + movement.backordered,
        )
        if min(after) < 0 or after[0] < after[1] + after[2]:
            raise Overdrawn(f"{movement.kind} of {self.sku} in {self.warehouse_id}")
        self.on_hand, self.held, self.allocated, self.backordered = after


class _Shelf:
    """All warehouses' stock of one SKU, and what was last said of it."""

    def __init__(self, sku: str, seller_id: str, rows: Iterable[Stock]) -> None:
        self.sku, self.seller_id = sku, seller_id
        self.rows = {row.warehouse_id: row for row in rows}
        self.orderable, self.low = self.count(), self.low_now()

    def count(self) -> int:
        return sum(row.available + row.room for row in self.rows.values())

    def low_now(self) -> set[str]:
        return {row.warehouse_id for row in self.rows.values() if row.is_low}

    def news(self) -> list[Fact]:
        before, self.orderable = self.orderable, self.count()
        were_low, self.low = self.low, self.low_now()
        facts: list[Fact] = [
            StockLow(
                sku=self.sku,
                seller_id=self.seller_id,
                warehouse_id=row.warehouse_id,
                available=row.available,
                threshold=row.low_threshold,
                suggested_qty=2 * row.low_threshold - row.available + row.backordered,
            )
            for row in map(self.rows.__getitem__, sorted(self.low - were_low))
        ]
        if before and not self.orderable:
            facts.append(StockDepleted(sku=self.sku, seller_id=self.seller_id))
        if self.orderable and not before:
            facts.append(StockReplenished(sku=self.sku, seller_id=self.seller_id, available=self.orderable))
        return facts


class Shelves:
    """The shelves one transaction works on, whole: every warehouse's stock of each SKU it was given.

    `movements` and `changed` are what has to be kept. `cause` is written into every movement.
    """

    def __init__(self) -> None:
        self.movements: list[Movement] = []
        self.changed: dict[tuple[str, str], Stock] = {}
        self.cause = ""
        self._shelves: dict[str, _Shelf | None] = {}
        self._touched: dict[str, None] = {}

    def put(self, sku: str, seller_id: str | None, rows: Iterable[Stock] = ()) -> None:
        """Take in a SKU's shelf; without a seller, remember that nobody knows the SKU."""
        self._shelves[sku] = None if seller_id is None else _Shelf(sku, seller_id, rows)

    def __contains__(self, sku: str) -> bool:
        return sku in self._shelves

    def owner(self, sku: str) -> str | None:
        """The seller whose SKU this is, if anybody's."""
        shelf = self._shelves[sku]
        return shelf.seller_id if shelf else None

    def of(self, sku: str, seller_id: str) -> list[Stock]:
        """The seller's stock of a SKU, by warehouse; nothing where it is not theirs."""
        shelf = self._shelves[sku]
        if shelf is None or shelf.seller_id != seller_id:
            return []
        return [shelf.rows[warehouse_id] for warehouse_id in sorted(shelf.rows)]

    def at(self, sku: str, warehouse_id: str) -> Stock:
        """The stock of a known SKU in a warehouse; an empty place if it never had any there."""
        shelf = self._shelves[sku]
        if shelf is None:
            raise LookupError(sku)
        row = shelf.rows.get(warehouse_id)
        if row is None:
            row = shelf.rows[warehouse_id] = Stock(sku=sku, warehouse_id=warehouse_id, seller_id=shelf.seller_id)
        return row

    def available(self, sku: str) -> int:
        """What of the SKU can be had at once, in all warehouses."""
        shelf = self._shelves[sku]
        return sum(row.available for row in shelf.rows.values()) if shelf else 0

    def is_owed(self, sku: str) -> bool:
        """Whether units of it lie somewhere that somebody waits for."""
        shelf = self._shelves[sku]
        return shelf is not None and any(row.is_owed for row in shelf.rows.values())

    def move(
        self,
        kind: MovementKind,
        sku: str,
        warehouse_id: str,
        *,
        on_hand: int = 0,
        held: int = 0,
        allocated: int = 0,
        backordered: int = 0,
        reservation_id: str = "",
        shipment_id: str = "",
        reason: str = "",
        reference: str = "",
        by: str = "system",
    ) -> Stock:
        """Change the numbers and write the ledger. Raises Overdrawn, changing nothing."""
        row = self.at(sku, warehouse_id)
        movement = Movement(
            kind=kind,
            sku=sku,
            warehouse_id=warehouse_id,
            on_hand=on_hand,
            held=held,
            allocated=allocated,
            backordered=backordered,
            reservation_id=reservation_id,
            shipment_id=shipment_id,
            reason=reason,
            reference=reference,
            by=by,
            cause=self.cause,
        )
        row.apply(movement)
        self.movements.append(movement)
        self._touch(row)
        return row

    def adjust(
        self,
        sku: str,
        warehouse_id: str,
        delta: int,
        *,
        reason: AdjustmentReason,
        by: str,
        reference: str = "",
    ) -> StockAdjusted:
        """Put units in, or take them out. Raises StockPromised, TooMuchStock, changing nothing."""
        row = self.at(sku, warehouse_id)
        if row.on_hand + delta < row.promised:
            raise StockPromised(on_hand=row.on_hand, promised=row.promised)
        if row.on_hand + delta > MOST_ON_HAND:
            raise TooMuchStock()
        kind: MovementKind = "receive" if reason == "received" else "adjust"
        self.move(kind, sku, warehouse_id, on_hand=delta, reason=reason, reference=reference, by=by)
        return StockAdjusted(
            sku=sku,
            seller_id=row.seller_id,
            warehouse_id=warehouse_id,
            delta=delta,
            on_hand=row.on_hand,
            available=self.available(sku),
            reason=reason,
            by=by,
        )

    def agree(self, sku: str, warehouse_id: str, *, low_threshold: int, backorder_limit: int) -> Stock:
        """Set the terms on which a SKU is kept in a warehouse."""
        row = self.at(sku, warehouse_id)
        row.low_threshold, row.backorder_limit = low_threshold, backorder_limit
        self._touch(row)
        return row

    def news(self) -> list[Fact]:
        """What the sellers and the catalogue must hear since this was last asked: each crossing once."""
        touched, self._touched = self._touched, {}
        return [fact for sku in touched if (shelf := self._shelves[sku]) for fact in shelf.news()]

    def _touch(self, row: Stock) -> None:
        self.changed[row.sku, row.warehouse_id] = row
        self._touched[row.sku] = None
