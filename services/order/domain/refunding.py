"""Money going back: asked for by the unit, so that no unit, freight or order is ever refunded more than it brought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from services.order.domain.machine import Facts, Machine
from services.order.domain.order import CloseReason, Order, Refund
from services.order.domain.states import State
from shared.contracts.lines import Actor, RefundLine
from shared.contracts.order import OrderClosed
from shared.contracts.refunds import RefundReason, RefundRequested

SHIPPED_OUT = (State.SHIPPED, State.DELIVERED, State.RECEIVED)


class Refunding(Machine):
    """The last chapter."""

    def refunded(
        self,
        order_no: str,
        refund_id: str,
        amount: int,
        fully: bool,
        now: datetime,
        lines: Iterable[RefundLine] = (),
        freight: int = 0,
    ) -> Facts:
        """Payment sent money back. Each refund counts once; of support's, the lines count as refunded from now on."""
        order = self.order(order_no)
        known = order.refunds.get(refund_id)
        if known is not None and known.done:
            return []
        if known is None:
            for part in lines:
                line = order.line(part.line_id)
                line.refunded = min(line.qty, line.refunded + part.qty)
                line.refunded_amount += part.amount
            order.freight_refunded += freight
        order.refunds[refund_id] = Refund(amount, done=True)
        order.refunded_amount += amount
        waited = refund_id in order.pauses
        if order.state in SHIPPED_OUT and fully:
            return self._close(order, "RefundCompleted", "fully_refunded", now)
        if waited and order.state is State.SHIPPED and order.nothing_kept and order.pauses == [refund_id]:
            return self._close(order, "RefundCompleted", "undeliverable", now)
        self._note(order, "RefundCompleted")
        self._resume(order, refund_id, now)
        return []

    def late_payment(self, order_nos: Iterable[str]) -> Facts:
        """Money came after the end; payment sends it back by itself."""
        for order in self._these(order_nos):
            self._note(order, "LatePaymentReceived")
        return []

    def _pause(self, order: Order, what: str, now: datetime) -> None:
        """The time to confirm receipt stands still until `what` is settled."""
        if what not in order.pauses:
            order.pauses.append(what)
        order.paused_at = order.paused_at or now
        self._due("receipt", None, order)

    def _resume(self, order: Order, what: str, now: datetime) -> None:
        """It goes on, with the time that was left."""
        if what not in order.pauses:
            return
        order.pauses.remove(what)
        if order.pauses:
            return
        if order.state is State.SHIPPED and order.receipt_by and order.paused_at:
            order.receipt_by += now - order.paused_at
            self._due("receipt", order.receipt_by, order)
        order.paused_at = None

    def _refund_units(
        self, order: Order, reason: RefundReason, units: Mapping[str, int], by: Actor
    ) -> tuple[Facts, str]:
        """Ask for the money of these units, and for the freight when nothing of the order stays with the buyer.

        Answers what to tell and the refund's id ("" when there is nothing to give back).
        """
        if not order.paid_amount:
            return [], ""
        parts: list[RefundLine] = []
        room = order.paid_amount - sum(refund.amount for refund in order.refunds.values())
        for line_id, wanted in units.items():
            line = order.line(line_id)
            qty = min(wanted, line.qty - line.refunded)
            if qty <= 0:
                continue
            amount = max(0, min(line.price_of_next(qty), room))
            room -= amount
            line.refunded += qty
            line.refunded_amount += amount
            parts.append(RefundLine(line_id=line_id, qty=qty, amount=amount))
        freight = 0
        if all(line.refunded >= line.qty for line in order.lines):
            freight = max(0, min(order.freight - order.freight_refunded, room))
            order.freight_refunded += freight
        return self._ask_back(order, reason, parts, freight, by)

    def _refund_goods(
        self, order: Order, reason: RefundReason, units: Mapping[str, int], by: Actor
    ) -> tuple[Facts, str]:
        """The same for units the buyer will not get. Cash is taken at the door: there they were not paid for."""
        return ([], "") if self.payment_method == "cod" else self._refund_units(order, reason, units, by)

    def _refund_excess(self, order: Order) -> Facts:
        """More was paid than the order costs: the price fell while the attempt was open."""
        excess = order.paid_amount - order.payable
        return self._ask_back(order, "overpaid", [], 0, "system", excess)[0]

    def _ask_back(
        self,
        order: Order,
        reason: RefundReason,
        parts: list[RefundLine],
        freight: int,
        by: Actor,
        excess: int = 0,
    ) -> tuple[Facts, str]:
        amount = sum(part.amount for part in parts) + freight + excess
        if amount <= 0:
            return [], ""
        refund_id = f"{order.order_no}-r{len(order.refunds) + 1}"
        order.refunds[refund_id] = Refund(amount)
        asked = RefundRequested(
            **self._about(order), refund_id=refund_id, lines=tuple(parts), freight_amount=freight,
            amount=amount, currency=self.currency, reason=reason, by=by,
        )  # fmt: skip
        return [asked], refund_id

    def _close(self, order: Order, trigger: str, reason: CloseReason, now: datetime) -> Facts:
        """The order ends after it was shipped."""
        self._move(order, trigger, State.CLOSED)
        self._end(order, reason, now)
        return [OrderClosed(**self._about(order), reason=reason, lines=order.sku_lines())]
