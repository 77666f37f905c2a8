"""An order group: one checkout, one payment, and one order for each seller. The whole group is one aggregate.

Every method is a move: it takes what happened and the business time, changes the group, and returns the facts
to tell. The story is told in chapters, each in a module of its own, and is best read in this order:

    placing       a group is born; are the goods there, is the risk bearable?
    paying        waiting for the money; payment is the arbiter
    reviewing     on to the warehouse, some orders after a human has looked
    cancelling    somebody wants out after payment; shipping is the arbiter
    shipping      the warehouse at work, and the way to the door
    receiving     the buyer has the goods; the days after
    refunding     money going back

Each chapter is a class that builds on the ones after it, because what happens early may lead to what is told
late; `machine` below them all keeps to the table of moves (`states`). What a state does not know is noted on the
timeline and otherwise ignored, because facts of different publishers may come in any order. Deadlines are set
beside the state they guard, so no order ever waits for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.order.domain.machine import ActionNotPossible, Change, Facts, Note
from services.order.domain.order import Line, Order, Parcel, Refund, Wisher
from services.order.domain.paying import AttemptInFlight, PriceOutOfRange
from services.order.domain.placing import Placing
from services.order.domain.receiving import ReceiptAlreadyExtended
from services.order.domain.states import State


@dataclass
class OrderGroup(Placing):
    """See the module."""

    def cancel(self, order_no: str, by: Wisher, reason: str, now: datetime) -> Facts:
        """Somebody wants out; `reason` is a code. Asked twice: told once. Raises ActionNotPossible.

        Before anybody was told to pay or to send, it simply ends; then payment decides, and later shipping.
        """
        order = self.order(order_no)
        if order.state is State.CANCELLED or order.closing == "wish" or order.stopping:
            return []
        self._must(order_no, "CancelOrder")
        order.cancel_by, order.cancel_reason = by, reason
        if order.state in (State.PLACED, State.AWAITING_REVIEW):
            return self._cancel(order, "CancelOrder", by, now, by=by) + self._join(now)
        if order.state is State.AWAITING_PAYMENT:
            return self._unpaid_wish(order, now)
        return self._ask_shipping(order, now)


__all__ = [
    "ActionNotPossible", "AttemptInFlight", "Change", "Facts", "Line", "Note", "Order", "OrderGroup", "Parcel",
    "PriceOutOfRange", "ReceiptAlreadyExtended", "Refund", "Wisher",
]  # fmt: skip
