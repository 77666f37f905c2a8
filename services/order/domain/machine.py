"""What all moves run on: it finds orders, keeps to the table, notes what happened and sets deadlines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from services.order.domain import policy
from services.order.domain.order import Order
from services.order.domain.states import MOVES, TARGETS, State
from shared.contracts.event import Fact, Sealed
from shared.contracts.lines import PlacedMethod, StockPolicy
from shared.contracts.order import OrderStalled
from shared.kernel.errors import Conflict, Fatal

Facts = list[Fact]
StallCode = Literal["placement_unanswered", "payment_unanswered", "review_unanswered", "cancel_unanswered"]
_KNOWN = {state: frozenset(move.trigger for move in MOVES if move.source == state) for state in State}


class ActionNotPossible(Conflict):
    """The order's present state does not allow this; see `possible` for what it allows."""


class Note(NamedTuple):
    """One line of the timeline. `listed`: the order's state knew what to do with it."""

    order_no: str
    trigger: str
    state: str
    listed: bool
    cause: object


class Change(NamedTuple):
    """A deadline of an order (or the group) set, or forgotten (None)."""

    number: str
    name: str
    moment: datetime | None
    cause: object


@dataclass
class Machine:
    """What a group is, and the few ways to change it that all moves use.

    `changes`, `notes` and `moved` belong to the transaction and are not kept: deadlines set and forgotten, the
    timeline's new lines, orders in another state than before. `cause` is whatever the store wants to find beside them.
    """

    group_no: str
    buyer_id: str
    currency: str
    payment_method: PlacedMethod
    stock_policy: StockPolicy
    channel: str
    region: str
    delivery: Sealed
    placed_at: datetime
    orders: list[Order]
    pay_by: datetime | None = None
    payment_asked: int = 0
    asked_since: datetime | None = None
    deadlines: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.changes: list[Change] = []
        self.notes: list[Note] = []
        self.moved: set[str] = set()
        self.cause: object = None

    def order(self, order_no: str) -> Order:
        """Raises Fatal: who speaks of an order that never was is not to be believed."""
        for order in self.orders:
            if order.order_no == order_no:
                return order
        raise Fatal(f"{self.group_no} has no order {order_no}")

    def fired(self, number: str, name: str) -> None:
        """A deadline rang: its row is gone."""
        (self.deadlines if number == self.group_no else self.order(number).deadlines).pop(name, None)

    def _in(self, *states: State) -> list[Order]:
        return [order for order in self.orders if order.state in states]

    def _these(self, order_nos: Iterable[str]) -> list[Order]:
        wanted = set(order_nos)
        return [order for order in self.orders if order.order_no in wanted]

    def _must(self, order_no: str, trigger: str) -> Order:
        """The order, if its state knows the command. Raises ActionNotPossible."""
        order = self.order(order_no)
        if trigger not in _KNOWN[order.state]:
            raise ActionNotPossible(
                f"{order_no} is {order.state}",
                possible=[name for name, _ in policy.ACTIONS.get(order.state, ())],
            )
        return order

    def _move(self, order: Order, trigger: str, target: State) -> None:
        if target not in TARGETS.get((order.state, trigger), ()):
            raise AssertionError(f"{order.state} --{trigger}--> {target} is not in the table")
        order.state, order.stalled = target, ""
        self.moved.add(order.order_no)
        self._note(order, trigger, listed=True)

    def _note(self, order: Order, trigger: str, *, listed: bool | None = None) -> None:
        order.version += 1
        known = trigger in _KNOWN[order.state] if listed is None else listed
        self.notes.append(Note(order.order_no, trigger, order.state, known, self.cause))

    def _due(self, name: str, moment: datetime | None, order: Order | None = None) -> None:
        """Set (or, with None, forget) a deadline of the order, or of the group."""
        deadlines = order.deadlines if order else self.deadlines
        if moment is None and deadlines.pop(name, None) is None:
            return
        if moment is not None:
            deadlines[name] = moment
        self.changes.append(Change(order.order_no if order else self.group_no, name, moment, self.cause))

    def _stall(self, order: Order, code: StallCode, waiting_for: tuple[str, ...], since: datetime | None) -> Facts:
        """It waits longer than it should: said once, until it goes on."""
        if order.stalled == code or since is None:
            return []
        order.stalled = code
        return [OrderStalled(**self._about(order), code=code, waiting_for=waiting_for, since=since)]

    def _end(self, order: Order, reason: str, now: datetime) -> None:
        """Nothing is waited for any more."""
        order.ended_at, order.end_reason = now, reason
        order.closing, order.stopping, order.attempt_until = "", False, None
        order.stock = order.risk = ""  # which of them had answered by then is chance
        order.pauses.clear()
        for name in list(order.deadlines):
            self._due(name, None, order)
        if all(one.over for one in self.orders):
            for name in list(self.deadlines):
                self._due(name, None)

    def _about(self, order: Order) -> dict[str, Any]:
        """The fields that all facts about an order carry."""
        return {
            "group_no": self.group_no,
            "order_no": order.order_no,
            "seller_id": order.seller_id,
            "buyer_id": self.buyer_id,
        }
