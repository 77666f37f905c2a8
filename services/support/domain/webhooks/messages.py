"""What merchants' systems are told: one table from facts to those of their fields that a seller may see.

Only what is named here leaves the house: a field that a fact gains later is not told until somebody adds it. Of a
checkout over several shops a seller sees their own order alone, and of a buyer no more than the order's own page shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from shared.contracts.catalog import ProductReviewed, ReviewPosted
from shared.contracts.event import Fact
from shared.contracts.inventory import StockDepleted, StockLow, StockReplenished
from shared.contracts.order import (
    OrderAddressChanged,
    OrderCancellationRejected,
    OrderCancellationRequested,
    OrderCancelled,
    OrderClosed,
    OrderCompleted,
    OrderConfirmed,
    OrderDelivered,
    OrderHeldForReview,
    OrderLinesCancelled,
    OrderPlaced,
    OrderPriceAdjusted,
    ReceiptConfirmed,
    ReceiptExtended,
)
from shared.contracts.payment import FundsReleased, PaymentConfirmed, RefundCompleted
from shared.contracts.shipping import (
    DeliveryFailed,
    DeliveryRefused,
    ReturnedToSender,
    ShipmentLost,
    ShipmentOverdue,
    Shipped,
)
from shared.kernel import clock


@dataclass(frozen=True)
class Message:
    """One fact as one seller may see it. `lane`: messages of the same lane are delivered one after another."""

    seller_id: str
    type: str
    lane: str
    order_no: str | None
    data: dict[str, Any]


def _itself(fact: Any) -> Sequence[Any]:
    return (fact,)


def _splits(fact: PaymentConfirmed) -> Sequence[Any]:
    return fact.splits


@dataclass(frozen=True)
class Shown:
    """`fields` of the fact, or of the part of it that is this seller's."""

    fields: tuple[str, ...]
    each: Callable[[Any], Sequence[Any]] = _itself


def _of_order(*more: str) -> Shown:
    return Shown(("group_no", "order_no", "seller_id", "buyer_id", *more))


def _of_shipment(*more: str) -> Shown:
    return _of_order("shipment_id", *more)


SHOWN: dict[type[Fact], Shown] = {
    OrderPlaced: _of_order(
        "lines", "goods_amount", "freight", "discount", "payable", "currency", "payment_method", "region", "placed_at"
    ),
    OrderPriceAdjusted: _of_order("old_payable", "new_payable", "currency", "by", "reason"),
    OrderAddressChanged: _of_order("region", "freight_delta", "old_payable", "new_payable", "currency"),
    PaymentConfirmed: Shown(
        ("group_no", "order_no", "seller_id", "buyer_id", "method", "amount", "currency", "paid_at"), each=_splits
    ),
    OrderHeldForReview: _of_order("reasons", "review_by"),
    OrderConfirmed: _of_order("lines", "region", "payment_method", "paid_amount", "cod_amount", "currency", "ship_by"),
    OrderCancellationRequested: _of_order("stage", "by", "reason", "line_ids"),
    OrderCancellationRejected: _of_order("reason", "shipment_ids"),
    OrderLinesCancelled: _of_order("lines", "reason"),
    OrderCancelled: _of_order("reason", "was_paid", "lines"),
    Shipped: _of_shipment("kind", "warehouse_id", "carrier", "tracking_no", "lines", "shipped_at", "eta"),
    ShipmentOverdue: _of_shipment("kind", "ship_by"),
    DeliveryFailed: _of_shipment("attempt", "reason", "at", "next_attempt_at"),
    DeliveryRefused: _of_shipment("reason", "cod", "at"),
    ReturnedToSender: _of_shipment("kind", "warehouse_id", "lines", "reason", "cod", "received_at"),
    ShipmentLost: _of_shipment("kind", "warehouse_id", "lines", "declared_at", "by"),
    OrderDelivered: _of_order("delivered_at", "receipt_by"),
    ReceiptExtended: _of_order("new_receipt_by"),
    ReceiptConfirmed: _of_order("by", "received_at", "after_sale_until", "lines"),
    OrderCompleted: _of_order("net_amount", "refunded_amount", "currency"),
    OrderClosed: _of_order("reason", "lines"),
    RefundCompleted: _of_order(
        "refund_id", "amount", "currency", "to", "order_fully_refunded", "lines", "freight_amount"
    ),
    FundsReleased: Shown(("group_no", "order_no", "seller_id", "gross", "commission", "net", "holdback", "currency")),
    ReviewPosted: _of_order("review_id", "line_id", "product_id", "stars", "has_media"),
    ProductReviewed: Shown(("product_id", "seller_id", "title", "decision", "reasons")),
    StockLow: Shown(("sku", "seller_id", "warehouse_id", "available", "threshold", "suggested_qty")),
    StockDepleted: Shown(("sku", "seller_id")),
    StockReplenished: Shown(("sku", "seller_id", "available")),
}


def type_of(fact: type[Fact]) -> str:
    """The fact's name as everywhere on the bus: ``caravan.order.OrderConfirmed.v1``."""
    return f"caravan.{fact.publishers[0]}.{fact.name}.v{fact.version}"


TYPES: dict[str, type[Fact]] = {type_of(fact): fact for fact in SHOWN}
TEST = "caravan.support.WebhookTest.v1"
"""The type of a test event, which every webhook takes."""


def messages(fact: Fact) -> list[Message]:
    """What of this fact goes to whom; nothing where it is no shop's."""
    shown = SHOWN.get(type(fact))
    parts = shown.each(fact) if shown else ()
    return [_message(shown, fact, part) for part in parts if shown and _told(fact, part, "seller_id")]


def _message(shown: Shown, fact: Any, part: Any) -> Message:
    order_no = _told(fact, part, "order_no")
    return Message(
        seller_id=_told(fact, part, "seller_id"),
        type=type_of(type(fact)),
        lane=order_no or f"{fact.aggregate}/{fact.aggregate_id}",
        order_no=order_no,
        data={name: _told(fact, part, name) for name in shown.fields},
    )


def _told(fact: Any, part: Any, name: str) -> Any:
    return getattr(part, name) if hasattr(part, name) else getattr(fact, name, None)


def encode(message_id: str, kind: str, time: datetime, sequence: int, data: dict[str, Any]) -> bytes:
    """The body, written once: every attempt sends these very bytes. `sequence` counts a webhook's messages from 1."""
    return msgspec.json.encode(
        {"id": message_id, "type": kind, "time": clock.rfc3339(time), "sequence": sequence, "data": data}
    )
