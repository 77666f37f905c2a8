"""Who is told what: one table from facts to the people they concern.

A notice stores codes, order numbers, amounts and times only; words are put to it when it is read or sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shared.contracts.account import SellerApproved, SellerSuspended
from shared.contracts.catalog import ProductReviewed
from shared.contracts.event import Fact
from shared.contracts.inventory import StockLow
from shared.contracts.order import (
    OrderCancellationRejected,
    OrderCancelled,
    OrderClosed,
    OrderConfirmed,
    OrderDelivered,
    OrderHeldForReview,
    OrderLinesCancelled,
    OrderPaymentRequested,
    OrderPlaced,
    OrderPriceAdjusted,
    OrderStalled,
    ReceiptConfirmed,
    ReceiptExtended,
)
from shared.contracts.payment import (
    DuplicatePaymentDetected,
    LatePaymentReceived,
    PaymentAmountMismatched,
    PaymentConfirmed,
    PaymentFailed,
    RefundCompleted,
    RefundFailed,
    SellerPayoutCompleted,
    SellerPayoutFailed,
)
from shared.contracts.shipping import (
    DeliveryFailed,
    DeliveryRefused,
    ReturnedToSender,
    ShipmentLost,
    ShipmentOverdue,
    Shipped,
)
from shared.contracts.support import WebhookDisabled
from shared.kernel import clock

To = Literal["buyer", "seller", "operator"]
OPERATORS = "operators"
"""The account under which what concerns all operators is kept."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """`recipient` is a buyer's account, a seller's shop, or OPERATORS."""

    to: To
    recipient: str
    template: str
    fields: dict[str, Any]
    mail: bool
    group_no: str | None
    order_no: str | None


def _always(fact: Any) -> bool:
    return True


def _itself(fact: Any) -> Sequence[Any]:
    return (fact,)


@dataclass(frozen=True)
class Rule:
    """`fields` names what the words need: the word in the text, and where the fact has it."""

    to: To
    template: str
    fields: dict[str, str] = field(default_factory=dict)
    mail: bool = True
    """Worth a letter; everything is in the inbox anyway."""
    when: Callable[[Any], bool] = _always
    each: Callable[[Any], Sequence[Any]] = _itself
    """Parts of the fact that are told apart, such as the orders one payment paid for."""


ORDER = {"order_no": "order_no"}
SUM = {"amount": "amount", "currency": "currency"}


def _paid(fact: OrderCancelled) -> bool:
    return fact.was_paid


def _of_an_order(fact: RefundCompleted) -> bool:
    return fact.order_no is not None


def _of_no_order(fact: RefundCompleted) -> bool:
    return fact.order_no is None


def _is_risky(fact: OrderHeldForReview) -> bool:
    return "risk" in fact.reasons


def _is_the_sellers(fact: OrderHeldForReview) -> bool:
    return set(fact.reasons) != {"risk"}


def _sent_back(fact: PaymentAmountMismatched) -> bool:
    return fact.action == "refund"


def _held(fact: PaymentAmountMismatched) -> bool:
    return fact.action == "hold"


def _was_sold(fact: ReturnedToSender) -> bool:
    return fact.kind == "sale"


def _final(fact: RefundFailed) -> bool:
    return fact.final


def _splits(fact: PaymentConfirmed) -> Sequence[Any]:
    return fact.splits


RULES: dict[type[Fact], tuple[Rule, ...]] = {
    # account and catalog
    SellerApproved: (Rule("seller", "shop_approved"),),
    SellerSuspended: (Rule("seller", "shop_suspended"),),
    WebhookDisabled: (Rule("seller", "webhook_disabled", {"host": "host", "reason": "reason"}),),
    ProductReviewed: (Rule("seller", "product_reviewed", {"decision": "decision"}, mail=False),),
    StockLow: (Rule("seller", "stock_low", {"sku": "sku", "available": "available"}, mail=False),),
    # placing and paying
    OrderPlaced: (
        Rule("buyer", "order_placed", ORDER | {"amount": "payable", "currency": "currency"}, mail=False),
    ),
    OrderPaymentRequested: (
        Rule(
            "buyer", "payment_requested",
            {"group_no": "group_no", "amount": "payable_total", "currency": "currency", "pay_by": "pay_by"},
        ),
    ),
    OrderPriceAdjusted: (
        Rule("buyer", "price_adjusted", ORDER | {"amount": "new_payable", "currency": "currency"}),
    ),
    PaymentConfirmed: (
        Rule("buyer", "payment_confirmed", {"group_no": "group_no"} | SUM),
        Rule("seller", "order_paid", ORDER | SUM, each=_splits),
    ),
    PaymentFailed: (Rule("buyer", "payment_failed", {"group_no": "group_no"}, mail=False),),
    LatePaymentReceived: (Rule("buyer", "late_payment", {"group_no": "group_no"} | SUM),),
    DuplicatePaymentDetected: (Rule("buyer", "duplicate_payment", {"group_no": "group_no"} | SUM),),
    PaymentAmountMismatched: (
        Rule(
            "buyer", "wrong_amount",
            {"group_no": "group_no", "amount": "received", "currency": "received_currency"}, when=_sent_back,
        ),
        Rule(
            "operator", "wrong_amount_held",
            {"group_no": "group_no", "amount": "received", "currency": "received_currency"}, when=_held, mail=False,
        ),
    ),
    # the order
    OrderHeldForReview: (
        Rule("seller", "order_to_review", ORDER | {"review_by": "review_by"}, when=_is_the_sellers),
        Rule("operator", "risk_to_review", ORDER | {"review_by": "review_by"}, when=_is_risky, mail=False),
    ),
    OrderStalled: (Rule("operator", "order_stalled", ORDER | {"reason": "code"}, mail=False),),
    OrderConfirmed: (
        Rule("buyer", "order_confirmed", ORDER, mail=False),
        Rule("seller", "order_to_ship", ORDER | {"ship_by": "ship_by"}, mail=False),
    ),
    OrderCancelled: (
        Rule("buyer", "order_cancelled", ORDER | {"reason": "reason"}),
        Rule("seller", "sale_cancelled", ORDER | {"reason": "reason"}, when=_paid),
    ),
    OrderLinesCancelled: (Rule("buyer", "lines_cancelled", ORDER | {"reason": "reason"}),),
    OrderCancellationRejected: (Rule("buyer", "cancellation_rejected", ORDER),),
    OrderClosed: (Rule("buyer", "order_closed", ORDER | {"reason": "reason"}),),
    # on its way
    ShipmentOverdue: (
        Rule("buyer", "shipment_late", ORDER, mail=False),
        Rule("seller", "shipment_overdue", ORDER | {"ship_by": "ship_by"}),
    ),
    Shipped: (Rule("buyer", "shipped", ORDER),),
    DeliveryFailed: (Rule("buyer", "delivery_failed", ORDER, mail=False),),
    DeliveryRefused: (Rule("seller", "delivery_refused", ORDER, mail=False),),
    ReturnedToSender: (Rule("seller", "parcel_came_back", ORDER, when=_was_sold, mail=False),),
    ShipmentLost: (Rule("buyer", "shipment_lost", ORDER), Rule("seller", "shipment_lost_seller", ORDER)),
    OrderDelivered: (Rule("buyer", "delivered", ORDER | {"receipt_by": "receipt_by"}),),
    ReceiptConfirmed: (Rule("seller", "receipt_confirmed", ORDER, mail=False),),
    ReceiptExtended: (
        Rule("seller", "receipt_extended", ORDER | {"receipt_by": "new_receipt_by"}, mail=False),
    ),
    # money back
    RefundCompleted: (
        Rule("buyer", "refunded", ORDER | SUM, when=_of_an_order),
        Rule("buyer", "money_returned", {"group_no": "group_no"} | SUM, when=_of_no_order),
    ),
    RefundFailed: (Rule("operator", "refund_failed", {"group_no": "group_no"} | SUM, when=_final, mail=False),),
    SellerPayoutCompleted: (Rule("seller", "paid_out", SUM | {"bank_ref": "bank_ref"}),),
    SellerPayoutFailed: (Rule("seller", "payout_failed", SUM),),
}  # fmt: skip


def notices(fact: Fact) -> list[Notice]:
    """Whom this fact concerns, and what of it they are told."""
    return [
        _notice(rule, fact, part) for rule in RULES.get(type(fact), ()) if rule.when(fact) for part in rule.each(fact)
    ]


def _notice(rule: Rule, fact: Any, part: Any) -> Notice:
    def told(name: str) -> Any:
        value = getattr(part, name, None)
        return getattr(fact, name, None) if value is None else value

    if rule.to == "seller":
        recipient = told("seller_id")
    else:
        recipient = OPERATORS if rule.to == "operator" else told("buyer_id")
    return Notice(
        to=rule.to, recipient=recipient, template=rule.template, mail=rule.mail,
        fields={word: _plain(told(name)) for word, name in rule.fields.items()},
        group_no=told("group_no"), order_no=told("order_no"),
    )  # fmt: skip


def _plain(value: Any) -> Any:
    return clock.rfc3339(value) if isinstance(value, datetime) else value
