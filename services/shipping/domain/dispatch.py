"""An order's dispatch: what of it is to leave, from where, and what was answered to who wanted it stopped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.shipping.domain.shipment import Booking, Shipment
from shared.contracts.event import Fact, Sealed
from shared.contracts.lines import LineQty, SkuLine
from shared.contracts.order import OrderCancellationRequested, OrderConfirmed
from shared.contracts.shipping import GoneReason, ShipmentCancellationRejected, ShipmentCancelled
from shared.kernel.money import allocate


@dataclass(frozen=True, kw_only=True)
class OrderedLine:
    line_id: str
    sku: str
    qty: int
    weight_g: int = 0
    """Of one unit."""
    amount: int = 0
    """What all its units cost, minor units: by it the cash to collect is shared."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered to a request to cancel, to be said again when it is asked again."""

    shipment_ids: tuple[str, ...] = ()
    lines: tuple[LineQty, ...] = ()
    gone: tuple[str, ...] = ()
    rejected: GoneReason | None = None


@dataclass
class Dispatch:
    """One per order. A request to cancel that comes before anything else leaves one too, as a tombstone."""

    order_no: str
    group_no: str
    seller_id: str = ""
    buyer_id: str = ""
    confirmed: bool = False
    lines: tuple[OrderedLine, ...] = ()
    delivery: Sealed = Sealed("")
    region: str = ""
    currency: str = "CNY"
    cod_amount: int = 0
    ship_by: datetime | None = None
    planned: bool = False
    shipment_ids: list[str] = field(default_factory=list)
    shared: dict[str, int] = field(default_factory=dict)
    """Units that have been given their share of the cash to collect, by line."""
    halted: bool = False
    """Nothing more of it will be sent."""
    struck: list[str] = field(default_factory=list)
    """Lines of which nothing more will be sent."""
    stopped: dict[str, int] = field(default_factory=dict)
    """Units already answered for as stopped, by line."""
    answer: Answer | None = None

    def confirm(self, event: OrderConfirmed) -> None:
        """The order is to be sent, unless it was stopped before."""
        self.confirmed = True
        self.seller_id, self.buyer_id = event.seller_id, event.buyer_id
        self.lines = tuple(
            OrderedLine(line_id=line.line_id, sku=line.sku, qty=line.qty, weight_g=line.weight_g, amount=line.amount)
            for line in event.lines
        )
        self.delivery, self.region, self.currency = event.delivery, event.region, event.currency
        self.cod_amount, self.ship_by = event.cod_amount, event.ship_by

    def plan(
        self, ids: Iterable[str], units: Iterable[tuple[str, SkuLine]], ship_by: datetime, now: datetime
    ) -> list[Shipment]:
        """One shipment per warehouse of `units` (warehouse, line), numbered on; none of what was stopped."""
        self.planned = True
        by_warehouse: dict[str, list[SkuLine]] = defaultdict(list)
        for warehouse_id, line in units:
            if not self.halted and line.line_id not in self.struck:
                by_warehouse[warehouse_id].append(line)
        before, of = len(self.shipment_ids), len(self.shipment_ids) + len(by_warehouse)
        planned = [
            Shipment(
                shipment_id=shipment_id, group_no=self.group_no, order_no=self.order_no,
                seller_id=self.seller_id, buyer_id=self.buyer_id, kind="sale", index=index, of=of,
                warehouse_id=warehouse_id, lines=tuple(lines), region=self.region, ship_by=ship_by,
                planned_at=now, currency=self.currency,
                cash_due=self._shares(lines),
            )
            for index, (shipment_id, (warehouse_id, lines)) in enumerate(
                zip(ids, sorted(by_warehouse.items()), strict=False), before + 1
            )
        ]  # fmt: skip
        self.shipment_ids += [shipment.shipment_id for shipment in planned]
        return planned

    def _shares(self, units: Iterable[SkuLine]) -> dict[str, int]:
        """The cash to collect for these units, by line; the shares of all sum to the order's, however parted.

        Each line bears its part of the freight, so that who refuses one parcel pays the other at its own price.
        """
        if not self.cod_amount:
            return {}
        whole = dict(zip(self.lines, allocate(self.cod_amount, [line.amount for line in self.lines]), strict=True))
        ordered = {line.line_id: line for line in self.lines}
        shares: Counter[str] = Counter()
        for unit in units:
            line, first = ordered[unit.line_id], self.shared.get(unit.line_id, 0)
            last = self.shared[unit.line_id] = min(first + unit.qty, line.qty)
            shares[unit.line_id] += whole[line] * last // line.qty - whole[line] * first // line.qty
        return dict(shares)

    def answer_request(
        self,
        event: OrderCancellationRequested,
        shipments: Sequence[Shipment],
        cause_event_id: str,
        now: datetime,
    ) -> tuple[Fact, list[tuple[Shipment, Booking]]]:
        """The one answer to a request, and the bookings void by it. Asked again: the same answer again."""
        repeated = event.asked > 1 and self.answer is not None
        voids: list[tuple[Shipment, Booking]] = []
        if not repeated:
            first = self.answer is None
            voids, answer = self._stop(set(event.line_ids), shipments, now)
            if first or answer.lines or answer.gone or answer.rejected:
                self.answer = answer
        return self._say(cause_event_id), voids

    def cancel(
        self, shipments: Sequence[Shipment], cause_event_id: str, now: datetime
    ) -> tuple[list[Fact], list[tuple[Shipment, Booking]]]:
        """The order ended: what has not left stays. Says so only where something was still to leave."""
        voids, answer = self._stop(set(), shipments, now)
        if not answer.shipment_ids:
            return [], voids
        self.answer = answer
        return [self._say(cause_event_id)], voids

    def _stop(
        self, line_ids: set[str], shipments: Sequence[Shipment], now: datetime
    ) -> tuple[list[tuple[Shipment, Booking]], Answer]:
        """Stop all that is still in the house of these lines (none: of all)."""
        if line_ids:
            self.struck += sorted(line_ids - set(self.struck))
        else:
            self.halted = True
        asked = [one for one in shipments if not line_ids or any(line.line_id in line_ids for line in one.lines)]
        stopped, gone = [one for one in asked if one.stoppable], [one for one in asked if one.gone]
        voids = [(one, void) for one in stopped if (void := one.stop(line_ids, now)) is not None]
        kept_in = self._newly_stopped(line_ids, gone)
        rejected = None if kept_in or stopped or not gone else _why(gone)
        return voids, Answer(
            shipment_ids=tuple(
                one.shipment_id for one in (gone if rejected else stopped) if rejected or not one.stoppable
            ),
            lines=kept_in,
            gone=() if rejected else tuple(one.shipment_id for one in gone),
            rejected=rejected,
        )

    def _newly_stopped(self, line_ids: set[str], gone: Sequence[Shipment]) -> tuple[LineQty, ...]:
        """The units of the lines that will not leave and were not answered for yet, planned or not."""
        left: dict[str, int] = defaultdict(int)
        for shipment in gone:
            for line in shipment.lines:
                left[line.line_id] += line.qty
        units = []
        for ordered in self.lines:
            line_id, before = ordered.line_id, self.stopped.get(ordered.line_id, 0)
            qty = ordered.qty - left[line_id] - before
            if qty > 0 and (not line_ids or line_id in line_ids):
                self.stopped[line_id] = before + qty
                units.append(LineQty(line_id=line_id, qty=qty))
        return tuple(units)

    def _say(self, cause_event_id: str) -> Fact:
        answer = self.answer or Answer()
        if answer.rejected:
            return ShipmentCancellationRejected(
                group_no=self.group_no, order_no=self.order_no, shipment_ids=answer.shipment_ids,
                reason=answer.rejected, cause_event_id=cause_event_id,
            )  # fmt: skip
        return ShipmentCancelled(
            group_no=self.group_no, order_no=self.order_no, shipment_ids=answer.shipment_ids,
            lines=answer.lines, gone_shipment_ids=answer.gone, cause_event_id=cause_event_id,
        )  # fmt: skip


def _why(gone: Sequence[Shipment]) -> GoneReason:
    states = {shipment.state for shipment in gone}
    if states == {"DELIVERED"}:
        return "delivered"
    return "lost" if states == {"LOST"} else "handed_over"
