"""What can be looked up. Groups are read whole; lists come from the index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from services.order import store
from services.order.domain import policy
from services.order.domain.group import Order, OrderGroup
from services.order.domain.states import BEFORE_PAYMENT, State
from shared.kernel.errors import Invalid
from shared.kernel.ids import is_group_number
from shared.web.auth import OPERATOR, Principal
from shared.web.door import Reading, page

_EPOCH, _TICK = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def group_for(reading: Reading, who: Principal, group_no: str) -> OrderGroup:
    """The group, for its buyer or an operator. Raises NoSuchOrder."""
    group = _peek(reading, group_no)
    if who.account_id != group.buyer_id and not who.has(OPERATOR):
        raise store.NoSuchOrder()
    return group


def order_for(reading: Reading, who: Principal, order_no: str) -> tuple[OrderGroup, Order]:
    """The order, for its buyer, its seller or an operator. Raises NoSuchOrder."""
    group = _peek(reading, store.group_number_of(order_no))
    return group, store.own_order(group, who, order_no)


def list_orders(reading: Reading, who: Principal, query: dict[str, Any], *, as_seller: bool) -> dict[str, Any]:
    """The caller's own orders (as buyer, or as the shop), newest first. Raises Invalid on a cursor not of ours."""
    index = store.order_index
    mine = index.c.seller_id == who.seller_id if as_seller else index.c.buyer_id == who.account_id
    newest = index.c.placed_at.desc(), index.c.order_no.desc()
    wanted = sa.select(index).where(mine).order_by(*newest).limit(query["limit"] + 1)
    if query["state"]:
        wanted = wanted.where(index.c.state == query["state"])
    if query["after"]:
        placed_at, order_no = _read_cursor(query["after"])
        earlier = sa.and_(index.c.placed_at == placed_at, index.c.order_no < order_no)
        wanted = wanted.where(sa.or_(index.c.placed_at < placed_at, earlier))
    rows = [dict(row._mapping) for row in reading.execute(wanted)]
    return page(rows, query["limit"], lambda row: f"{(row['placed_at'] - _EPOCH) // _TICK}.{row['order_no']}")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    ticks, _, order_no = cursor.partition(".")
    if not (ticks.isascii() and ticks.isdecimal() and len(ticks) < 18):
        raise Invalid(field="after")
    return _EPOCH + int(ticks) * _TICK, order_no


def timeline(reading: Reading, order: Order, group: OrderGroup) -> dict[str, Any]:
    rows = entries_after(reading.connection, order.order_no, 0)
    return {"order_no": order.order_no, "entries": rows, "pending": deadlines(group, order)}


def entries_after(connection: sa.Connection, order_no: str, no: int) -> list[dict[str, Any]]:
    """The timeline's entries after number `no`."""
    h = store.history.c
    rows = connection.execute(
        sa.select(h.no, h.at, h.trigger, h.state, h.listed, h.causation_id)
        .where(h.order_no == order_no, h.no > no)
        .order_by(h.no)
        .limit(1000)
    )
    return [
        {"no": n, "at": at, "what": what, "state": state, "expected": listed, "caused_by": cause}
        for n, at, what, state, listed, cause in rows
    ]


def group_view(group: OrderGroup, now: datetime) -> dict[str, Any]:
    states = {order.state for order in group.orders}
    return {
        "group_no": group.group_no,
        "buyer_id": group.buyer_id,
        "state": str(states.pop()) if len(states) == 1 else "MIXED",
        "currency": group.currency,
        "payable": sum(order.payable for order in group.orders if order.state is not State.CANCELLED),
        "payment_method": group.payment_method,
        "pay_by": group.pay_by,
        "orders": [order_view(group, order, now) for order in group.orders],
    }


def order_view(group: OrderGroup, order: Order, now: datetime) -> dict[str, Any]:
    return {
        **{name: getattr(order, name) for name in _PLAIN},
        "group_no": group.group_no,
        "buyer_id": group.buyer_id,
        "currency": group.currency,
        "payment_method": group.payment_method,
        "region": order.region or group.region,
        "state": str(order.state),
        "payment_status": payment_status(group, order),
        "fulfilment_status": fulfilment_status(order),
        "after_sale_status": "none",
        "shipments": [
            {"shipment_id": number, "state": parcel.state, "lines": parcel.lines}
            for number, parcel in order.parcels.items()
        ],
        "deadlines": deadlines(group, order),
        "next_actions": next_actions(group, order),
        "blocked_because": blocked_because(group, order, now),
    }


_PLAIN = (
    "order_no",
    "seller_id",
    "end_reason",
    "goods_amount",
    "discount",
    "freight",
    "payable",
    "paid_amount",
    "refunded_amount",
    "placed_at",
    "lines",
    "version",
)


def payment_status(group: OrderGroup, order: Order) -> str:
    if order.refunded_amount:
        return "refunded" if order.refunded_amount >= order.paid_amount else "partially_refunded"
    if order.paid_amount or (not order.payable and order.state not in (State.PLACED, State.CANCELLED)):
        return "paid"
    if group.payment_method == "cod" and not order.over:
        return "cod_pending"
    return "pending" if order.attempt_until and not order.over else "unpaid"


def fulfilment_status(order: Order) -> str:
    if order.all_arrived:
        return "delivered"
    states = [parcel.state for parcel in order.parcels.values() if parcel.state != "cancelled"]
    if not states:
        return "none"
    if any(state in ("refused", "returned") for state in states):
        return "returning"
    gone = [state in ("shipped", "failed", "delivered", "lost") for state in states]
    if all(gone):
        return "shipped"
    if any(gone):
        return "partially_shipped"
    return next((name for name in ("packed", "picking") if name in states), "planned")


_HREFS = {
    "pay": "/v1/groups/{group_no}/payments",
    "track": "/v1/shipments?order_no={order_no}",
    "ship": "/v1/shipments?order_no={order_no}",
    "review": "/v1/reviews",
}
_UNTIL = {
    "pay": "pay_by",
    "approve": "review",
    "reject": "review",
    "receipt": "receipt",
    "receipt/extend": "receipt",
}


def deadlines(group: OrderGroup, order: Order) -> dict[str, datetime]:
    """What the order waits for until when; the group's deadlines concern it until it is paid."""
    return (group.deadlines if order.state in BEFORE_PAYMENT else {}) | order.deadlines


def next_actions(group: OrderGroup, order: Order) -> list[dict[str, Any]]:
    """What may be done now, by whom, how and until when."""
    actions = []
    for action, who in policy.ACTIONS.get(order.state, ()):
        if order.closing or (action == "cancel" and order.stopping) or (action == "receipt/extend" and order.extended):
            continue
        if action == "review" and all(line.reviewed or not line.shipped for line in order.lines):
            continue
        href = _HREFS.get(action, "/v1/orders/{order_no}/" + action)
        actions.append(
            {
                "action": action.replace("/", "_"),
                "who": who,
                "method": "GET" if action in ("track", "ship") else "POST",
                "href": href.format(group_no=group.group_no, order_no=order.order_no),
                "until": deadlines(group, order).get(_UNTIL.get(action, "")),
            }
        )
    return actions


def blocked_because(group: OrderGroup, order: Order, now: datetime) -> dict[str, Any] | None:
    """Whom the order waits for, once that takes longer than it should; None while all is well."""
    if order.state is State.PLACED and now - order.placed_at >= policy.PLACEMENT_ALERT:
        waiting = {name for one in group.orders if one.state is State.PLACED for name in one.unanswered}
        return {"code": "placement_unanswered", "waiting_for": sorted(waiting), "since": order.placed_at}
    asked = group.asked_since
    if order.state is State.AWAITING_PAYMENT and order.closing and asked and now - asked >= timedelta(seconds=30):
        return {"code": "payment_unanswered", "waiting_for": ["payment"], "since": asked}
    if order.stalled == "review_unanswered" and order.review_until:
        since = order.review_until - policy.REVIEW_LIMIT
        return {"code": order.stalled, "waiting_for": ["seller", "operator"], "since": since}
    if order.stopping and order.asked > 1:
        return {"code": "cancel_unanswered", "waiting_for": ["shipping"], "since": order.asked_at}
    if order.overdue and order.ship_by and not order.over:
        return {"code": "not_shipped_in_time", "waiting_for": ["seller"], "since": order.ship_by}
    if order.state is State.SHIPPED and order.pauses:
        refunds_only = all(what in order.refunds for what in order.pauses)
        whom = "payment" if refunds_only else "carrier"
        return {"code": "delivery_troubled", "waiting_for": [whom], "since": order.paused_at}
    return None


def latest(connection: sa.Connection) -> int:
    """The number of the newest timeline entry."""
    return int(connection.execute(sa.select(sa.func.max(store.history.c.no))).scalar() or 0)


def moved_after(connection: sa.Connection, no: int) -> tuple[int, set[str]]:
    """``(newest number seen, order numbers that moved)`` after number `no`; a hint, late commits may be missed."""
    h = store.history.c
    rows = connection.execute(sa.select(h.no, h.order_no).where(h.no > no).limit(5000)).all()
    return max([no, *(row.no for row in rows)]), {row.order_no for row in rows}


def _peek(reading: Reading, group_no: str) -> OrderGroup:
    if not is_group_number(group_no):
        raise store.NoSuchOrder()
    return store.groups.peek(reading.connection, group_no)
