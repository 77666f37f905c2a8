"""Somebody wants out after payment: shipping alone says what could be stopped. And how an order ends early."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from services.order.domain import policy
from services.order.domain.machine import Facts
from services.order.domain.order import Order, Wisher
from services.order.domain.shipping import Shipping
from services.order.domain.states import IN_WAREHOUSE, State
from shared.contracts import order as facts
from shared.contracts.event import Fact
from shared.contracts.lines import Actor
from shared.contracts.order import CancelReason
from shared.contracts.refunds import RefundReason

_WHY: dict[CancelReason, RefundReason] = {
    "out_of_stock": "out_of_stock",
    "review_rejected": "review_rejected",
}


class Cancelling(Shipping):
    """CONFIRMED or FULFILLING -> CANCEL_PENDING -> CANCELLED, or back, or a part of each."""

    def cancel_unanswered(self, order_no: str, now: datetime) -> Facts:
        """Shipping has not answered; the same question again."""
        order = self.order(order_no)
        if not order.stopping:
            return []
        self._note(order, "CancelAnswerDeadline")
        return self._stall(order, "cancel_unanswered", ("shipping",), order.asked_at) + self._ask(order, now)

    def shipments_stopped(
        self,
        order_no: str,
        shipment_ids: Iterable[str],
        lines: Mapping[str, int],
        gone: tuple[str, ...],
        now: datetime,
    ) -> Facts:
        """Shipping's answer: these units will not leave, those shipments are gone.

        It may answer a question that was put twice twice; the second answer finds no question open.
        """
        order = self.order(order_no)
        if not order.stopping:
            self._note(order, "ShipmentCancelled")
            return []
        by = order.cancel_by or "buyer"
        for shipment_id in shipment_ids:
            if shipment_id in order.parcels:
                order.parcels[shipment_id].advance("cancelled")
        self._note_gone(order, gone)
        if not gone and not any(line.shipped for line in order.lines):
            return self._cancel(order, "ShipmentCancelled", by, now, by=by)
        self._answered(order)
        told = self._cancel_lines(order, lines, by)
        if order.state is State.CANCEL_PENDING:
            left = gone or tuple(number for number, parcel in order.parcels.items() if parcel.gone)
            told.insert(0, self._too_late(order, "partly_handed_over", left))
        if order.all_shipped:
            return told + self._fully_shipped(order, "ShipmentCancelled", now)
        if order.state is State.CANCEL_PENDING:
            self._move(order, "ShipmentCancelled", State.PARTIALLY_SHIPPED)
        else:
            self._note(order, "ShipmentCancelled")
        return told

    def shipments_gone(self, order_no: str, shipment_ids: tuple[str, ...]) -> Facts:
        """Shipping's answer: everything had left already."""
        order = self.order(order_no)
        if not order.stopping:
            self._note(order, "ShipmentCancellationRejected")
            return []
        self._answered(order)
        self._note_gone(order, shipment_ids)
        if order.state is State.CANCEL_PENDING:
            some = any(line.shipped for line in order.lines)
            back = State.PARTIALLY_SHIPPED if some else order.came_from or State.CONFIRMED
            self._move(order, "ShipmentCancellationRejected", back)
        else:
            self._note(order, "ShipmentCancellationRejected")
        return [self._too_late(order, "handed_over", shipment_ids)]

    def _ask_shipping(self, order: Order, now: datetime) -> Facts:
        """Put the question: can it still be stopped?"""
        order.stopping, order.asked, order.asked_at, order.stalled = True, 0, now, ""
        if order.state in IN_WAREHOUSE:
            order.came_from = order.state
            self._move(order, "CancelOrder", State.CANCEL_PENDING)
        else:
            self._note(order, "CancelOrder")
        return self._ask(order, now)

    def _ask(self, order: Order, now: datetime) -> Facts:
        order.asked += 1
        self._due("cancel_answer", now + policy.CANCEL_ANSWER_WITHIN, order)
        return [self._wish(order, "paid")]

    def _wish(self, order: Order, stage: Literal["unpaid", "paid"]) -> Fact:
        return facts.OrderCancellationRequested(
            **self._about(order), stage=stage, by=order.cancel_by or "buyer",
            reason=order.cancel_reason or "unspecified", asked=order.asked,
        )  # fmt: skip

    def _note_gone(self, order: Order, shipment_ids: Iterable[str]) -> None:
        """By shipping's word these left, even if we have not heard the carriers' hand-over yet."""
        for shipment_id in shipment_ids:
            if shipment_id in order.parcels:
                order.parcels[shipment_id].gone = True

    def _cancel(self, order: Order, trigger: str, reason: CancelReason, now: datetime, *, by: Actor) -> Facts:
        """The order ends before anything left; what was paid goes back."""
        for line in order.lines:
            line.cancelled = line.qty
        self._move(order, trigger, State.CANCELLED)
        self._end(order, reason, now)
        told: Facts = [
            facts.OrderCancelled(
                **self._about(order), reason=reason, was_paid=order.paid_amount > 0, lines=order.sku_lines()
            )
        ]
        return told + self._refund_units(order, _WHY.get(reason, "cancelled"), order.units(), by)[0]

    def _cancel_lines(self, order: Order, lines: Mapping[str, int], by: Wisher) -> Facts:
        stopped = {line_id: min(qty, order.may_stay(line_id)) for line_id, qty in lines.items()}
        stopped = {line_id: qty for line_id, qty in stopped.items() if qty > 0}
        if not stopped:
            return []
        for line_id, qty in stopped.items():
            order.line(line_id).cancelled += qty
        told: Facts = [facts.OrderLinesCancelled(**self._about(order), lines=order.sku_lines(stopped), reason=by)]
        return told + self._refund_goods(order, "lines_cancelled", stopped, by)[0]
