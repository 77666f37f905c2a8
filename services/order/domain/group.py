"""An order group: one checkout, one payment, and one order for each seller. The whole group is one aggregate.

Every method is a move: it takes what happened and the business time, changes the group, and returns the facts to tell.
What a state does not know is noted on the timeline and otherwise ignored, because facts of different publishers may come
in any order. Deadlines are set beside the state they guard, so no order ever waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.order.domain import policy
from services.order.domain.states import (
    IN_WAREHOUSE,
    MOVES,
    ON_THE_WAY,
    TARGETS,
    TERMINAL,
    State,
)
from shared.contracts import order as facts
from shared.contracts.event import Fact, Sealed
from shared.contracts.lines import ProductLine, RefundLine, SkuLine
from shared.contracts.refunds import RefundRequested
from shared.kernel.errors import Conflict
from shared.kernel.money import allocate

Facts = list[Fact]
_MOVES_OF = {state: frozenset(move.trigger for move in MOVES if move.source == state) for state in State}


class ActionNotPossible(Conflict):
    """The order's present state does not allow this; see `possible` for what it allows."""


class ReceiptAlreadyExtended(Conflict):
    """The time to confirm receipt can be extended once."""


@dataclass
class Line:
    """`amount` = qty x unit_price - discount; counts are units of the line in each condition."""

    line_id: str
    product_id: str
    sku: str
    title: str
    qty: int
    unit_price: int
    discount: int
    amount: int
    weight_g: int
    shipped: int = 0
    delivered: int = 0
    cancelled: int = 0
    returned: int = 0
    lost: int = 0
    refunded: int = 0
    reviewed: bool = False

    @property
    def to_ship(self) -> int:
        return self.qty - self.cancelled - self.shipped

    def price_of(self, qty: int, done: int) -> int:
        """What `qty` more units cost when `done` units were already paid back: shares that sum to `amount` exactly."""
        shares = allocate(self.amount, [1] * self.qty)
        return sum(shares[done : done + qty])


@dataclass
class Parcel:
    """A shipment as far as the order cares."""

    state: str
    lines: dict[str, int]


@dataclass
class Order:
    """One seller's part of the group."""

    order_no: str
    index: int
    seller_id: str
    lines: list[Line]
    goods_amount: int
    discount: int
    freight: int
    payable: int
    placed_at: datetime
    state: State = State.PLACED
    came_from: State | None = None
    stock: str = ""
    risk: str = ""
    coupons: list[str] = field(default_factory=list)
    coupons_claimed: bool = False
    review_reasons: list[str] = field(default_factory=list)
    review_until: datetime | None = None
    auto_approve: bool = True
    closing: str = ""
    cancel_by: str = ""
    cancel_reason: str = ""
    asked: int = 0
    attempt_until: datetime | None = None
    failed_attempts: int = 0
    paid_amount: int = 0
    refunded_amount: int = 0
    refunds: dict[str, int] = field(default_factory=dict)
    freight_refunded: bool = False
    parcels: dict[str, Parcel] = field(default_factory=dict)
    pauses: list[str] = field(default_factory=list)
    extended: bool = False
    confirmed_at: datetime | None = None
    ship_by: datetime | None = None
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    received_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str = ""
    deadlines: dict[str, datetime] = field(default_factory=dict)
    version: int = 0

    @property
    def over(self) -> bool:
        return self.state in TERMINAL

    @property
    def all_shipped(self) -> bool:
        return all(line.to_ship <= 0 for line in self.lines)

    @property
    def all_delivered(self) -> bool:
        sent = [parcel for parcel in self.parcels.values() if parcel.state != "cancelled"]
        return bool(sent) and all(parcel.state in ("delivered", "returned", "lost") for parcel in sent)

    def line(self, line_id: str) -> Line:
        return next(line for line in self.lines if line.line_id == line_id)

    def sku_lines(self) -> tuple[SkuLine, ...]:
        return tuple(SkuLine(line_id=line.line_id, sku=line.sku, qty=line.qty) for line in self.lines)


@dataclass
class Note:
    """One line of the timeline. `order_no` empty: it concerns the group."""

    order_no: str
    trigger: str
    state: str
    listed: bool
    cause: str


@dataclass
class OrderGroup:
    """`changes`, `notes` and `cause` are this transaction's; the store takes them out before it keeps the group."""

    group_no: str
    buyer_id: str
    currency: str
    payment_method: str
    stock_policy: str
    channel: str
    region: str
    delivery: Sealed
    placed_at: datetime
    orders: list[Order]
    pay_by: datetime | None = None
    payment_asked: int = 0
    asked_since: datetime | None = None
    deadlines: dict[str, datetime] = field(default_factory=dict)
    changes: list[tuple[str, str, datetime | None]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    cause: str = ""

    # --- placing ----------------------------------------------------------------------------------------------------

    def place(self, now: datetime) -> Facts:
        """The birth of the group: one OrderPlaced for each order."""
        self._due("placement_alert", now + policy.PLACEMENT_ALERT)
        self._due("placement", now + policy.PLACEMENT_LIMIT)
        total = sum(order.payable for order in self.orders)
        told: Facts = []
        for order in self.orders:
            self._note(order, "PlaceOrder")
            told.append(
                facts.OrderPlaced(
                    **self._about(order),
                    index=order.index,
                    of=len(self.orders),
                    group_orders=tuple(one.order_no for one in self.orders),
                    group_payable=total,
                    lines=tuple(
                        facts.PlacedLine(
                            line_id=line.line_id,
                            product_id=line.product_id,
                            sku=line.sku,
                            title=line.title,
                            qty=line.qty,
                            unit_price=line.unit_price,
                            discount=line.discount,
                            amount=line.amount,
                        )
                        for line in order.lines
                    ),
                    goods_amount=order.goods_amount,
                    freight=order.freight,
                    discount=order.discount,
                    payable=order.payable,
                    currency=self.currency,
                    payment_method=self.payment_method,  # type: ignore[arg-type]
                    region=self.region,
                    stock_policy=self.stock_policy,  # type: ignore[arg-type]
                    channel=self.channel,
                    placed_at=self.placed_at,
                    coupons=tuple(order.coupons),
                )
            )
        return told

    def stock_reserved(self, order_no: str, now: datetime) -> Facts:
        """The goods are set aside."""
        order = self.order(order_no)
        self._note(order, "StockReserved")
        if order.state is State.PLACED:
            order.stock = "reserved"
        return self._join(now)

    def risk_assessed(self, order_no: str, decision: str, now: datetime) -> Facts:
        """Somebody looked at the risk."""
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

    def placement_overdue(self, now: datetime) -> Facts:
        """Fifteen minutes and still not every answer."""
        told: Facts = []
        for order in self.orders:
            if order.state is State.PLACED:
                told += self._cancel(order, "PlacementDeadline", "placement_timeout", now, by="system")
        return told

    def _fail(self, order: Order, trigger: str, reason: str, now: datetime) -> Facts:
        told = self._cancel(order, trigger, reason, now, by="system")
        if self.stock_policy == "all_or_nothing":
            for sibling in self.orders:
                if sibling.state is State.PLACED:
                    told += self._cancel(sibling, trigger, "sibling_failed", now, by="system")
        return told + self._join(now)

    def _join(self, now: datetime) -> Facts:
        """Once every order of the group has all its answers: ask for the money, or go on without."""
        waiting = [order for order in self.orders if order.state is State.PLACED]
        if not waiting or any(
            not order.stock or not order.risk or (order.coupons and not order.coupons_claimed)
            for order in waiting
        ):
            return []
        self._due("placement_alert", None)
        self._due("placement", None)
        if self.payment_method == "cod" or not sum(order.payable for order in waiting):
            return [fact for order in waiting for fact in self._accept(order, "JoinComplete", now)]
        self.pay_by = now + policy.PAY_WITHIN[self.payment_method]
        for order in waiting:
            self._move(order, "JoinComplete", State.AWAITING_PAYMENT)
        self._due("pay_by", self.pay_by)
        return [
            facts.OrderPaymentRequested(
                group_no=self.group_no,
                buyer_id=self.buyer_id,
                orders=tuple(
                    facts.OrderShare(
                        order_no=order.order_no, seller_id=order.seller_id, payable=order.payable
                    )
                    for order in waiting
                ),
                payable_total=sum(order.payable for order in waiting),
                currency=self.currency,
                pay_by=self.pay_by,
                methods=(self.payment_method,),  # type: ignore[arg-type]
            )
        ]

    # --- paying -----------------------------------------------------------------------------------------------------

    def payment_opened(self, order_nos: Iterable[str], until: datetime) -> Facts:
        """An attempt is in flight until it fails, is paid, or runs out."""
        for order in self._these(order_nos):
            self._note(order, "PaymentInitiated")
            order.attempt_until = until
        return []

    def payment_failed(self, order_nos: Iterable[str]) -> Facts:
        """An attempt failed; another may be made."""
        for order in self._these(order_nos):
            self._note(order, "PaymentFailed")
            order.attempt_until = None
            order.failed_attempts += 1
        return []

    def paid(self, splits: dict[str, int], method: str, now: datetime) -> Facts:
        """The money is here: `splits` says how much of it is whose."""
        told: Facts = []
        for order_no, amount in splits.items():
            order = self.order(order_no)
            if order.state is State.AWAITING_PAYMENT:
                order.paid_amount, order.attempt_until = amount, None
                told += self._overpaid(order)
                told += self._accept(order, "PaymentConfirmed", now)
                if order.state is State.CONFIRMED and order.closing == "buyer":
                    told += self._ask_shipping(order, "CancelOrder", now)
                order.closing = ""
            elif method == "cod" and order.state in ON_THE_WAY | {State.PARTIALLY_SHIPPED}:
                order.paid_amount = amount
                told += (
                    self._receive(order, "PaymentConfirmed", "cod", now) if order.state in ON_THE_WAY else []
                )
            else:
                self._note(order, "PaymentConfirmed")
                if method == "cod" and not order.over:
                    order.paid_amount = amount
        self._stop_asking()
        return told

    def payment_deadline(self, now: datetime, reason: str = "timer") -> Facts:
        """The time to pay is over: payment, not this clock, says whether it was paid."""
        late = [order for order in self.orders if order.state is State.AWAITING_PAYMENT]
        if not late:
            return []
        trigger = {"timer": "PaymentDeadline", "stock_safety": "StockReservationExpired"}[reason]
        for order in late:
            order.closing = order.closing or "deadline"
            self._note(order, trigger)
        self._due("pay_by", None)
        return self._ask_arbiter(late, reason, now)

    def ask_again(self, now: datetime) -> Facts:
        """Payment has not answered; the same question, not a guess."""
        told: Facts = []
        waiting = [order for order in self.orders if order.state is State.AWAITING_PAYMENT and order.closing]
        for order in waiting:
            self._note(order, "ArbiterDeadline")
            if order.closing == "buyer":
                order.asked += 1
                told.append(self._cancellation(order, "unpaid"))
        late = [order for order in waiting if order.closing == "deadline"]
        if late:
            return told + self._ask_arbiter(late, "timer", now)
        self._due("arbiter", now + policy.ASK_ARBITER_EVERY if waiting else None)
        return told

    def payment_expired(self, order_nos: Iterable[str], now: datetime) -> Facts:
        """Payment says: nothing was captured and nothing can be any more."""
        told: Facts = []
        for order in self._these(order_nos):
            if order.state is State.AWAITING_PAYMENT:
                reason = "buyer" if order.closing == "buyer" else "payment_timeout"
                told += self._cancel(order, "PaymentExpired", reason, now, by=order.cancel_by or "system")
            else:
                self._note(order, "PaymentExpired")
        self._stop_asking()
        return told

    def _ask_arbiter(self, late: list[Order], reason: str, now: datetime) -> Facts:
        self.payment_asked += 1
        self.asked_since = self.asked_since or now
        self._due("arbiter", now + policy.ASK_ARBITER_EVERY)
        return [
            facts.OrderPaymentDeadlineReached(
                group_no=self.group_no,
                order_nos=tuple(order.order_no for order in late),
                pay_by=self.pay_by or now,
                reason=reason,  # type: ignore[arg-type]
                asked=self.payment_asked,
            )
        ]

    def _stop_asking(self) -> None:
        waiting = [order for order in self.orders if order.state is State.AWAITING_PAYMENT]
        if not waiting:
            self._due("pay_by", None)
        if not any(order.closing for order in waiting):
            self._due("arbiter", None)
            self.asked_since = None

    def _overpaid(self, order: Order) -> Facts:
        """The price fell while the attempt was open: give the difference back."""
        over = order.paid_amount - order.payable
        return self._refund(order, "overpaid", [], 0, over, "system")

    def _accept(self, order: Order, trigger: str, now: datetime) -> Facts:
        reasons = [*order.review_reasons, *(["risk"] if order.risk == "review" else [])]
        if not reasons:
            return self._confirm(order, trigger, now)
        order.review_reasons, order.review_until = reasons, now + policy.REVIEW_LIMIT
        self._move(order, trigger, State.AWAITING_REVIEW)
        self._due("review", now + policy.REVIEW_WITHIN, order)
        return [
            facts.OrderHeldForReview(
                **self._about(order),
                reasons=tuple(reasons),
                review_by=now + policy.REVIEW_WITHIN,  # type: ignore[arg-type]
            )
        ]

    def _confirm(self, order: Order, trigger: str, now: datetime, by: str | None = None) -> Facts:
        self._move(order, trigger, State.CONFIRMED)
        order.confirmed_at, order.ship_by = now, now + policy.SHIP_WITHIN
        self._due("review", None, order)
        return [
            facts.OrderConfirmed(
                **self._about(order),
                lines=tuple(
                    facts.ConfirmedLine(
                        line_id=line.line_id,
                        product_id=line.product_id,
                        sku=line.sku,
                        title=line.title,
                        qty=line.qty,
                        weight_g=line.weight_g,
                    )
                    for line in order.lines
                ),
                delivery=self.delivery,
                region=self.region,
                payment_method=self.payment_method,  # type: ignore[arg-type]
                paid_amount=order.paid_amount,
                cod_amount=order.payable if self.payment_method == "cod" else 0,
                currency=self.currency,
                ship_by=order.ship_by,
                reviewed_by=by,
            )
        ]

    # --- review -----------------------------------------------------------------------------------------------------

    def approve(self, order_no: str, by: str, now: datetime) -> Facts:
        """A seller or an operator lets the order go on."""
        order = self._must(order_no, "ApproveOrder")
        return self._confirm(order, "ApproveOrder", now, by=by)

    def reject(self, order_no: str, by: str, now: datetime) -> Facts:
        """A seller or an operator refuses the order; the money goes back."""
        order = self._must(order_no, "RejectOrder")
        return self._cancel(order, "RejectOrder", "review_rejected", now, by=by)

    def review_overdue(self, order_no: str, now: datetime) -> Facts:
        """Nobody looked: what carries no risk goes on, what does waits a second day and is then refused."""
        order = self.order(order_no)
        if order.state is not State.AWAITING_REVIEW:
            return []
        if order.risk != "review" and order.auto_approve:
            return self._confirm(order, "ReviewDeadline", now, by="system")
        if order.review_until and now < order.review_until:
            self._note(order, "ReviewDeadline")
            self._due("review", order.review_until, order)
            return []
        return self._cancel(order, "ReviewDeadline", "review_rejected", now, by="system")

    # --- cancelling -------------------------------------------------------------------------------------------------

    def cancel(self, order_no: str, by: str, reason: str, now: datetime) -> Facts:
        """Somebody wants out. Before payment, payment decides; after it, shipping does. Asked twice: told once."""
        order = self._must(order_no, "CancelOrder", also=(State.CANCEL_PENDING, State.CANCELLED))
        if order.state in (State.CANCEL_PENDING, State.CANCELLED) or order.closing == "buyer":
            return []
        order.cancel_by, order.cancel_reason = by, reason
        if order.state in (State.PLACED, State.AWAITING_REVIEW):
            told = self._cancel(order, "CancelOrder", by, now, by=by)
            return told + (self._join(now) if not order.paid_amount else [])
        if order.state is State.AWAITING_PAYMENT:
            order.closing = "buyer"
            order.asked += 1
            self.asked_since = self.asked_since or now
            self._note(order, "CancelOrder")
            self._due("arbiter", now + policy.ASK_ARBITER_EVERY)
            return [self._cancellation(order, "unpaid")]
        return self._ask_shipping(order, "CancelOrder", now)

    def cancel_unanswered(self, order_no: str, now: datetime) -> Facts:
        """Shipping has not answered; the same question again."""
        order = self.order(order_no)
        if order.state not in (State.CANCEL_PENDING, State.PARTIALLY_SHIPPED) or not order.cancel_by:
            return []
        self._note(order, "CancelAnswerDeadline")
        order.asked += 1
        self._due("cancel_answer", now + policy.CANCEL_ANSWER_WITHIN, order)
        return [self._cancellation(order, "paid")]

    def shipments_stopped(
        self,
        order_no: str,
        shipment_ids: Iterable[str],
        lines: dict[str, int],
        gone: tuple[str, ...],
        now: datetime,
    ) -> Facts:
        """Shipping's answer: these units will not leave, those shipments are gone."""
        order = self.order(order_no)
        self._due("cancel_answer", None, order)
        for shipment_id in shipment_ids:
            if shipment_id in order.parcels:
                order.parcels[shipment_id].state = "cancelled"
        if order.state is State.CANCEL_PENDING and not gone:
            return self._cancel(order, "ShipmentCancelled", order.cancel_by, now, by=order.cancel_by)
        if order.state not in (State.CANCEL_PENDING, State.PARTIALLY_SHIPPED):
            self._note(order, "ShipmentCancelled")
            return []
        told = self._cancel_lines(order, lines)
        if order.state is State.CANCEL_PENDING:
            told.insert(0, self._too_late(order, "partly_handed_over", gone))
        if order.all_shipped:
            told += self._fully_shipped(order, "ShipmentCancelled", now)
        elif order.state is State.CANCEL_PENDING:
            self._move(order, "ShipmentCancelled", State.PARTIALLY_SHIPPED)
        else:
            self._note(order, "ShipmentCancelled")
        order.cancel_by = ""
        return told

    def shipments_gone(self, order_no: str, shipment_ids: tuple[str, ...]) -> Facts:
        """Shipping's answer: everything had left already."""
        order = self.order(order_no)
        self._due("cancel_answer", None, order)
        if order.state not in (State.CANCEL_PENDING, State.PARTIALLY_SHIPPED) or not order.cancel_by:
            self._note(order, "ShipmentCancellationRejected")
            return []
        if order.state is State.CANCEL_PENDING:
            self._move(order, "ShipmentCancellationRejected", order.came_from or State.CONFIRMED)
        else:
            self._note(order, "ShipmentCancellationRejected")
        order.cancel_by = ""
        return [self._too_late(order, "handed_over", shipment_ids)]

    def _ask_shipping(self, order: Order, trigger: str, now: datetime) -> Facts:
        order.asked += 1
        order.cancel_by = order.cancel_by or "buyer"
        if order.state in IN_WAREHOUSE:
            order.came_from = order.state
            self._move(order, trigger, State.CANCEL_PENDING)
        else:
            self._note(order, trigger)
        self._due("cancel_answer", now + policy.CANCEL_ANSWER_WITHIN, order)
        return [self._cancellation(order, "paid")]

    def _cancellation(self, order: Order, stage: str) -> Fact:
        return facts.OrderCancellationRequested(
            **self._about(order),
            stage=stage,
            by=order.cancel_by or "buyer",  # type: ignore[arg-type]
            reason=order.cancel_reason or "unspecified",
            asked=order.asked,
        )

    def _too_late(self, order: Order, reason: str, shipment_ids: tuple[str, ...]) -> Fact:
        return facts.OrderCancellationRejected(
            **self._about(order),
            reason=reason,
            shipment_ids=shipment_ids,  # type: ignore[arg-type]
        )

    def _cancel(self, order: Order, trigger: str, reason: str, now: datetime, *, by: str) -> Facts:
        was_paid = order.paid_amount > 0
        for line in order.lines:
            line.cancelled = line.qty
        self._move(order, trigger, State.CANCELLED)
        self._end(order, reason, now)
        told: Facts = [
            facts.OrderCancelled(
                **self._about(order),
                reason=reason,
                was_paid=was_paid,
                lines=order.sku_lines(),  # type: ignore[arg-type]
            )
        ]
        if was_paid:
            why = {"out_of_stock": "out_of_stock", "review_rejected": "review_rejected"}.get(
                reason, "cancelled"
            )
            told += self._refund_lines(order, why, {line.line_id: line.qty for line in order.lines}, by)
        return told

    def _cancel_lines(self, order: Order, lines: dict[str, int]) -> Facts:
        stopped = {line_id: min(qty, order.line(line_id).to_ship) for line_id, qty in lines.items()}
        stopped = {line_id: qty for line_id, qty in stopped.items() if qty > 0}
        if not stopped:
            return []
        for line_id, qty in stopped.items():
            order.line(line_id).cancelled += qty
        told: Facts = [
            facts.OrderLinesCancelled(
                **self._about(order),
                lines=tuple(
                    SkuLine(line_id=line_id, sku=order.line(line_id).sku, qty=qty)
                    for line_id, qty in stopped.items()
                ),
                reason=order.cancel_by or "buyer",  # type: ignore[arg-type]
            )
        ]
        if order.paid_amount:
            told += self._refund_lines(order, "lines_cancelled", stopped, order.cancel_by or "buyer")
        return told

    # --- shipping ---------------------------------------------------------------------------------------------------

    def shipment_planned(self, order_no: str, shipment_id: str, lines: dict[str, int]) -> Facts:
        """A parcel will leave a warehouse."""
        order = self.order(order_no)
        self._note(order, "ShipmentPlanned")
        order.parcels.setdefault(shipment_id, Parcel("planned", lines))
        return []

    def picking_started(self, order_no: str, shipment_id: str) -> Facts:
        """Somebody walks along the shelves."""
        order = self.order(order_no)
        self._parcel(order, shipment_id, "picking")
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
        self._parcel(order, shipment_id, "packed")
        self._note(order, "ShipmentPacked")
        return []

    def shipped(self, order_no: str, shipment_id: str, lines: dict[str, int], now: datetime) -> Facts:
        """A carrier took a parcel over."""
        order = self.order(order_no)
        parcel = order.parcels.setdefault(shipment_id, Parcel("planned", lines))
        if parcel.state not in ("planned", "picking", "packed"):
            self._note(order, "Shipped")
            return []
        parcel.state = "shipped"
        for line_id, qty in lines.items():
            order.line(line_id).shipped += qty
        if order.state not in IN_WAREHOUSE | {State.PARTIALLY_SHIPPED, State.CANCEL_PENDING}:
            self._note(order, "Shipped")
            return []
        if not order.all_shipped:
            if order.state in IN_WAREHOUSE:
                self._move(order, "Shipped", State.PARTIALLY_SHIPPED)
            else:
                self._note(order, "Shipped")
            return []
        told: Facts = []
        if order.state is State.CANCEL_PENDING:
            self._due("cancel_answer", None, order)
            told.append(self._too_late(order, "handed_over", tuple(order.parcels)))
            order.cancel_by = ""
        return told + self._fully_shipped(order, "Shipped", now)

    def delivered(self, order_no: str, shipment_id: str, now: datetime) -> Facts:
        """A parcel arrived."""
        order = self.order(order_no)
        parcel = self._parcel(order, shipment_id, "delivered")
        if parcel is None:
            self._note(order, "Delivered")
            return []
        for line_id, qty in parcel.lines.items():
            order.line(line_id).delivered += qty
        self._resume(order, shipment_id, now)
        if order.state is State.SHIPPED and order.all_delivered:
            return self._all_delivered(order, "Delivered", now)
        self._note(order, "Delivered")
        return []

    def delivery_troubled(self, order_no: str, shipment_id: str, trigger: str, state: str) -> Facts:
        """Nobody was there, it was refused, or it is lost: the time to confirm receipt stands still."""
        order = self.order(order_no)
        self._note(order, trigger)
        if self._parcel(order, shipment_id, state) is not None and not order.over:
            if shipment_id not in order.pauses:
                order.pauses.append(shipment_id)
            self._due("receipt", None, order)
        return []

    def lost(self, order_no: str, shipment_id: str) -> Facts:
        """A parcel was declared lost: its money goes back."""
        order = self.order(order_no)
        parcel = order.parcels.get(shipment_id)
        if parcel is None or parcel.state == "lost":
            self._note(order, "ShipmentLost")
            return []
        told = self.delivery_troubled(order_no, shipment_id, "ShipmentLost", "lost")
        for line_id, qty in parcel.lines.items():
            order.line(line_id).lost += qty
        if order.paid_amount and not order.over:
            told += self._refund_lines(order, "lost", parcel.lines, "system")
        return told

    def returned(self, order_no: str, shipment_id: str, cod: bool, now: datetime) -> Facts:
        """A parcel came back unopened: its money goes back; when all of them did, the order is closed."""
        order = self.order(order_no)
        parcel = self._parcel(order, shipment_id, "returned")
        if parcel is None:
            self._note(order, "ReturnedToSender")
            return []
        for line_id, qty in parcel.lines.items():
            order.line(line_id).returned += qty
        told: Facts = []
        back = all(line.returned + line.cancelled >= line.qty for line in order.lines)
        if order.paid_amount and not order.over:
            told += self._refund_lines(order, "returned_to_sender", parcel.lines, "system")
        if order.state is State.SHIPPED and back:
            self._move(order, "ReturnedToSender", State.CLOSED)
            self._end(order, "cod_refused" if cod else "undeliverable", now)
            return [self._closed(order), *told]
        self._note(order, "ReturnedToSender")
        self._resume(order, shipment_id, now)
        return told

    def _fully_shipped(self, order: Order, trigger: str, now: datetime) -> Facts:
        self._move(order, trigger, State.SHIPPED)
        order.shipped_at = now
        receipt_by = now + policy.RECEIPT_AFTER_SHIPPING
        if not order.pauses:
            self._due("receipt", receipt_by, order)
        told: Facts = [facts.OrderFullyShipped(**self._about(order), shipped_at=now, receipt_by=receipt_by)]
        if order.all_delivered and not order.pauses:
            told += self._all_delivered(order, "Delivered", now)
        return told

    def _all_delivered(self, order: Order, trigger: str, now: datetime) -> Facts:
        self._move(order, trigger, State.DELIVERED)
        order.delivered_at = now
        receipt_by = now + policy.RECEIPT_AFTER_DELIVERY
        self._due("receipt", receipt_by, order)
        return [facts.OrderDelivered(**self._about(order), delivered_at=now, receipt_by=receipt_by)]

    def _resume(self, order: Order, shipment_id: str, now: datetime) -> None:
        if shipment_id in order.pauses:
            order.pauses.remove(shipment_id)
            if not order.pauses and order.state is State.SHIPPED:
                self._due("receipt", now + policy.RECEIPT_AFTER_DELIVERY, order)

    def _parcel(self, order: Order, shipment_id: str, state: str) -> Parcel | None:
        """Move the parcel forward; None when it is unknown or has already been there."""
        parcel = order.parcels.get(shipment_id)
        if parcel is None or parcel.state == state or parcel.state in ("cancelled", "delivered", "returned"):
            return None
        parcel.state = state
        return parcel

    # --- receiving --------------------------------------------------------------------------------------------------

    def confirm_receipt(self, order_no: str, now: datetime) -> Facts:
        """The buyer has the goods. Said twice: done once."""
        order = self._must(order_no, "ConfirmReceipt", also=(State.RECEIVED, State.COMPLETED))
        if order.state in (State.RECEIVED, State.COMPLETED):
            return []
        return self._receive(order, "ConfirmReceipt", "buyer", now)

    def receipt_overdue(self, order_no: str, now: datetime) -> Facts:
        """The buyer said nothing for long enough."""
        order = self.order(order_no)
        if order.state not in ON_THE_WAY or order.pauses:
            return []
        return self._receive(order, "ReceiptDeadline", "system", now)

    def extend_receipt(self, order_no: str, now: datetime) -> Facts:
        """Five more days, once."""
        order = self._must(order_no, "ExtendReceipt")
        if order.extended:
            raise ReceiptAlreadyExtended()
        order.extended = True
        receipt_by = order.deadlines.get("receipt", now) + policy.RECEIPT_EXTENSION
        if not order.pauses:
            self._due("receipt", receipt_by, order)
        self._note(order, "ExtendReceipt")
        return [facts.ReceiptExtended(**self._about(order), new_receipt_by=receipt_by)]

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
        self._note(order, "ReviewPosted")
        order.line(line_id).reviewed = True
        return []

    def _receive(self, order: Order, trigger: str, by: str, now: datetime) -> Facts:
        self._move(order, trigger, State.RECEIVED)
        order.received_at = now
        until = end_of_day_after(now, policy.AFTER_SALE_DAYS)
        self._due("receipt", None, order)
        self._due("after_sale_window", until, order)
        return [
            facts.ReceiptConfirmed(
                **self._about(order),
                by=by,  # type: ignore[arg-type]
                received_at=now,
                after_sale_until=until,
                review_until=now + policy.REVIEW_WINDOW,
                lines=tuple(
                    ProductLine(
                        line_id=line.line_id, sku=line.sku, product_id=line.product_id, qty=line.shipped
                    )
                    for line in order.lines
                    if line.shipped > 0
                ),
            )
        ]

    # --- money going back -------------------------------------------------------------------------------------------

    def refunded(self, order_no: str, refund_id: str, amount: int, fully: bool, now: datetime) -> Facts:
        """Payment sent money back. Each refund counts once."""
        order = self.order(order_no)
        if order.refunds.get(refund_id, 0) < 0:
            return []
        order.refunds[refund_id] = -amount  # negative: done; positive: asked for
        order.refunded_amount += amount
        if fully and order.state in (State.SHIPPED, State.DELIVERED, State.RECEIVED):
            self._move(order, "RefundCompleted", State.CLOSED)
            self._end(order, "fully_refunded", now)
            return [self._closed(order)]
        self._note(order, "RefundCompleted")
        return []

    def late_payment(self, order_nos: Iterable[str]) -> Facts:
        """Money came after the end; payment sends it back by itself."""
        for order in self._these(order_nos):
            self._note(order, "LatePaymentReceived")
        return []

    def _refund_lines(self, order: Order, reason: str, quantities: dict[str, int], by: str) -> Facts:
        """Ask for the money of these units, and for the freight when nothing of the order stays with the buyer."""
        lines, total = [], 0
        for line_id, qty in quantities.items():
            line = order.line(line_id)
            qty = min(qty, line.qty - line.refunded)
            amount = line.price_of(qty, line.refunded)
            line.refunded += qty
            total += amount
            lines.append(RefundLine(line_id=line_id, qty=qty, amount=amount))
        freight = 0
        if not order.freight_refunded and all(line.refunded >= line.qty for line in order.lines):
            freight, order.freight_refunded = order.freight, True
        # Never more than was paid: after a price cut in flight the line prices may exceed the money.
        room = order.paid_amount - sum(abs(amount) for amount in order.refunds.values())
        return self._refund(order, reason, lines, freight, min(total + freight, room), by)

    def _refund(
        self, order: Order, reason: str, lines: list[RefundLine], freight: int, amount: int, by: str
    ) -> Facts:
        if amount <= 0:
            return []
        refund_id = f"{order.order_no}-r{len(order.refunds) + 1}"
        order.refunds[refund_id] = amount
        return [
            RefundRequested(
                **self._about(order),
                refund_id=refund_id,
                lines=tuple(lines),
                freight_amount=freight,
                amount=amount,
                currency=self.currency,
                reason=reason,
                by=by,  # type: ignore[arg-type]
            )
        ]

    def _closed(self, order: Order) -> Fact:
        return facts.OrderClosed(**self._about(order), reason=order.end_reason, lines=order.sku_lines())  # type: ignore[arg-type]

    # --- the machine ------------------------------------------------------------------------------------------------

    def order(self, order_no: str) -> Order:
        return next(order for order in self.orders if order.order_no == order_no)

    def _these(self, order_nos: Iterable[str]) -> list[Order]:
        wanted = set(order_nos)
        return [order for order in self.orders if order.order_no in wanted]

    def _must(self, order_no: str, trigger: str, also: tuple[State, ...] = ()) -> Order:
        """The order, if its state knows the command (or `also`). Raises ActionNotPossible."""
        order = self.order(order_no)
        if trigger not in _MOVES_OF[order.state] and order.state not in also:
            raise ActionNotPossible(
                f"{order_no} is {order.state}",
                possible=[name for name, _ in policy.ACTIONS.get(order.state, ())],
            )
        return order

    def _move(self, order: Order, trigger: str, target: State) -> None:
        if target not in TARGETS.get((order.state, trigger), ()):
            raise AssertionError(f"{order.state} --{trigger}--> {target} is not in the table")
        order.state = target
        self._note(order, trigger, listed=True)

    def _note(self, order: Order, trigger: str, listed: bool | None = None) -> None:
        order.version += 1
        known = trigger in _MOVES_OF[order.state] if listed is None else listed
        self.notes.append(
            Note(order.order_no, trigger, order.state, known or trigger == "PlaceOrder", self.cause)
        )

    def _due(self, name: str, moment: datetime | None, order: Order | None = None) -> None:
        """Set (or, with None, forget) a deadline of the order, or of the group."""
        deadlines = order.deadlines if order else self.deadlines
        if moment is None and deadlines.pop(name, None) is None:
            return
        if moment is not None:
            deadlines[name] = moment
        self.changes.append((order.order_no if order else self.group_no, name, moment))

    def fired(self, number: str, name: str) -> None:
        """A deadline rang: its row is gone."""
        (self.deadlines if number == self.group_no else self.order(number).deadlines).pop(name, None)

    def _end(self, order: Order, reason: str, now: datetime) -> None:
        order.ended_at, order.end_reason = now, reason
        order.pauses.clear()
        for name in list(order.deadlines):
            self._due(name, None, order)
        if all(one.over for one in self.orders):
            for name in list(self.deadlines):
                self._due(name, None)

    def _about(self, order: Order) -> dict[str, Any]:
        return {
            "group_no": self.group_no,
            "order_no": order.order_no,
            "seller_id": order.seller_id,
            "buyer_id": self.buyer_id,
        }


def end_of_day_after(moment: datetime, days: int) -> datetime:
    """`days` whole days counted from the day after `moment`, in the time zone of `moment`."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=days + 1)
