"""Facts of the order service: the life of an order group and of its orders, one per seller.

Reasons are codes, never somebody's own words.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from shared.contracts.event import Fact, Sealed
from shared.contracts.lines import (
    Actor,
    Amount,
    Count,
    Currency,
    Moment,
    Ordinal,
    PaidMethod,
    PlacedMethod,
    ProductLine,
    Quantity,
    SkuLine,
    StockPolicy,
)

CancelReason = Literal[
    "payment_timeout",
    "buyer",
    "seller",
    "operator",
    "review_rejected",
    "out_of_stock",
    "coupon",
    "risk",
    "sibling_failed",
    "placement_timeout",
]
ReviewReason = Literal["risk", "seller_audit", "amount_over_limit", "cod", "address"]


@dataclass(frozen=True, kw_only=True)
class PlacedLine:
    """`amount` = qty x unit_price - discount."""

    line_id: str
    product_id: str
    sku: str
    title: str
    qty: Quantity
    unit_price: Amount
    discount: Amount
    amount: Amount


@dataclass(frozen=True, kw_only=True)
class ConfirmedLine:
    line_id: str
    product_id: str
    sku: str
    title: str
    qty: Quantity
    weight_g: Count = 0
    """Of one unit."""
    amount: Amount = 0
    """What all its units cost, freight apart."""


@dataclass(frozen=True, kw_only=True)
class OrderShare:
    """What one order of the group costs."""

    order_no: str
    seller_id: str
    payable: Amount


class OrderPlaced(Fact, about="order/order_no", key="group_no"):
    """A buyer placed an order. Inventory holds its stock and payment assesses its risk; both answer."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    index: Ordinal
    of: Ordinal
    """This is order `index` of the `of` orders of its group."""
    group_orders: tuple[str, ...]
    group_payable: Amount
    lines: Annotated[tuple[PlacedLine, ...], Meta(min_length=1)]
    goods_amount: Amount
    """Sum of qty x unit_price; payable = goods_amount - discount + freight."""
    freight: Amount
    discount: Amount
    payable: Amount
    currency: Currency
    payment_method: PlacedMethod
    region: str
    stock_policy: StockPolicy
    channel: str
    placed_at: Moment
    coupons: tuple[str, ...] = ()


class OrderPaymentRequested(Fact, about="group/group_no", key="group_no"):
    """The group's stock is held, its price final. Payment takes money, and inventory holds, to `pay_by`."""

    group_no: str
    buyer_id: str
    orders: Annotated[tuple[OrderShare, ...], Meta(min_length=1)]
    payable_total: Amount
    currency: Currency
    pay_by: Moment
    methods: tuple[PaidMethod, ...]


class OrderPriceAdjusted(Fact, about="order/order_no", key="group_no"):
    """A seller changed an unpaid order's price. Payment asks for the new sum."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    old_payable: Amount
    new_payable: Amount
    currency: Currency
    by: Actor
    reason: str


class OrderAddressChanged(Fact, about="order/order_no", key="group_no"):
    """An order goes somewhere else. Payment asks for the new sum; shipping uses the new address."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    delivery: Sealed
    region: str
    freight_delta: int
    old_payable: Amount
    new_payable: Amount
    currency: Currency


class OrderPaymentDeadlineReached(Fact, about="group/group_no", key="group_no"):
    """The time to pay is over. Payment answers PaymentConfirmed or PaymentExpired; asked until it does."""

    group_no: str
    order_nos: tuple[str, ...]
    pay_by: Moment
    reason: Literal["timer", "stock_safety"]
    asked: Ordinal = 1
    """How many times this was asked; all of them have one answer."""


class OrderStalled(Fact, about="order/order_no", key="group_no"):
    """An order waits longer than it should for somebody's word, and nobody guesses it. Support tells the operators."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    code: Literal["placement_unanswered", "payment_unanswered", "review_unanswered", "cancel_unanswered"]
    waiting_for: tuple[str, ...]
    """Services, or the roles of people."""
    since: Moment


class OrderHeldForReview(Fact, about="order/order_no", key="group_no"):
    """An accepted order waits for a human. Support tells the seller, or the operators if risk is a reason."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    reasons: tuple[ReviewReason, ...]
    review_by: Moment


class OrderConfirmed(Fact, about="order/order_no", key="group_no"):
    """An order is paid, or cash on delivery is accepted. Inventory allocates its stock; shipping sends it."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    lines: Annotated[tuple[ConfirmedLine, ...], Meta(min_length=1)]
    delivery: Sealed
    """JSON: name, phone, address lines."""
    region: str
    payment_method: PlacedMethod
    paid_amount: Amount
    cod_amount: Amount
    """What the courier has to collect; 0 unless the method is cod."""
    currency: Currency
    ship_by: Moment
    reviewed_by: str | None = None
    """Who approved it: an account, or "system" by deadline; absent when no review was needed."""


class OrderCancellationRequested(Fact, about="order/order_no", key="group_no"):
    """Somebody wants to cancel. Unpaid: payment decides. Paid: shipping decides. It is answered once."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    stage: Literal["unpaid", "paid"]
    by: Actor
    reason: str
    line_ids: tuple[str, ...] = ()
    """What has not been shipped of these lines; empty: the whole order."""
    asked: Ordinal = 1
    """How many times this was asked; all of them have one answer."""


class OrderCancellationRejected(Fact, about="order/order_no", key="group_no"):
    """A wish to cancel came too late for these shipments. The buyer is told what can be done instead."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    reason: Literal["handed_over", "partly_handed_over"]
    shipment_ids: tuple[str, ...]


class OrderLinesCancelled(Fact, about="order/order_no", key="group_no"):
    """A part of an order will not be shipped. Inventory gives its stock back."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    lines: tuple[SkuLine, ...]
    reason: CancelReason


class OrderCancelled(Fact, about="order/order_no", key="group_no"):
    """An order ended before anything left a warehouse. Everyone undoes their part, or refuses it later."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    reason: CancelReason
    was_paid: bool
    lines: tuple[SkuLine, ...]


class OrderFullyShipped(Fact, about="order/order_no", key="group_no"):
    """All that will be shipped of an order is on its way."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    shipped_at: Moment
    receipt_by: Moment


class OrderDelivered(Fact, about="order/order_no", key="group_no"):
    """The last shipment of an order arrived. Receipt is taken as confirmed at `receipt_by`."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    delivered_at: Moment
    receipt_by: Moment


class ReceiptExtended(Fact, about="order/order_no", key="group_no"):
    """The buyer took more time to confirm receipt. The seller is told."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    new_receipt_by: Moment


class ReceiptConfirmed(Fact, about="order/order_no", key="group_no"):
    """The buyer has the goods. Payment releases the funds; catalog takes reviews until `review_until`."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    by: Literal["buyer", "system", "cod"]
    received_at: Moment
    after_sale_until: Moment
    review_until: Moment
    lines: tuple[ProductLine, ...]


class OrderCompleted(Fact, about="order/order_no", key="group_no"):
    """The after-sale window closed, no case is open. Payment pays the holdback; account grants points."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    net_amount: Amount
    refunded_amount: Amount
    currency: Currency


class OrderClosed(Fact, about="order/order_no", key="group_no"):
    """An order ended after it was shipped: it came back, or all of it was refunded."""

    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    reason: Literal["cod_refused", "undeliverable", "fully_refunded"]
    lines: tuple[SkuLine, ...]
