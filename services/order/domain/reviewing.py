"""Accepted orders go to the warehouse, some of them after a human has looked."""

from __future__ import annotations

from datetime import datetime

from services.order.domain import policy
from services.order.domain.cancelling import Cancelling
from services.order.domain.machine import Facts
from services.order.domain.order import Order, Wisher
from services.order.domain.states import State
from shared.contracts import order as facts
from shared.contracts.order import ReviewReason


class Reviewing(Cancelling):
    """-> AWAITING_REVIEW -> CONFIRMED, or CANCELLED."""

    def approve(self, order_no: str, by: str, now: datetime) -> Facts:
        """A seller or an operator (`by`: an account) lets the order go on. Said twice: done once."""
        order = self.order(order_no)
        if order.approved_by and order.state is not State.CANCELLED:
            return []
        return self._confirm(self._must(order_no, "ApproveOrder"), "ApproveOrder", now, by=by)

    def reject(self, order_no: str, by: Wisher, now: datetime) -> Facts:
        """A seller or an operator refuses the order; the money goes back. Said twice: done once."""
        order = self.order(order_no)
        if order.state is State.CANCELLED and order.end_reason == "review_rejected":
            return []
        return self._cancel(self._must(order_no, "RejectOrder"), "RejectOrder", "review_rejected", now, by=by)

    def review_overdue(self, order_no: str, now: datetime) -> Facts:
        """Nobody looked: what carries no risk goes on; what does waits a second day and is then refused."""
        order = self.order(order_no)
        if order.state is not State.AWAITING_REVIEW:
            return []
        if order.risk != "review" and order.auto_approve:
            return self._confirm(order, "ReviewDeadline", now, by="system")
        if order.review_until and now < order.review_until:
            self._note(order, "ReviewDeadline")
            self._due("review", order.review_until, order)
            since = order.review_until - policy.REVIEW_LIMIT
            return self._stall(order, "review_unanswered", ("seller", "operator"), since)
        return self._cancel(order, "ReviewDeadline", "review_rejected", now, by="system")

    def _accept(self, order: Order, trigger: str, now: datetime) -> Facts:
        """Paid, or to be paid at the door: on to the warehouse, unless somebody should look first."""
        reasons: list[ReviewReason] = [*order.review_reasons]
        if order.risk == "review":
            reasons.append("risk")
        if not reasons:
            return self._confirm(order, trigger, now)
        review_by = now + policy.REVIEW_WITHIN
        order.review_reasons, order.review_until = reasons, now + policy.REVIEW_LIMIT
        self._move(order, trigger, State.AWAITING_REVIEW)
        self._due("review", review_by, order)
        return [facts.OrderHeldForReview(**self._about(order), reasons=tuple(reasons), review_by=review_by)]

    def _confirm(self, order: Order, trigger: str, now: datetime, by: str | None = None) -> Facts:
        self._move(order, trigger, State.CONFIRMED)
        order.confirmed_at, order.ship_by, order.approved_by = now, now + policy.SHIP_WITHIN, by or ""
        self._due("review", None, order)
        self._due("ship_by", order.ship_by, order)
        return [
            facts.OrderConfirmed(
                **self._about(order),
                lines=tuple(
                    facts.ConfirmedLine(
                        line_id=line.line_id, product_id=line.product_id, sku=line.sku, title=line.title,
                        qty=line.qty, weight_g=line.weight_g, amount=line.amount,
                    )
                    for line in order.lines
                ),
                delivery=order.delivery or self.delivery,
                region=order.region or self.region,
                payment_method=self.payment_method,
                paid_amount=order.paid_amount,
                cod_amount=order.payable if self.payment_method == "cod" else 0,
                currency=self.currency,
                ship_by=order.ship_by,
                reviewed_by=by,
            )
        ]  # fmt: skip
