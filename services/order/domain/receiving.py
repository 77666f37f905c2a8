"""The buyer has the goods, or had time enough to say otherwise; and the days after."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Literal

from services.order.domain import policy
from services.order.domain.machine import Facts
from services.order.domain.order import Order
from services.order.domain.refunding import Refunding
from services.order.domain.states import ON_THE_WAY, State
from shared.contracts import order as facts
from shared.contracts.lines import ProductLine
from shared.kernel.errors import Conflict


class ReceiptAlreadyExtended(Conflict):
    """The time to confirm receipt can be extended once."""


class Receiving(Refunding):
    """SHIPPED or DELIVERED -> RECEIVED -> COMPLETED."""

    def confirm_receipt(self, order_no: str, now: datetime) -> Facts:
        """The buyer has the goods. Said twice: done once."""
        order = self.order(order_no)
        if order.state in (State.RECEIVED, State.COMPLETED):
            return []
        return self._receive(self._must(order_no, "ConfirmReceipt"), "ConfirmReceipt", "buyer", now)

    def receipt_overdue(self, order_no: str, now: datetime) -> Facts:
        """The buyer said nothing for long enough."""
        order = self.order(order_no)
        if order.state not in ON_THE_WAY or order.pauses:
            return []
        return self._receive(order, "ReceiptDeadline", "system", now)

    def extend_receipt(self, order_no: str, now: datetime) -> Facts:
        """Five more days, once; also while the time stands still, and kept when the last parcel arrives."""
        order = self._must(order_no, "ExtendReceipt")
        if order.extended:
            raise ReceiptAlreadyExtended()
        order.extended = True
        order.receipt_by = (order.receipt_by or now) + policy.RECEIPT_EXTENSION
        if not order.pauses:
            self._due("receipt", order.receipt_by, order)
        self._note(order, "ExtendReceipt")
        return [facts.ReceiptExtended(**self._about(order), new_receipt_by=order.receipt_by)]

    def window_closed(self, order_no: str, now: datetime) -> Facts:
        """The after-sale window is over and no case is open."""
        order = self.order(order_no)
        if order.state is not State.RECEIVED:
            return []
        self._move(order, "AfterSaleWindowClosed", State.COMPLETED)
        self._end(order, "completed", now)
        return [
            facts.OrderCompleted(
                **self._about(order),
                net_amount=max(order.paid_amount - order.refunded_amount, 0),
                refunded_amount=order.refunded_amount,
                currency=self.currency,
            )
        ]

    def reviewed(self, order_no: str, line_id: str) -> Facts:
        """The buyer wrote a review of a line."""
        order = self.order(order_no)
        order.line(line_id).reviewed = True
        self._note(order, "ReviewPosted")
        return []

    def _receive(self, order: Order, trigger: str, by: Literal["buyer", "system", "cod"], now: datetime) -> Facts:
        self._move(order, trigger, State.RECEIVED)
        order.received_at, order.paused_at = now, None
        order.pauses.clear()
        until = whole_days_after(now, policy.AFTER_SALE_DAYS, order.region or self.region)
        self._due("receipt", None, order)
        self._due("after_sale_window", until, order)
        return [
            facts.ReceiptConfirmed(
                **self._about(order),
                by=by,
                received_at=now,
                after_sale_until=until,
                review_until=now + policy.REVIEW_WINDOW,
                lines=tuple(
                    ProductLine(line_id=line.line_id, sku=line.sku, product_id=line.product_id, qty=line.kept)
                    for line in order.lines
                    if line.kept > 0
                ),
            )
        ]


def whole_days_after(moment: datetime, days: int, region: str) -> datetime:
    """The end of the last of `days` whole days counted from the day after `moment`, by the region's calendar.

    Where the region's days are not known, `moment` and one day more: no calendar ends later than that.
    """
    offset = policy.DAYS_BEGIN.get(region.partition("-")[0])
    if offset is None:
        return moment + timedelta(days=days + 1)
    there = moment.astimezone(timezone(offset))
    midnight = there.replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight + timedelta(days=days + 1)).astimezone(moment.tzinfo)
