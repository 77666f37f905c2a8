"""The one fact with two publishers: order and support both ask payment for refunds."""

from typing import Literal

from shared.contracts.event import Fact
from shared.contracts.lines import Actor, Amount, Currency, RefundLine

RefundReason = Literal[
    "cancelled",
    "out_of_stock",
    "review_rejected",
    "lines_cancelled",
    "returned_to_sender",
    "lost",
    "overpaid",
    "after_sale",
    "goodwill",
]


class RefundRequested(Fact, about="refund/refund_id", key="group_no", publishers=("order", "support")):
    """Money is to go back to the buyer. Payment does so once per `refund_id`, however often it is asked."""

    refund_id: str
    group_no: str
    order_no: str
    seller_id: str
    buyer_id: str
    lines: tuple[RefundLine, ...]
    freight_amount: Amount
    amount: Amount
    """All of it: the lines and the freight (and, with no lines, the difference that was overpaid)."""
    currency: Currency
    reason: RefundReason
    by: Actor
    case_id: str | None = None
