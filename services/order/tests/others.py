"""Payment and shipping as small, faithful models: they answer what they are asked, and know what is true."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shared.contracts.order import (
    OrderCancellationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderPaymentDeadlineReached,
    OrderPaymentRequested,
    OrderPriceAdjusted,
    ReceiptConfirmed,
)
from shared.contracts.refunds import RefundRequested

Arrival = tuple[str, tuple[Any, ...]]
"""A move of the group and its arguments, without the time."""


class Payment:
    """Takes money for what is due, answers what it is asked, and sends money back."""

    def __init__(self) -> None:
        self.due: dict[str, int] = {}
        self.captured: dict[str, int] = {}
        self.sent_back: Counter[str] = Counter()
        self.refunds: set[str] = set()
        self.cash: dict[str, int] = {}

    def hear(self, fact: Any) -> list[Arrival]:
        match fact:
            case OrderPaymentRequested():
                self.due |= {share.order_no: share.payable for share in fact.orders}
            case OrderPriceAdjusted() if fact.order_no in self.due:
                self.due[fact.order_no] = fact.new_payable
            case OrderPaymentDeadlineReached():
                return self._expire(fact.order_nos)
            case OrderCancellationRequested() if fact.stage == "unpaid":
                return self._expire((fact.order_no,))
            case RefundRequested() if fact.refund_id not in self.refunds:
                return self._send_back(fact)
            case ReceiptConfirmed() if fact.order_no in self.cash:
                return self._cash_in(fact.order_no)
            case _:
                pass
        return []

    def pay(self) -> list[Arrival]:
        """The buyer pays all that is due, at the price of this moment."""
        paid, self.due = self.due, {}
        self.captured |= paid
        return [("paid", (paid, "online"))] if paid else []

    def collect(self, order_no: str, amount: int, expected: int) -> list[Arrival]:
        """A courier took cash."""
        self.cash[order_no] = self.cash.get(order_no, 0) + amount
        return self._cash_in(order_no) if self.cash[order_no] >= expected else []

    def _cash_in(self, order_no: str) -> list[Arrival]:
        if order_no in self.captured:
            return []
        self.captured[order_no] = self.cash[order_no]
        return [("paid", ({order_no: self.cash[order_no]}, "cod"))]

    def _expire(self, order_nos: tuple[str, ...]) -> list[Arrival]:
        unpaid = [order_no for order_no in order_nos if order_no not in self.captured]
        for order_no in unpaid:
            self.due.pop(order_no, None)
        return [("payment_expired", (unpaid,))] if unpaid else []

    def _send_back(self, wish: RefundRequested) -> list[Arrival]:
        self.refunds.add(wish.refund_id)
        self.sent_back[wish.order_no] += wish.amount
        fully = self.sent_back[wish.order_no] == self.captured[wish.order_no]
        return [("refunded", (wish.order_no, wish.refund_id, wish.amount, fully))]


class Parcel:
    def __init__(self, number: str, order_no: str, lines: dict[str, int], cash: int) -> None:
        self.number, self.order_no, self.lines, self.cash = number, order_no, lines, cash
        self.state = "planned"


class Shipping:
    """Plans a parcel for every line of a confirmed order, and is the one that knows what left."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.halted: dict[str, Arrival | None] = {}
        self.cash: dict[str, int] = {}
        self.units: dict[str, dict[str, int]] = {}

    def hear(self, fact: Any) -> list[Arrival]:
        match fact:
            case OrderConfirmed():
                return self._plan(fact)
            case OrderCancellationRequested() if fact.stage == "paid":
                known = self.halted.get(fact.order_no)
                if fact.asked == 1 or known is None:
                    known = self._stop(fact.order_no)
                    self.halted[fact.order_no] = known
                return [known]
            case OrderCancelled():
                self._stop(fact.order_no)
            case _:
                pass
        return []

    def _plan(self, order: OrderConfirmed) -> list[Arrival]:
        self.cash[order.order_no] = order.cod_amount
        self.units[order.order_no] = {line.line_id: line.qty for line in order.lines}
        if order.order_no in self.halted:
            return []
        each, rest = divmod(order.cod_amount, len(order.lines))
        told: list[Arrival] = []
        for index, line in enumerate(order.lines):
            parcel = Parcel(
                f"{order.order_no}/{line.line_id}",
                order.order_no,
                {line.line_id: line.qty},
                each + (rest if not index else 0),
            )
            self.parcels.append(parcel)
            told.append(("shipment_planned", (order.order_no, parcel.number, parcel.lines)))
        return told

    def _stop(self, order_no: str) -> Arrival:
        mine = [parcel for parcel in self.parcels if parcel.order_no == order_no]
        stopped = [parcel for parcel in mine if parcel.state in ("planned", "picking")]
        gone = tuple(parcel.number for parcel in mine if parcel.state not in ("planned", "picking", "stopped"))
        left = {line: qty for parcel in mine if parcel.number in gone for line, qty in parcel.lines.items()}
        stays = {line: qty - left.get(line, 0) for line, qty in self.units.get(order_no, {}).items()}
        for parcel in stopped:
            parcel.state = "stopped"
        if gone and not stopped and not any(stays.values()):
            return "shipments_gone", (order_no, gone)
        return "shipments_stopped", (
            order_no,
            tuple(parcel.number for parcel in stopped),
            {line: qty for line, qty in stays.items() if qty},
            gone,
        )

    def move(self, parcel: Parcel, end: str) -> list[Arrival]:
        """The next thing that happens to a parcel."""
        about = parcel.order_no, parcel.number
        match parcel.state:
            case "planned":
                parcel.state = "picking"
                return [("picking_started", about)]
            case "picking":
                parcel.state = "shipped"
                return [("shipped", (*about, parcel.lines))]
            case "shipped" if end == "failed":
                parcel.state = "shipped"
                return [("delivery_troubled", (*about, "DeliveryFailed", "failed"))]
            case "shipped":
                parcel.state = end
                return [(end, (*about, parcel.lines))]
        return []
