"""What people may ask of the order service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from flask import Response, current_app, request

from services.order import commands, queries
from services.order.domain.group import Order, OrderGroup
from services.order.live import RECHECK_SECONDS, Watcher
from services.order.schemas import (
    AdjustPrice,
    AskQuote,
    ChangeAddress,
    GroupView,
    ListQuery,
    Nothing,
    OrderList,
    OrderView,
    PlaceOrder,
    QuoteView,
    Reason,
    TimelineView,
    WaitQuery,
)
from shared.kernel import clock
from shared.storage.unit_of_work import Node, UnitOfWork
from shared.web.auth import BUYER, OPERATOR, SELLER, Principal
from shared.web.door import SIGNED_IN, Door, Reading, expected_version

door = Door("order", __name__, description="Quotes, order groups and orders")

HEARTBEAT_SECONDS = 15.0


@door.post("/quotes", who=SIGNED_IN, body=AskQuote, answer=QuoteView, status=200)
def post_quote(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> dict[str, Any]:
    """Price a wish: lines, split by seller, freight, return terms; the total is promised for ten minutes."""
    promised = commands.quote(tx, who, body)
    return {
        "quote_token": commands.token_of(tx, promised.quote_id),
        "expires_at": promised.expires_at,
        "currency": promised.currency,
        "payable": promised.payable,
        "payment_method": promised.payment_method,
        "stock_policy": promised.stock_policy,
        "orders": promised.orders,
    }


@door.post("/orders", who=SIGNED_IN, body=PlaceOrder, answer=GroupView, status=202, key="required")
def post_order(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Take the order now; stock, coupons and risk answer later, by events."""
    group = commands.place_order(tx, who, **body)
    return queries.group_view(group, tx.now()), {"Location": f"/v1/groups/{group.group_no}"}


@door.get("/groups/<group_no>", who=SIGNED_IN, answer=GroupView)
def get_group(reading: Reading, who: Principal, group_no: str) -> dict[str, Any]:
    """One checkout with its orders."""
    return queries.group_view(queries.group_for(reading, who, group_no), reading.now())


@door.get("/orders", who={BUYER}, query=ListQuery, answer=OrderList)
def list_orders(reading: Reading, who: Principal, query: dict[str, Any]) -> dict[str, Any]:
    """The buyer's own orders, newest first."""
    return queries.list_orders(reading, who, query, as_seller=False)


@door.get("/shop/orders", who={SELLER}, query=ListQuery, answer=OrderList)
def list_shop_orders(reading: Reading, who: Principal, query: dict[str, Any]) -> dict[str, Any]:
    """The orders of the caller's shop, newest first."""
    return queries.list_orders(reading, who, query, as_seller=True)


@door.get("/orders/<order_no>", who=SIGNED_IN, query=WaitQuery, answer=OrderView)
def get_order(reading: Reading, who: Principal, order_no: str, query: dict[str, Any]) -> dict[str, Any]:
    """One order; with `wait_for` (or `Prefer: wait=N`) held until it is in one of these states, or any new one."""
    group, order = queries.order_for(reading, who, order_no)
    wish = _wish_to_wait(query, order)
    if wish is None or wish.come_true(order):
        return _view(group, order, reading)
    return _wait(reading, who, order_no, wish)


@door.get("/orders/<order_no>/timeline", who=SIGNED_IN, answer=TimelineView)
def get_timeline(reading: Reading, who: Principal, order_no: str) -> dict[str, Any]:
    """What the order heard of, and its deadlines to come."""
    group, order = queries.order_for(reading, who, order_no)
    return queries.timeline(reading, order, group)


@door.get("/orders/<order_no>/stream", who=SIGNED_IN, content_type="text/event-stream")
def get_stream(reading: Reading, who: Principal, order_no: str) -> Response:
    """Server-Sent Events: the present state first, then every move; resumes after `Last-Event-ID`."""
    queries.order_for(reading, who, order_no)
    given = request.headers.get("Last-Event-ID", "")
    after = int(given) if given.isdecimal() and len(given) < 19 else None
    return Response(
        _stream(_watcher(), who, order_no, after),
        content_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


@door.post("/orders/<order_no>/cancel", who=SIGNED_IN, body=Reason, answer=OrderView, status=202)
def post_cancel(tx: UnitOfWork, who: Principal, order_no: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask to cancel: before payment, payment decides; after it, shipping does."""
    return _view(*commands.cancel(tx, who, order_no, body["reason"], expected_version()), tx)


@door.post("/orders/<order_no>/price", who={SELLER, OPERATOR}, body=AdjustPrice, answer=OrderView, status=202)
def post_price(tx: UnitOfWork, who: Principal, order_no: str, body: dict[str, Any]) -> dict[str, Any]:
    """Lower what an unpaid order costs, or take that back; not while the buyer is paying."""
    return _view(*commands.adjust_price(tx, who, order_no, **body, version=expected_version()), tx)


@door.post("/orders/<order_no>/address", who={BUYER}, body=ChangeAddress, answer=OrderView, status=202)
def post_address(tx: UnitOfWork, who: Principal, order_no: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send an unpaid order elsewhere; the freight, and with it the price, may change."""
    return _view(*commands.change_address(tx, who, order_no, body["delivery"], expected_version()), tx)


@door.post("/orders/<order_no>/receipt", who={BUYER}, body=Nothing, answer=OrderView, status=202)
def post_receipt(tx: UnitOfWork, who: Principal, order_no: str, body: dict[str, Any]) -> dict[str, Any]:
    """Confirm that the goods are here; the seller's money is released."""
    return _view(*commands.confirm_receipt(tx, who, order_no, expected_version()), tx)


@door.post("/orders/<order_no>/receipt/extend", who={BUYER}, body=Nothing, answer=OrderView, status=202)
def post_extension(tx: UnitOfWork, who: Principal, order_no: str, body: dict[str, Any]) -> dict[str, Any]:
    """Take five more days to confirm receipt, once."""
    return _view(*commands.extend_receipt(tx, who, order_no, expected_version()), tx)


@door.post("/orders/<order_no>/approve", who={SELLER, OPERATOR}, body=Nothing, answer=OrderView, status=202)
def post_approval(tx: UnitOfWork, who: Principal, order_no: str, body: dict[str, Any]) -> dict[str, Any]:
    """Let an order that is held for review go on."""
    return _view(*commands.approve(tx, who, order_no, expected_version()), tx)


@door.post("/orders/<order_no>/reject", who={SELLER, OPERATOR}, body=Nothing, answer=OrderView, status=202)
def post_rejection(tx: UnitOfWork, who: Principal, order_no: str, body: dict[str, Any]) -> dict[str, Any]:
    """Refuse an order that is held for review; what was paid goes back."""
    return _view(*commands.reject(tx, who, order_no, expected_version()), tx)


def _view(group: OrderGroup, order: Order, tx: UnitOfWork | Reading) -> dict[str, Any]:
    return queries.order_view(group, order, tx.now())


# --- waiting --------------------------------------------------------------------------------------------------------


def _watcher() -> Watcher:
    node: Node = current_app.extensions["caravan"]
    watcher: Watcher = current_app.extensions.setdefault("caravan.watcher", Watcher(node))
    return watcher


class _Wish(NamedTuple):
    come_true: Callable[[Order], bool]
    seconds: float


def _wish_to_wait(query: dict[str, Any], order: Order) -> _Wish | None:
    """`wait_for` names states; `Prefer: wait=N` (RFC 7240) waits for any move."""
    states = {state.strip() for state in query["wait_for"].split(",") if state.strip()}
    if states:
        return _Wish(lambda now: now.state in states, query["timeout"])
    prefer, before = request.headers.get("Prefer", ""), order.version
    if prefer.startswith("wait=") and prefer[5:].isdecimal():
        return _Wish(lambda now: now.version != before, min(float(prefer[5:]), 30.0))
    return None


def _wait(reading: Reading, who: Principal, order_no: str, wish: _Wish) -> dict[str, Any]:
    """The order's view once the wish came true, or as it is when the time is up."""
    until = clock.monotonic() + wish.seconds
    node = reading.node
    reading.connection.close()  # a client that waits holds no connection
    with _watcher().waiter(order_no) as moved:
        while True:
            with node.database.read() as connection:
                now = Reading(node, connection)
                group, order = queries.order_for(now, who, order_no)
                left = until - clock.monotonic()
                if wish.come_true(order) or left <= 0:
                    return _view(group, order, now)
            moved.wait(min(left, RECHECK_SECONDS))
            moved.clear()


def _stream(watcher: Watcher, who: Principal, order_no: str, after: int | None) -> Iterator[bytes]:
    """Events ``order`` (the whole order) and ``moved`` (one timeline entry), ids being history numbers."""
    node = watcher.node
    with watcher.waiter(order_no) as moved:
        with node.database.read() as connection:
            reading = Reading(node, connection)
            group, order = queries.order_for(reading, who, order_no)
            entries = queries.entries_after(connection, order_no, after or 0)
            view = OrderView().dump(queries.order_view(group, order, reading.now()))
        last = max([after or 0, *(entry["no"] for entry in entries)])
        yield _event("order", last, view)
        if after is not None:
            yield from (_event("moved", entry["no"], entry) for entry in entries)
        quiet_since = clock.monotonic()
        while True:
            with node.database.read() as connection:
                entries = queries.entries_after(connection, order_no, last)
            for entry in entries:
                last = entry["no"]
                quiet_since = clock.monotonic()
                yield _event("moved", last, entry)
            if clock.monotonic() - quiet_since > HEARTBEAT_SECONDS:
                quiet_since = clock.monotonic()
                yield b": still here\n\n"
            moved.wait(RECHECK_SECONDS)
            moved.clear()


def _event(kind: str, number: int, data: Any) -> bytes:
    return b"event: %s\nid: %d\ndata: %s\n\n" % (kind.encode(), number, msgspec.json.encode(data))
