"""Waiting for the money. Payment alone says paid or not paid: the order asks, and never cancels by its own clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from services.order.domain import policy
from services.order.domain.machine import ActionNotPossible, Facts
from services.order.domain.order import Order
from services.order.domain.reviewing import Reviewing
from services.order.domain.states import ON_THE_WAY, State
from shared.contracts import order as facts
from shared.contracts.event import Sealed
from shared.contracts.lines import Actor, PaidMethod
from shared.kernel.errors import Conflict, Invalid


class AttemptInFlight(Conflict):
    """The buyer is paying at this moment; what the order costs can be changed when that has ended."""


class PriceOutOfRange(Invalid):
    """A shop may lower an unpaid order's price: not below `least`, and back up to `most`, what was placed."""


class Paying(Reviewing):
    """AWAITING_PAYMENT -> paid, or CANCELLED once payment is sure that nothing can come any more."""

    # --- the till is open ------------------------------------------------------------------------------------

    def payment_opened(self, order_nos: Iterable[str], until: datetime) -> Facts:
        """An attempt is in flight until it fails, is paid, or runs out."""
        for order in self._these(order_nos):
            if order.state is State.AWAITING_PAYMENT:
                order.attempt_until = until
            self._note(order, "PaymentInitiated")
        return []

    def payment_failed(self, order_nos: Iterable[str]) -> Facts:
        """An attempt failed; another may be made."""
        for order in self._these(order_nos):
            if order.state is State.AWAITING_PAYMENT:
                order.attempt_until = None
                order.failed_attempts += 1
            self._note(order, "PaymentFailed")
        return []

    def adjust_price(self, order_no: str, payable: int, by: Actor, reason: str, now: datetime) -> Facts:
        """The seller lowers the price (minor units), or takes that back. The same price again: nothing.

        Raises ActionNotPossible, AttemptInFlight, PriceOutOfRange.
        """
        order = self._changeable(order_no, "AdjustPrice")
        old, least, most = order.payable, order.freight + 1, order.payable + order.price_cut
        if payable == old:
            return []
        if not least <= payable <= most:
            raise PriceOutOfRange(field="payable", least=least, most=most)
        self._nobody_pays(order, now)
        order.reprice(payable)
        order.price_cut = most - payable
        self._note(order, "AdjustPrice")
        return [
            facts.OrderPriceAdjusted(
                **self._about(order), old_payable=old, new_payable=payable, currency=self.currency, by=by,
                reason=reason,
            )
        ]  # fmt: skip

    def change_address(self, order_no: str, delivery: Sealed, region: str, freight: int, now: datetime) -> Facts:
        """This order goes elsewhere, for another `freight` maybe. Raises ActionNotPossible, AttemptInFlight."""
        order = self._changeable(order_no, "ChangeAddress")
        old, delta = order.payable, freight - order.freight
        if delta:
            self._nobody_pays(order, now)
        order.delivery, order.region = delivery, region
        order.freight, order.payable = freight, old + delta
        self._note(order, "ChangeAddress")
        return [
            facts.OrderAddressChanged(
                **self._about(order), delivery=delivery, region=region, freight_delta=delta,
                old_payable=old, new_payable=order.payable, currency=self.currency,
            )
        ]  # fmt: skip

    # --- paid ------------------------------------------------------------------------------------------------

    def paid(self, splits: Mapping[str, int], method: PaidMethod, now: datetime) -> Facts:
        """The money is here: `splits` says how much of it is whose."""
        told: Facts = []
        for order_no, amount in splits.items():
            order = self.order(order_no)
            if order.state is State.AWAITING_PAYMENT:
                told += self._paid_in_time(order, amount, now)
            elif order.state in (State.CANCELLED, State.CLOSED) and not order.paid_amount:
                self._note(order, "PaymentConfirmed")
                told += self._take(order, amount)
                told += self._refund_units(order, "cancelled", order.units(), "system")[0]
            elif method == "cod" and not order.paid_amount:
                order.paid_amount = amount
                if order.state in ON_THE_WAY:
                    told += self._receive(order, "PaymentConfirmed", "cod", now)
                else:
                    self._note(order, "PaymentConfirmed")
            else:
                self._note(order, "PaymentConfirmed")
        self._stop_asking()
        return told

    def _paid_in_time(self, order: Order, amount: int, now: datetime) -> Facts:
        """Confirmed at what was paid. Who wanted out while it was unpaid wants out still."""
        wanted_out, order.closing, order.attempt_until = order.closing == "wish", "", None
        told = self._take(order, amount) + self._accept(order, "PaymentConfirmed", now)
        if wanted_out and order.state is State.CONFIRMED:
            told += self._ask_shipping(order, now)
        elif wanted_out:
            by = order.cancel_by or "buyer"
            told += self._cancel(order, "CancelOrder", by, now, by=by)
        return told

    def _take(self, order: Order, amount: int) -> Facts:
        """The price may have changed while the attempt was open: less is accepted, more goes back."""
        order.paid_amount = amount
        if amount < order.payable:
            order.reprice(amount)
        return self._refund_excess(order)

    # --- the time is up --------------------------------------------------------------------------------------

    def payment_deadline(self, now: datetime, reason: Literal["timer", "stock_safety"] = "timer") -> Facts:
        """The time to pay is over: payment, not this clock, says whether it was paid."""
        late = self._in(State.AWAITING_PAYMENT)
        if not late:
            return []
        trigger = {"timer": "PaymentDeadline", "stock_safety": "StockReservationExpired"}[reason]
        for order in late:
            order.closing = order.closing or "deadline"
            self._note(order, trigger)
        self._due("pay_by", None)
        return self._ask_payment(late, reason, now)

    def stock_expired(self, order_no: str, now: datetime) -> Facts:
        """Inventory's hold ran out before our own deadline rang: the till closes, for the whole group."""
        order = self.order(order_no)
        if order.state is State.AWAITING_PAYMENT:
            return self.payment_deadline(now, "stock_safety")
        self._note(order, "StockReservationExpired")
        return []

    def ask_again(self, now: datetime) -> Facts:
        """Payment has not answered; the same questions, not a guess."""
        told: Facts = []
        waiting = [order for order in self._in(State.AWAITING_PAYMENT) if order.closing]
        long = self.asked_since and now - self.asked_since >= policy.ALERT_ARBITER_AFTER
        for order in waiting:
            self._note(order, "ArbiterDeadline")
            if long:
                told += self._stall(order, "payment_unanswered", ("payment",), self.asked_since)
            if order.closing == "wish":
                order.asked += 1
                told.append(self._wish(order, "unpaid"))
        late = [order for order in waiting if order.closing == "deadline"]
        if late:
            return told + self._ask_payment(late, "timer", now)
        self._due("arbiter", now + policy.ASK_ARBITER_EVERY if waiting else None)
        return told

    def payment_expired(self, order_nos: Iterable[str], now: datetime) -> Facts:
        """Payment says: nothing was captured and nothing can be any more."""
        told: Facts = []
        for order in self._these(order_nos):
            if order.state is not State.AWAITING_PAYMENT:
                self._note(order, "PaymentExpired")
            elif order.closing == "wish":
                by = order.cancel_by or "buyer"
                told += self._cancel(order, "PaymentExpired", by, now, by=by)
            else:
                told += self._cancel(order, "PaymentExpired", "payment_timeout", now, by="system")
        for order in self.orders:
            order.attempt_until = None  # what was open for the group is closed
        self._stop_asking()
        return told

    def _unpaid_wish(self, order: Order, now: datetime) -> Facts:
        """Somebody wants out before paying: payment decides."""
        order.closing, order.asked, order.asked_at = "wish", 1, now
        self.asked_since = self.asked_since or now
        self._note(order, "CancelOrder")
        self._due("arbiter", now + policy.ASK_ARBITER_EVERY)
        return [self._wish(order, "unpaid")]

    def _ask_for_payment(self, orders: list[Order], now: datetime) -> Facts:
        """The prices are final and the goods set aside: the till opens."""
        self.pay_by = now + policy.PAY_WITHIN[self.payment_method]
        for order in orders:
            self._move(order, "JoinComplete", State.AWAITING_PAYMENT)
        self._due("pay_by", self.pay_by)
        return [
            facts.OrderPaymentRequested(
                group_no=self.group_no,
                buyer_id=self.buyer_id,
                orders=tuple(
                    facts.OrderShare(order_no=order.order_no, seller_id=order.seller_id, payable=order.payable)
                    for order in orders
                ),
                payable_total=sum(order.payable for order in orders),
                currency=self.currency,
                pay_by=self.pay_by,
                methods=(self.payment_method,),
            )
        ]

    def _ask_payment(self, late: list[Order], reason: Literal["timer", "stock_safety"], now: datetime) -> Facts:
        self.payment_asked += 1
        self.asked_since = self.asked_since or now
        self._due("arbiter", now + policy.ASK_ARBITER_EVERY)
        return [
            facts.OrderPaymentDeadlineReached(
                group_no=self.group_no, order_nos=tuple(order.order_no for order in late),
                pay_by=self.pay_by or now, reason=reason, asked=self.payment_asked,
            )
        ]  # fmt: skip

    def _stop_asking(self) -> None:
        waiting = self._in(State.AWAITING_PAYMENT)
        if not waiting:
            self._due("pay_by", None)
        if not any(order.closing for order in waiting):
            self._due("arbiter", None)
            self.asked_since = None

    def _changeable(self, order_no: str, trigger: str) -> Order:
        order = self._must(order_no, trigger)
        if order.closing:
            raise ActionNotPossible(f"{order_no} is being closed", possible=[])
        return order

    def _nobody_pays(self, order: Order, now: datetime) -> None:
        if order.attempt_until and now < order.attempt_until:
            raise AttemptInFlight()
