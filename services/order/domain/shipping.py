"""The warehouse at work, and the way to the door. Shipping alone says what left and what arrived.

Its facts may come late and in any order: what arrived must have left, and nothing goes back to where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from services.order.domain import policy
from services.order.domain.machine import Facts
from services.order.domain.order import CloseReason, Order, Parcel, ParcelState
from services.order.domain.receiving import Receiving
from services.order.domain.states import IN_WAREHOUSE, State
from shared.contracts import order as facts
from shared.contracts.event import Fact

SENDING = IN_WAREHOUSE | {State.PARTIALLY_SHIPPED, State.CANCEL_PENDING}
UNDERWAY = (State.PARTIALLY_SHIPPED, State.CANCEL_PENDING, State.SHIPPED)


class Shipping(Receiving):
    """CONFIRMED -> FULFILLING -> PARTIALLY_SHIPPED -> SHIPPED -> DELIVERED, or CLOSED when nothing stays out."""

    # --- in the warehouse ------------------------------------------------------------------------------------

    def shipment_planned(self, order_no: str, shipment_id: str, lines: dict[str, int]) -> Facts:
        """A parcel will leave a warehouse."""
        order = self.order(order_no)
        order.parcels.setdefault(shipment_id, Parcel(lines))
        self._note(order, "ShipmentPlanned")
        return []

    def picking_started(self, order_no: str, shipment_id: str) -> Facts:
        """Somebody walks along the shelves."""
        order = self.order(order_no)
        if shipment_id in order.parcels:
            order.parcels[shipment_id].advance("picking")
        if order.state is State.CONFIRMED:
            self._move(order, "PickingStarted", State.FULFILLING)
        else:
            if order.state is State.CANCEL_PENDING:
                order.came_from = State.FULFILLING
            self._note(order, "PickingStarted")
        return []

    def shipment_packed(self, order_no: str, shipment_id: str) -> Facts:
        """A parcel is closed and labelled."""
        order = self.order(order_no)
        if shipment_id in order.parcels:
            order.parcels[shipment_id].advance("packed")
        self._note(order, "ShipmentPacked")
        return []

    def not_shipped_in_time(self, order_no: str, trigger: str, now: datetime) -> Facts:
        """`ship_by` is over, by shipping's word or our own clock: shown, and looked at again every day."""
        order = self.order(order_no)
        if order.state in SENDING:
            order.overdue = True
            self._due("ship_by", now + policy.SHIP_LOOK_AGAIN, order)
        self._note(order, trigger)
        return []

    # --- on the way ------------------------------------------------------------------------------------------

    def shipped(self, order_no: str, shipment_id: str, lines: dict[str, int], now: datetime) -> Facts:
        """A carrier took a parcel over."""
        order = self.order(order_no)
        if not self._leaves(order, shipment_id, lines):
            self._note(order, "Shipped")
            return []
        return self._left(order, now)

    def delivered(self, order_no: str, shipment_id: str, now: datetime, lines: dict[str, int] | None = None) -> Facts:
        """A parcel arrived."""
        order = self.order(order_no)
        told, parcel = self._goes_on(order, shipment_id, "delivered", now, lines)
        if parcel is None:
            self._note(order, "Delivered")
            return told
        for line_id, qty in parcel.lines.items():
            order.line(line_id).delivered += qty
        self._resume(order, shipment_id, now)
        return told + self._settled(order, "Delivered", now)

    def delivery_troubled(
        self,
        order_no: str,
        shipment_id: str,
        trigger: str,
        state: Literal["failed", "refused"],
        now: datetime,
    ) -> Facts:
        """Nobody was there, or it was refused: the time to confirm receipt stands still."""
        order = self.order(order_no)
        told, parcel = self._goes_on(order, shipment_id, state, now)
        if parcel is not None and order.state in UNDERWAY:
            self._pause(order, shipment_id, now)
        self._note(order, trigger)
        return told

    def lost(self, order_no: str, shipment_id: str, now: datetime, lines: dict[str, int] | None = None) -> Facts:
        """A parcel was declared lost: its money goes back, and until it has, the time stands still."""
        order = self.order(order_no)
        told, parcel = self._goes_on(order, shipment_id, "lost", now, lines)
        if parcel is None:
            self._note(order, "ShipmentLost")
            return told
        for line_id, qty in parcel.lines.items():
            order.line(line_id).lost += qty
        asked, refund_id = self._refund_goods(order, "lost", parcel.lines, "system")
        if refund_id and order.state in UNDERWAY:
            self._pause(order, refund_id, now)
        self._resume(order, shipment_id, now)
        return told + self._settled(order, "ShipmentLost", now) + asked

    def returned(
        self,
        order_no: str,
        shipment_id: str,
        cod_refused: bool,
        now: datetime,
        lines: dict[str, int] | None = None,
    ) -> Facts:
        """A parcel came back unopened: its money goes back; when all of them did, the order is closed."""
        order = self.order(order_no)
        told, parcel = self._goes_on(order, shipment_id, "returned", now, lines)
        if parcel is None:
            self._note(order, "ReturnedToSender")
            return told
        for line_id, qty in parcel.lines.items():
            order.line(line_id).returned += qty
        asked, _ = self._refund_goods(order, "returned_to_sender", parcel.lines, "system")
        self._resume(order, shipment_id, now)
        why: CloseReason = "cod_refused" if cod_refused else "undeliverable"
        return told + self._settled(order, "ReturnedToSender", now, why) + asked

    # --- how the parcels stand -------------------------------------------------------------------------------

    def _leaves(self, order: Order, shipment_id: str, lines: Mapping[str, int]) -> bool:
        """Count a parcel out of the warehouse, once."""
        if order.state not in SENDING:
            return False
        parcel = order.parcels.setdefault(shipment_id, Parcel({}))
        if not parcel.advance("shipped"):
            return False
        parcel.lines, parcel.gone = dict(lines), True
        for line_id, qty in lines.items():
            order.line(line_id).shipped += qty
        return True

    def _goes_on(
        self,
        order: Order,
        shipment_id: str,
        state: ParcelState,
        now: datetime,
        lines: dict[str, int] | None = None,
    ) -> tuple[Facts, Parcel | None]:
        """The parcel, moved on to `state`; None when it is none of ours or has been there before.

        One whose leaving we have not heard of leaves first; `lines` tell what was in it, if we never knew.
        """
        parcel = order.parcels.get(shipment_id)
        content = lines or (parcel.lines if parcel else {})
        told: Facts = []
        if content and self._leaves(order, shipment_id, content):
            told, parcel = self._left(order, now), order.parcels[shipment_id]
        if parcel is None or not parcel.gone or not parcel.advance(state):
            return told, None
        return told, parcel

    def _left(self, order: Order, now: datetime) -> Facts:
        """One more parcel left: was it the last?"""
        if order.all_shipped:
            gone = tuple(number for number, parcel in order.parcels.items() if parcel.gone)
            told = [self._too_late(order, "handed_over", gone)] if order.stopping else []
            return told + self._fully_shipped(order, "Shipped", now)
        if order.state in IN_WAREHOUSE:
            self._move(order, "Shipped", State.PARTIALLY_SHIPPED)
        else:
            self._note(order, "Shipped")
        return []

    def _fully_shipped(self, order: Order, trigger: str, now: datetime) -> Facts:
        self._move(order, trigger, State.SHIPPED)
        order.shipped_at, order.overdue = now, False
        order.receipt_by = now + policy.RECEIPT_AFTER_SHIPPING
        self._due("ship_by", None, order)
        self._answered(order)
        if order.pauses:
            order.paused_at = now
        else:
            self._due("receipt", order.receipt_by, order)
        told: Facts = [facts.OrderFullyShipped(**self._about(order), shipped_at=now, receipt_by=order.receipt_by)]
        if order.all_arrived:
            told += self._all_delivered(order, "Delivered", now)
        elif order.nothing_kept and not order.pauses:
            return told + self._close(order, "ReturnedToSender", "undeliverable", now)
        if self.payment_method == "cod" and order.paid_amount:
            told += self._receive(order, "PaymentConfirmed", "cod", now)
        return told

    def _settled(self, order: Order, trigger: str, now: datetime, why: CloseReason = "undeliverable") -> Facts:
        """One more parcel's way is at its end: was it the last, and did anything stay with the buyer?"""
        if order.state is State.SHIPPED and order.all_arrived:
            return self._all_delivered(order, trigger, now)
        if order.state is State.SHIPPED and order.nothing_kept and not order.pauses:
            return self._close(order, trigger, why, now)
        self._note(order, trigger)
        return []

    def _all_delivered(self, order: Order, trigger: str, now: datetime) -> Facts:
        self._move(order, trigger, State.DELIVERED)
        order.pauses.clear()
        order.delivered_at, order.paused_at = now, None
        order.receipt_by = now + policy.RECEIPT_AFTER_DELIVERY
        if order.extended:
            order.receipt_by += policy.RECEIPT_EXTENSION
        self._due("receipt", order.receipt_by, order)
        return [facts.OrderDelivered(**self._about(order), delivered_at=now, receipt_by=order.receipt_by)]

    def _answered(self, order: Order) -> None:
        """Shipping was asked to stop; that question is closed."""
        order.stopping, order.cancel_by = False, None
        self._due("cancel_answer", None, order)

    def _too_late(
        self,
        order: Order,
        reason: Literal["handed_over", "partly_handed_over"],
        shipment_ids: tuple[str, ...],
    ) -> Fact:
        return facts.OrderCancellationRejected(**self._about(order), reason=reason, shipment_ids=shipment_ids)
