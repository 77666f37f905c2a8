"""An order group without a store: told what happens, keeping what it says, with a clock of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from services.order import timers
from services.order.domain.group import Line, Order, OrderGroup
from services.order.domain.states import BEFORE_PAYMENT
from shared.contracts.event import Fact, Sealed
from shared.contracts.lines import PlacedMethod, StockPolicy

F = TypeVar("F", bound=Fact)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
GROUP = "G0000000000000000"
FREIGHT = 800


def new_group(
    *carts: Sequence[tuple[int, int]],
    method: PlacedMethod = "online",
    policy: StockPolicy = "all_or_nothing",
    region: str = "CN-ZJ",
    **more: Any,
) -> OrderGroup:
    """One order per cart; a cart is ``(qty, unit price)`` per line. `more` are fields of every order."""
    orders = []
    for index, cart in enumerate(carts or [[(2, 5_000), (1, 3_000)]], 1):
        lines = [
            Line(
                line_id=str(number), product_id=f"p{number}", sku=f"s{number}", title="Goods", qty=qty,
                unit_price=price, discount=0, amount=qty * price, weight_g=100,
            )
            for number, (qty, price) in enumerate(cart, 1)
        ]  # fmt: skip
        goods = sum(line.amount for line in lines)
        orders.append(
            Order(
                order_no=f"{GROUP}-{index}", index=index, seller_id=f"shop-{index}", lines=lines, goods_amount=goods,
                discount=0, freight=FREIGHT, payable=goods + FREIGHT, placed_at=NOON, **more,
            )
        )  # fmt: skip
    return OrderGroup(
        group_no=GROUP, buyer_id="buyer", currency="CNY", payment_method=method, stock_policy=policy, channel="web",
        region=region, delivery=Sealed("v1.k.delivery.x"), placed_at=NOON, orders=orders,
    )  # fmt: skip


class Story:
    """`story.paid(...)` makes the group's move of that name, now; `story.said(Kind)` is what it told so far."""

    def __init__(self, group: OrderGroup, now: datetime = NOON) -> None:
        self.group, self.now = group, now
        self.told: list[Fact] = []
        self.tell(group.place(now))

    @property
    def order(self) -> Order:
        return self.group.orders[0]

    @property
    def no(self) -> str:
        return self.order.order_no

    @property
    def states(self) -> list[str]:
        return [str(order.state) for order in self.group.orders]

    @property
    def unlisted(self) -> list[str]:
        """What the timeline shows as not expected."""
        return [f"{note.state} {note.trigger}" for note in self.group.notes if not note.listed]

    def tell(self, facts: list[Fact]) -> list[Fact]:
        self.told += facts
        return facts

    def said(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.told if isinstance(fact, kind)]

    # --- moves -------------------------------------------------------------------------------------------------------

    def answered(self, risk: Any = "allow") -> Story:
        """Stock and risk say yes to every order."""
        for order in self.group.orders:
            self.tell(self.group.stock_reserved(order.order_no, self.now))
            self.tell(self.group.risk_assessed(order.order_no, risk, self.now))
        return self

    def paid(self, *amounts: int, method: Any = "online") -> Story:
        """Payment has the money: the whole price of each order, or `amounts`."""
        shares = amounts or [order.payable for order in self.group.orders]
        splits = {order.order_no: amount for order, amount in zip(self.group.orders, shares, strict=False)}
        self.tell(self.group.paid(splits, method, self.now))
        return self

    def confirmed(self) -> Story:
        return self.answered().paid()

    def cancel(self, by: Any = "buyer") -> list[Fact]:
        return self.tell(self.group.cancel(self.no, by, "changed_mind", self.now))

    def planned(self, shipment: str, **lines: int) -> Story:
        self.tell(self.group.shipment_planned(self.no, shipment, _units(lines)))
        return self

    def picking(self, shipment: str) -> Story:
        self.tell(self.group.picking_started(self.no, shipment))
        return self

    def shipped(self, shipment: str, **lines: int) -> Story:
        self.tell(self.group.shipped(self.no, shipment, _units(lines), self.now))
        return self

    def all_shipped(self) -> Story:
        """Everything in one parcel, `a`."""
        return self.shipped("a", **{f"l{line_id}": qty for line_id, qty in self.order.units().items()})

    def delivered(self, shipment: str, **lines: int) -> Story:
        self.tell(self.group.delivered(self.no, shipment, self.now, _units(lines)))
        return self

    def failed(self, shipment: str) -> Story:
        self.tell(self.group.delivery_troubled(self.no, shipment, "DeliveryFailed", "failed", self.now))
        return self

    def refused(self, shipment: str) -> Story:
        self.tell(self.group.delivery_troubled(self.no, shipment, "DeliveryRefused", "refused", self.now))
        return self

    def returned(self, shipment: str, cod: bool = False, **lines: int) -> Story:
        self.tell(self.group.returned(self.no, shipment, cod, self.now, _units(lines)))
        return self

    def lost(self, shipment: str, **lines: int) -> Story:
        self.tell(self.group.lost(self.no, shipment, self.now, _units(lines)))
        return self

    def stopped(self, *shipments: str, gone: Sequence[str] = (), **lines: int) -> Story:
        self.tell(self.group.shipments_stopped(self.no, shipments, _units(lines), tuple(gone), self.now))
        return self

    def gone(self, *shipments: str) -> Story:
        self.tell(self.group.shipments_gone(self.no, shipments))
        return self

    def refunded(self, refund_id: str, amount: int, fully: bool = False) -> Story:
        self.tell(self.group.refunded(self.no, refund_id, amount, fully, self.now))
        return self

    # --- time --------------------------------------------------------------------------------------------------------

    def wait(self, **span: float) -> Story:
        """Let time pass; every deadline rings at its moment, in order."""
        goal = self.now + timedelta(**span)
        while (due := self._next()) is not None and due[0] <= goal:
            self.ring(*due)
        self.now = goal
        return self

    def ring(self, moment: datetime, number: str, name: str) -> None:
        self.now = max(self.now, moment)
        self.group.fired(number, name)
        self.tell(timers.DEEDS[name](self.group, number, self.now))

    def _next(self) -> tuple[datetime, str, str] | None:
        group = self.group
        due = [(moment, group.group_no, name) for name, moment in group.deadlines.items()]
        for order in group.orders:
            due += [(moment, order.order_no, name) for name, moment in order.deadlines.items()]
        return min(due, default=None)

    next_deadline = _next


def waits_for_nothing(group: OrderGroup) -> list[str]:
    """The orders that are not over, have no deadline to come and name nothing that they stand still for."""
    return [
        f"{order.order_no} is {order.state}"
        for order in group.orders
        if not order.over
        and not order.deadlines
        and not order.pauses
        and not (order.state in BEFORE_PAYMENT and group.deadlines)
    ]


def _units(lines: dict[str, int]) -> dict[str, int]:
    """``l1=2`` is two units of line "1"."""
    return {name.removeprefix("l"): qty for name, qty in lines.items()}
