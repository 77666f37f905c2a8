"""Order groups: one row each, and beside it the timeline, the deadlines and the place in people's lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.order.domain.group import Change, Order, OrderGroup
from services.order.store.tables import history, order_group, order_index
from shared.kernel.errors import NotFound, TooEarly
from shared.storage.repository import Kept, Repository
from shared.storage.rows import Insert, Update
from shared.storage.unit_of_work import Cause, UnitOfWork
from shared.telemetry import metrics
from shared.web.auth import OPERATOR, Principal


class NoSuchOrder(NotFound):
    """There is no such order, or it is not yours."""


_NOTES, _LIST = Insert(history), Insert(order_index)
_RELIST = Update(order_index, {"number": "order_no"}, ["state"])


class Groups(Repository[OrderGroup]):
    """Keeping a group also writes its timeline, its deadlines and its place in the lists."""

    def write(self, tx: UnitOfWork, kept: dict[str, Kept[OrderGroup]]) -> None:
        notes: list[dict[str, Any]] = []
        listed: list[dict[str, Any]] = []
        relisted: list[dict[str, Any]] = []
        changes: list[Change] = []
        for _, entry in sorted(kept.items()):
            group = entry.thing
            notes += [
                {
                    "group_no": group.group_no,
                    "order_no": note.order_no,
                    "at": tx.now(),
                    "trigger": note.trigger,
                    "state": note.state,
                    "listed": note.listed,
                    "causation_id": _cause(note.cause, tx).causation_id,
                }
                for note in group.notes
            ]
            if entry.version == 0:
                listed += [_index_row(group, order) for order in group.orders]
            else:
                moved = [order for order in group.orders if order.order_no in group.moved]
                relisted += [{"number": order.order_no, "state": str(order.state)} for order in moved]
            for note in group.notes:
                if not note.listed:
                    metrics.unexpected.labels("order", note.trigger).inc()
            changes += group.changes
            group.notes.clear()
            group.changes.clear()
            group.moved.clear()
        super().write(tx, kept)
        self._set_timers(tx, changes)
        _NOTES.write(tx, notes)
        _LIST.write(tx, listed)
        _RELIST.write(tx, relisted)

    @staticmethod
    def _set_timers(tx: UnitOfWork, changes: list[Change]) -> None:
        """Each in the flow of what set it: a batch holds facts of many flows."""
        last = tx.cause
        for number, name, moment, cause in changes:
            tx.cause = _cause(cause, tx)
            if moment is None:
                tx.cancel_timer(number, name)
            else:
                tx.set_timer(number, name, moment)
        tx.cause = last


def _index_row(group: OrderGroup, order: Order) -> dict[str, Any]:
    return {
        "order_no": order.order_no,
        "group_no": group.group_no,
        "buyer_id": group.buyer_id,
        "seller_id": order.seller_id,
        "state": str(order.state),
        "placed_at": order.placed_at,
    }


def _cause(noted: object, tx: UnitOfWork) -> Cause:
    return noted if isinstance(noted, Cause) else tx.cause


groups = Groups(
    order_group,
    OrderGroup,
    key=lambda group: group.group_no,
    columns=lambda group: {"buyer_id": group.buyer_id},
    missing=NoSuchOrder,
)


def group_number_of(number: str) -> str:
    """The group that an order number (or a group's own) belongs to."""
    return number.partition("-")[0]


def own_order(group: OrderGroup, who: Principal, order_no: str) -> Order:
    """Raises NoSuchOrder unless `who` is its buyer, its seller or an operator."""
    for order in group.orders:
        if order.order_no == order_no and (
            who.account_id == group.buyer_id or (who.seller_id == order.seller_id) or who.has(OPERATOR)
        ):
            return order
    raise NoSuchOrder()


def lock_by_number(tx: UnitOfWork, numbers: Iterable[str]) -> None:
    """Lock the groups of order or group numbers, in one sorted order: the only lock of this service."""
    groups.lock(tx, sorted({group_number_of(number) for number in numbers}))


def heard_of(tx: UnitOfWork, group_no: str) -> OrderGroup:
    """The group a fact speaks of. Raises TooEarly when it is not here (yet)."""
    group = groups.find(tx, group_no)
    if group is None:
        raise TooEarly(f"no group {group_no}")
    group.cause = tx.cause
    return group
