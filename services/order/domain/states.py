"""The state machine of an order as data: every move it can ever make, who causes it, and what it says.

`Order.move` refuses a move that is not in this table, `docs/journey.md` is drawn from it, and a test proves that each
state can be reached, can end, and never waits without a deadline.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    PLACED = "PLACED"
    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    AWAITING_REVIEW = "AWAITING_REVIEW"
    CONFIRMED = "CONFIRMED"
    FULFILLING = "FULFILLING"
    PARTIALLY_SHIPPED = "PARTIALLY_SHIPPED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    RECEIVED = "RECEIVED"
    CANCEL_PENDING = "CANCEL_PENDING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    CLOSED = "CLOSED"


S = State
TERMINAL = frozenset({S.COMPLETED, S.CANCELLED, S.CLOSED})
BEFORE_PAYMENT = frozenset({S.PLACED, S.AWAITING_PAYMENT})
IN_WAREHOUSE = frozenset({S.CONFIRMED, S.FULFILLING})
ON_THE_WAY = frozenset({S.SHIPPED, S.DELIVERED})


class Move(NamedTuple):
    """`source` None: the order is born. `target` None: the state stays. `kind`: command, event, join or timer."""

    source: State | None
    trigger: str
    kind: str
    target: State | None
    guard: str = ""
    says: tuple[str, ...] = ()


C, E, J, T = "command", "event", "join", "timer"
CANCELLED = ("OrderCancelled",)
UNDONE = ("OrderCancelled", "RefundRequested")

MOVES: tuple[Move, ...] = (
    Move(None, "PlaceOrder", C, S.PLACED, "quote valid and unused", ("OrderPlaced",)),
    Move(S.PLACED, "StockReserved", E, None, "noted in the join"),
    Move(S.PLACED, "CouponClaimed", E, None, "noted in the join"),
    Move(S.PLACED, "RiskAssessed", E, None, "allow or review: noted in the join"),
    Move(
        S.PLACED,
        "JoinComplete",
        J,
        S.AWAITING_PAYMENT,
        "every order answered; online",
        ("OrderPaymentRequested",),
    ),
    Move(
        S.PLACED,
        "JoinComplete",
        J,
        S.AWAITING_REVIEW,
        "COD or nothing to pay; review",
        ("OrderHeldForReview",),
    ),
    Move(S.PLACED, "JoinComplete", J, S.CONFIRMED, "COD or nothing to pay; allowed", ("OrderConfirmed",)),
    Move(S.PLACED, "CancelOrder", C, S.CANCELLED, "nothing payable yet", CANCELLED),
    Move(S.PLACED, "StockReservationFailed", E, S.CANCELLED, "siblings too if all or nothing", CANCELLED),
    Move(S.PLACED, "CouponClaimRejected", E, S.CANCELLED, "", CANCELLED),
    Move(S.PLACED, "RiskAssessed", E, S.CANCELLED, "deny", CANCELLED),
    Move(S.PLACED, "PlacementDeadline", T, S.CANCELLED, "15 min without all answers", CANCELLED),
    Move(S.AWAITING_PAYMENT, "PaymentConfirmed", E, S.CONFIRMED, "no review needed", ("OrderConfirmed",)),
    Move(
        S.AWAITING_PAYMENT, "PaymentConfirmed", E, S.AWAITING_REVIEW, "review needed", ("OrderHeldForReview",)
    ),
    Move(S.AWAITING_PAYMENT, "PaymentInitiated", E, None, "an attempt is in flight"),
    Move(S.AWAITING_PAYMENT, "PaymentFailed", E, None, "another attempt until pay_by"),
    Move(
        S.AWAITING_PAYMENT, "PaymentDeadline", T, None, "payment is asked", ("OrderPaymentDeadlineReached",)
    ),
    Move(
        S.AWAITING_PAYMENT,
        "ArbiterDeadline",
        T,
        None,
        "payment is asked again",
        ("OrderPaymentDeadlineReached",),
    ),
    Move(S.AWAITING_PAYMENT, "CancelOrder", C, None, "payment is asked", ("OrderCancellationRequested",)),
    Move(
        S.AWAITING_PAYMENT, "StockReservationExpired", E, None, "safety net", ("OrderPaymentDeadlineReached",)
    ),
    Move(S.AWAITING_PAYMENT, "PaymentExpired", E, S.CANCELLED, "nothing was captured", CANCELLED),
    Move(S.AWAITING_REVIEW, "ApproveOrder", C, S.CONFIRMED, "seller or operator", ("OrderConfirmed",)),
    Move(S.AWAITING_REVIEW, "ReviewDeadline", T, S.CONFIRMED, "24 h, risk allowed", ("OrderConfirmed",)),
    Move(S.AWAITING_REVIEW, "ReviewDeadline", T, S.CANCELLED, "48 h, risk wanted a human", UNDONE),
    Move(S.AWAITING_REVIEW, "RejectOrder", C, S.CANCELLED, "seller or operator; refund if paid", UNDONE),
    Move(
        S.AWAITING_REVIEW, "CancelOrder", C, S.CANCELLED, "shipping was not told yet; refund if paid", UNDONE
    ),
    Move(
        S.CONFIRMED, "StockReservationFailed", E, S.CANCELLED, "after a safety expiry; refund if paid", UNDONE
    ),
    Move(S.CONFIRMED, "ShipmentPlanned", E, None, "axis only"),
    Move(S.CONFIRMED, "PickingStarted", E, S.FULFILLING),
    Move(
        S.CONFIRMED, "CancelOrder", C, S.CANCEL_PENDING, "shipping decides", ("OrderCancellationRequested",)
    ),
    Move(S.CONFIRMED, "Shipped", E, S.SHIPPED, "all lines, no pick scan", ("OrderFullyShipped",)),
    Move(S.CONFIRMED, "Shipped", E, S.PARTIALLY_SHIPPED, "some lines, no pick scan"),
    Move(S.FULFILLING, "ShipmentPacked", E, None, "axis only"),
    Move(
        S.FULFILLING, "CancelOrder", C, S.CANCEL_PENDING, "shipping decides", ("OrderCancellationRequested",)
    ),
    Move(S.FULFILLING, "Shipped", E, S.PARTIALLY_SHIPPED, "some lines"),
    Move(S.FULFILLING, "Shipped", E, S.SHIPPED, "all lines", ("OrderFullyShipped",)),
    Move(S.PARTIALLY_SHIPPED, "Shipped", E, S.SHIPPED, "all lines", ("OrderFullyShipped",)),
    Move(S.PARTIALLY_SHIPPED, "Shipped", E, None, "still not all lines"),
    Move(S.PARTIALLY_SHIPPED, "Delivered", E, None, "line by line"),
    Move(
        S.PARTIALLY_SHIPPED, "ReturnedToSender", E, None, "refund those lines if paid", ("RefundRequested",)
    ),
    Move(S.PARTIALLY_SHIPPED, "RefundCompleted", E, None, "totals"),
    Move(S.PARTIALLY_SHIPPED, "CancelOrder", C, None, "what has not left", ("OrderCancellationRequested",)),
    Move(
        S.PARTIALLY_SHIPPED,
        "ShipmentCancelled",
        E,
        S.SHIPPED,
        "the rest was stopped",
        ("OrderLinesCancelled", "RefundRequested", "OrderFullyShipped"),
    ),
    Move(
        S.PARTIALLY_SHIPPED,
        "ShipmentCancelled",
        E,
        None,
        "some stopped, some still on their way out",
        ("OrderLinesCancelled", "RefundRequested"),
    ),
    Move(
        S.PARTIALLY_SHIPPED,
        "ShipmentCancellationRejected",
        E,
        None,
        "too late",
        ("OrderCancellationRejected",),
    ),
    Move(S.CANCEL_PENDING, "ShipmentCancelled", E, S.CANCELLED, "everything stopped; refund if paid", UNDONE),
    Move(
        S.CANCEL_PENDING,
        "ShipmentCancelled",
        E,
        S.PARTIALLY_SHIPPED,
        "mixed, more to be handed over",
        ("OrderCancellationRejected", "OrderLinesCancelled", "RefundRequested"),
    ),
    Move(
        S.CANCEL_PENDING,
        "ShipmentCancelled",
        E,
        S.SHIPPED,
        "mixed, the rest is gone",
        ("OrderCancellationRejected", "OrderLinesCancelled", "RefundRequested", "OrderFullyShipped"),
    ),
    Move(
        S.CANCEL_PENDING,
        "ShipmentCancellationRejected",
        E,
        S.CONFIRMED,
        "back to where it was",
        ("OrderCancellationRejected",),
    ),
    Move(
        S.CANCEL_PENDING,
        "ShipmentCancellationRejected",
        E,
        S.FULFILLING,
        "back to where it was",
        ("OrderCancellationRejected",),
    ),
    Move(
        S.CANCEL_PENDING,
        "Shipped",
        E,
        S.SHIPPED,
        "lost the race",
        ("OrderCancellationRejected", "OrderFullyShipped"),
    ),
    Move(S.CANCEL_PENDING, "Shipped", E, None, "part left; shipping's answer tells the rest"),
    Move(
        S.CANCEL_PENDING,
        "CancelAnswerDeadline",
        T,
        None,
        "asked again, alert",
        ("OrderCancellationRequested",),
    ),
    Move(S.SHIPPED, "Delivered", E, S.DELIVERED, "the last shipment", ("OrderDelivered",)),
    Move(S.SHIPPED, "Delivered", E, None, "not the last shipment"),
    Move(S.SHIPPED, "DeliveryFailed", E, None, "receipt stands still"),
    Move(S.SHIPPED, "DeliveryRefused", E, None, "it is on its way back"),
    Move(
        S.SHIPPED,
        "ReturnedToSender",
        E,
        S.CLOSED,
        "all lines back; refund if paid",
        ("OrderClosed", "RefundRequested"),
    ),
    Move(S.SHIPPED, "ReturnedToSender", E, None, "some lines back; refund if paid", ("RefundRequested",)),
    Move(S.SHIPPED, "ShipmentLost", E, None, "receipt stands still; refund if paid", ("RefundRequested",)),
    Move(S.SHIPPED, "RefundCompleted", E, S.CLOSED, "fully refunded", ("OrderClosed",)),
    Move(S.SHIPPED, "ConfirmReceipt", C, S.RECEIVED, "buyer", ("ReceiptConfirmed",)),
    Move(S.SHIPPED, "ReceiptDeadline", T, S.RECEIVED, "nothing failed or lost", ("ReceiptConfirmed",)),
    Move(S.SHIPPED, "ExtendReceipt", C, None, "once, 5 days", ("ReceiptExtended",)),
    Move(S.SHIPPED, "PaymentConfirmed", E, S.RECEIVED, "cash at the door is receipt", ("ReceiptConfirmed",)),
    Move(S.DELIVERED, "ConfirmReceipt", C, S.RECEIVED, "buyer", ("ReceiptConfirmed",)),
    Move(S.DELIVERED, "ReceiptDeadline", T, S.RECEIVED, "", ("ReceiptConfirmed",)),
    Move(S.DELIVERED, "ExtendReceipt", C, None, "once, 5 days", ("ReceiptExtended",)),
    Move(
        S.DELIVERED, "PaymentConfirmed", E, S.RECEIVED, "cash at the door is receipt", ("ReceiptConfirmed",)
    ),
    Move(S.DELIVERED, "RefundCompleted", E, S.CLOSED, "fully refunded", ("OrderClosed",)),
    Move(S.RECEIVED, "AfterSaleWindowClosed", T, S.COMPLETED, "no open case", ("OrderCompleted",)),
    Move(S.RECEIVED, "ReviewPosted", E, None, "line reviewed"),
    Move(S.RECEIVED, "RefundCompleted", E, S.CLOSED, "fully refunded", ("OrderClosed",)),
    Move(S.COMPLETED, "ReviewPosted", E, None, "line reviewed"),
    Move(S.COMPLETED, "RefundCompleted", E, None, "totals only"),
    Move(S.CANCELLED, "LatePaymentReceived", E, None, "payment refunds by itself"),
    Move(S.CANCELLED, "RefundCompleted", E, None, "totals only"),
    Move(S.CLOSED, "RefundCompleted", E, None, "totals only"),
)

TARGETS: dict[tuple[State, str], frozenset[State]] = {
    (move.source, move.trigger): frozenset(
        other.target
        for other in MOVES
        if other.source == move.source and other.trigger == move.trigger and other.target
    )
    for move in MOVES
    if move.source is not None
}
