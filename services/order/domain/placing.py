"""A group is born, and waits until everybody has answered: are the goods there, is the risk bearable?"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from services.order.domain import policy
from services.order.domain.machine import Facts
from services.order.domain.order import Order
from services.order.domain.paying import Paying
from services.order.domain.states import State
from shared.contracts import order as facts
from shared.contracts.order import CancelReason


class Placing(Paying):
    """PLACED -> AWAITING_PAYMENT; without money to ask for, on to the warehouse; or CANCELLED."""

    def place(self, now: datetime) -> Facts:
        """The birth of the group: one OrderPlaced for each order."""
        self._due("placement_alert", now + policy.PLACEMENT_ALERT)
        self._due("placement", now + policy.PLACEMENT_LIMIT)
        total = sum(order.payable for order in self.orders)
        numbers = tuple(order.order_no for order in self.orders)
        told: Facts = []
        for order in self.orders:
            self.moved.add(order.order_no)
            self._note(order, "PlaceOrder", listed=True)
            told.append(
                facts.OrderPlaced(
                    **self._about(order),
                    index=order.index,
                    of=len(self.orders),
                    group_orders=numbers,
                    group_payable=total,
                    lines=tuple(
                        facts.PlacedLine(
                            line_id=line.line_id, product_id=line.product_id, sku=line.sku,
                            title=line.title, qty=line.qty, unit_price=line.unit_price,
                            discount=line.discount, amount=line.amount,
                        )
                        for line in order.lines
                    ),
                    goods_amount=order.goods_amount,
                    freight=order.freight,
                    discount=order.discount,
                    payable=order.payable,
                    currency=self.currency,
                    payment_method=self.payment_method,
                    region=self.region,
                    stock_policy=self.stock_policy,
                    channel=self.channel,
                    placed_at=self.placed_at,
                )
            )  # fmt: skip
        return told

    def stock_reserved(self, order_no: str, now: datetime) -> Facts:
        """The goods are set aside."""
        order = self.order(order_no)
        self._note(order, "StockReserved")
        if order.state is State.PLACED:
            order.stock = "reserved"
        return self._join(now)

    def risk_assessed(self, order_no: str, decision: Literal["allow", "review", "deny"], now: datetime) -> Facts:
        """Somebody weighed the risk."""
        order = self.order(order_no)
        if order.state is State.PLACED and decision == "deny":
            return self._fail(order, "RiskAssessed", "risk", now)
        self._note(order, "RiskAssessed")
        if order.state is State.PLACED:
            order.risk = decision
        return self._join(now)

    def stock_failed(self, order_no: str, now: datetime) -> Facts:
        """There is not enough. After confirmation: a hold that had run out could not be had again."""
        order = self.order(order_no)
        if order.state is State.PLACED:
            return self._fail(order, "StockReservationFailed", "out_of_stock", now)
        if order.state is State.CONFIRMED:
            return self._cancel(order, "StockReservationFailed", "out_of_stock", now, by="system")
        self._note(order, "StockReservationFailed")
        return []

    def placement_unanswered(self, now: datetime) -> Facts:
        """Half a minute and not every answer is in: somebody should look, and nobody guesses."""
        told: Facts = []
        for order in self._in(State.PLACED):
            if order.unanswered:
                self._note(order, "PlacementAlert")
                told += self._stall(order, "placement_unanswered", order.unanswered, order.placed_at)
        return told

    def placement_overdue(self, now: datetime) -> Facts:
        """Fifteen minutes and still not every answer."""
        told: Facts = []
        for order in self._in(State.PLACED):
            told += self._cancel(order, "PlacementDeadline", "placement_timeout", now, by="system")
        return told

    def _fail(self, order: Order, trigger: str, reason: CancelReason, now: datetime) -> Facts:
        """This order cannot be; where the buyer wanted all or nothing, the others shall not either."""
        told = self._cancel(order, trigger, reason, now, by="system")
        if self.stock_policy == "all_or_nothing":
            for sibling in self._in(State.PLACED):
                told += self._cancel(sibling, trigger, "sibling_failed", now, by="system")
        return told + self._join(now)

    def _join(self, now: datetime) -> Facts:
        """Once every order of the group has all its answers: ask for the money, or go on without."""
        waiting = self._in(State.PLACED)
        if not waiting or any(order.unanswered for order in waiting):
            return []
        self._due("placement_alert", None)
        self._due("placement", None)
        if self.payment_method != "cod" and any(order.payable for order in waiting):
            return self._ask_for_payment(waiting, now)
        return [fact for order in waiting for fact in self._accept(order, "JoinComplete", now)]
