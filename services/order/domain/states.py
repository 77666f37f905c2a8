"""The state machine of an order as data: every move it can ever make, who causes it, and what it says.

The machine refuses a move that is not in this table, `docs/journey.md` is drawn from it, and tests prove that each
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
ASKED = ("OrderCancellationRequested",)
REFUSED = ("OrderCancellationRejected",)
LATE = ("OrderPaymentDeadlineReached",)
SENT = ("OrderFullyShipped",)
GOT = ("ReceiptConfirmed",)
CONFIRMED = ("OrderConfirmed",)
HELD = ("OrderHeldForReview",)
STALLED = ("OrderStalled",)
BACK = ("RefundRequested",)
PARTED = ("OrderCancellationRejected", "OrderLinesCancelled", "RefundRequested")


def _beside(trigger: str, kind: str, guard: str, *states: State, says: tuple[str, ...] = ()) -> tuple[Move, ...]:
    """What is taken note of in several states without moving any."""
    return tuple(Move(state, trigger, kind, None, guard, says) for state in states)


MOVES: tuple[Move, ...] = (
    # placing
    Move(None, "PlaceOrder", C, S.PLACED, "quote valid and unused", ("OrderPlaced",)),
    Move(S.PLACED, "StockReserved", E, None, "noted in the join"),
    Move(S.PLACED, "RiskAssessed", E, None, "allow or review: noted in the join"),
    Move(S.PLACED, "JoinComplete", J, S.AWAITING_PAYMENT, "all answered; online", ("OrderPaymentRequested",)),
    Move(S.PLACED, "JoinComplete", J, S.AWAITING_REVIEW, "COD or nothing to pay; review", HELD),
    Move(S.PLACED, "JoinComplete", J, S.CONFIRMED, "COD or nothing to pay; allowed", CONFIRMED),
    Move(S.PLACED, "CancelOrder", C, S.CANCELLED, "nothing payable yet", CANCELLED),
    Move(S.PLACED, "StockReservationFailed", E, S.CANCELLED, "siblings too if all or nothing", CANCELLED),
    Move(S.PLACED, "RiskAssessed", E, S.CANCELLED, "deny; siblings too if all or nothing", CANCELLED),
    Move(S.PLACED, "PlacementAlert", T, None, "30 s without all answers: operators are told", STALLED),
    Move(S.PLACED, "PlacementDeadline", T, S.CANCELLED, "15 min without all answers", CANCELLED),
    *_beside("StockReserved", E, "too late: inventory lets go", S.CANCELLED),
    *_beside("StockReservationFailed", E, "over already", S.CANCELLED, S.CANCEL_PENDING),
    *_beside("RiskAssessed", E, "over already", S.CANCELLED),
    # paying
    Move(S.AWAITING_PAYMENT, "PaymentInitiated", E, None, "an attempt is in flight"),
    Move(S.AWAITING_PAYMENT, "PaymentFailed", E, None, "another attempt until pay_by"),
    Move(S.AWAITING_PAYMENT, "AdjustPrice", C, None, "seller; no attempt in flight", ("OrderPriceAdjusted",)),
    Move(S.AWAITING_PAYMENT, "ChangeAddress", C, None, "freight anew", ("OrderAddressChanged",)),
    Move(S.AWAITING_PAYMENT, "PaymentConfirmed", E, S.CONFIRMED, "excess back", (*CONFIRMED, *BACK)),
    Move(S.AWAITING_PAYMENT, "PaymentConfirmed", E, S.AWAITING_REVIEW, "review needed", (*HELD, *BACK)),
    Move(S.AWAITING_PAYMENT, "PaymentDeadline", T, None, "payment is asked", LATE),
    Move(S.AWAITING_PAYMENT, "ArbiterDeadline", T, None, "payment is asked again", (*LATE, *ASKED, *STALLED)),
    Move(S.AWAITING_PAYMENT, "CancelOrder", C, None, "payment is asked", ASKED),
    Move(S.AWAITING_PAYMENT, "StockReservationExpired", E, None, "safety net", LATE),
    Move(S.AWAITING_PAYMENT, "PaymentExpired", E, S.CANCELLED, "nothing was captured", CANCELLED),
    *_beside("LatePaymentReceived", E, "payment refunds by itself", S.CANCELLED, S.AWAITING_PAYMENT),
    *_beside("PaymentExpired", E, "said twice, or cancelled otherwise", S.CANCELLED),
    *_beside("PaymentConfirmed", E, "never meant to be; all of it back", S.CANCELLED, S.CLOSED, says=BACK),
    *_beside("StockReservationExpired", E, "taken again on confirmation", S.AWAITING_REVIEW, S.CONFIRMED,
             S.CANCEL_PENDING, S.CANCELLED),
    # reviewing
    Move(S.AWAITING_REVIEW, "ApproveOrder", C, S.CONFIRMED, "seller or operator", CONFIRMED),
    Move(S.AWAITING_REVIEW, "ReviewDeadline", T, S.CONFIRMED, "24 h, risk allowed", CONFIRMED),
    Move(S.AWAITING_REVIEW, "ReviewDeadline", T, None, "24 h, risk wants a human: alert", STALLED),
    Move(S.AWAITING_REVIEW, "ReviewDeadline", T, S.CANCELLED, "48 h, risk wanted a human", UNDONE),
    Move(S.AWAITING_REVIEW, "RejectOrder", C, S.CANCELLED, "seller or operator; refund if paid", UNDONE),
    Move(S.AWAITING_REVIEW, "CancelOrder", C, S.CANCELLED, "shipping was not told; refund if paid", UNDONE),
    # cancelling
    Move(S.CONFIRMED, "StockReservationFailed", E, S.CANCELLED, "hold had run out; refund if paid", UNDONE),
    Move(S.CONFIRMED, "CancelOrder", C, S.CANCEL_PENDING, "shipping decides", ASKED),
    Move(S.FULFILLING, "CancelOrder", C, S.CANCEL_PENDING, "shipping decides", ASKED),
    Move(S.PARTIALLY_SHIPPED, "CancelOrder", C, None, "what has not left", ASKED),
    Move(S.CANCEL_PENDING, "ShipmentCancelled", E, S.CANCELLED, "all stopped; refund if paid", UNDONE),
    Move(S.CANCEL_PENDING, "ShipmentCancelled", E, S.PARTIALLY_SHIPPED, "mixed, more to hand over", PARTED),
    Move(S.CANCEL_PENDING, "ShipmentCancelled", E, S.SHIPPED, "mixed, the rest is gone", (*PARTED, *SENT)),
    Move(S.CANCEL_PENDING, "ShipmentCancellationRejected", E, S.CONFIRMED, "back to where it was", REFUSED),
    Move(S.CANCEL_PENDING, "ShipmentCancellationRejected", E, S.FULFILLING, "back to where it was", REFUSED),
    Move(S.CANCEL_PENDING, "ShipmentCancellationRejected", E, S.PARTIALLY_SHIPPED, "some had left", REFUSED),
    Move(S.CANCEL_PENDING, "Shipped", E, S.SHIPPED, "lost the race", (*REFUSED, *SENT)),
    Move(S.CANCEL_PENDING, "Shipped", E, None, "part left; shipping's answer tells the rest"),
    Move(S.PARTIALLY_SHIPPED, "ShipmentCancelled", E, S.SHIPPED, "the rest stopped", (*PARTED[1:], *SENT)),
    Move(S.PARTIALLY_SHIPPED, "ShipmentCancelled", E, None, "some still on their way out", PARTED[1:]),
    Move(S.PARTIALLY_SHIPPED, "ShipmentCancellationRejected", E, None, "too late", REFUSED),
    *_beside("CancelAnswerDeadline", T, "asked again", S.CANCEL_PENDING, S.PARTIALLY_SHIPPED,
             says=(*ASKED, *STALLED)),
    *_beside("ShipmentCancelled", E, "no question is open", S.CANCELLED, S.SHIPPED, S.DELIVERED, S.RECEIVED,
             S.COMPLETED, S.CLOSED),
    *_beside("ShipmentCancellationRejected", E, "no question is open", S.CONFIRMED, S.FULFILLING, S.SHIPPED,
             S.DELIVERED, S.RECEIVED, S.COMPLETED, S.CLOSED),
    # shipping
    *_beside("ShipmentPlanned", E, "axis only", S.CONFIRMED, S.FULFILLING, S.PARTIALLY_SHIPPED,
             S.CANCEL_PENDING),
    Move(S.CONFIRMED, "PickingStarted", E, S.FULFILLING),
    *_beside("PickingStarted", E, "axis only", S.FULFILLING, S.PARTIALLY_SHIPPED, S.CANCEL_PENDING),
    *_beside("ShipmentPacked", E, "axis only", S.CONFIRMED, S.FULFILLING, S.PARTIALLY_SHIPPED,
             S.CANCEL_PENDING),
    *_beside("ShipmentOverdue", E, "shown", S.CONFIRMED, S.FULFILLING, S.PARTIALLY_SHIPPED, S.CANCEL_PENDING),
    *_beside("ShipDeadline", T, "shown, looked at again every day", S.CONFIRMED, S.FULFILLING,
             S.PARTIALLY_SHIPPED, S.CANCEL_PENDING),
    Move(S.CONFIRMED, "Shipped", E, S.SHIPPED, "all lines, no pick scan", SENT),
    Move(S.CONFIRMED, "Shipped", E, S.PARTIALLY_SHIPPED, "some lines, no pick scan"),
    Move(S.FULFILLING, "Shipped", E, S.SHIPPED, "all lines", SENT),
    Move(S.FULFILLING, "Shipped", E, S.PARTIALLY_SHIPPED, "some lines"),
    Move(S.PARTIALLY_SHIPPED, "Shipped", E, S.SHIPPED, "all lines", SENT),
    Move(S.PARTIALLY_SHIPPED, "Shipped", E, None, "still not all lines"),
    Move(S.SHIPPED, "Delivered", E, S.DELIVERED, "the last shipment", ("OrderDelivered",)),
    *_beside("Delivered", E, "line by line", S.PARTIALLY_SHIPPED, S.CANCEL_PENDING, S.SHIPPED, S.RECEIVED,
             S.COMPLETED),
    *_beside("DeliveryFailed", E, "receipt stands still", S.PARTIALLY_SHIPPED, S.CANCEL_PENDING, S.SHIPPED),
    *_beside("DeliveryRefused", E, "it is on its way back", S.PARTIALLY_SHIPPED, S.CANCEL_PENDING, S.SHIPPED),
    *_beside("DeliveryFailed", E, "received already", S.RECEIVED, S.COMPLETED),
    *_beside("DeliveryRefused", E, "received already", S.RECEIVED, S.COMPLETED),
    Move(S.SHIPPED, "ReturnedToSender", E, S.CLOSED, "all back; refund if paid", ("OrderClosed", *BACK)),
    Move(S.SHIPPED, "ReturnedToSender", E, S.DELIVERED, "the rest had arrived", ("OrderDelivered", *BACK)),
    *_beside("ReturnedToSender", E, "refund those lines if paid", S.PARTIALLY_SHIPPED, S.CANCEL_PENDING,
             S.SHIPPED, S.RECEIVED, S.COMPLETED, says=BACK),
    Move(S.SHIPPED, "ShipmentLost", E, S.CLOSED, "nothing arrived, nothing to refund", ("OrderClosed",)),
    Move(S.SHIPPED, "ShipmentLost", E, S.DELIVERED, "the rest had arrived", ("OrderDelivered", *BACK)),
    *_beside("ShipmentLost", E, "refund those lines if paid; receipt stands still until then",
             S.PARTIALLY_SHIPPED, S.CANCEL_PENDING, S.SHIPPED, S.RECEIVED, S.COMPLETED, says=BACK),
    # receiving
    Move(S.SHIPPED, "ConfirmReceipt", C, S.RECEIVED, "buyer", GOT),
    Move(S.DELIVERED, "ConfirmReceipt", C, S.RECEIVED, "buyer", GOT),
    Move(S.SHIPPED, "ReceiptDeadline", T, S.RECEIVED, "nothing failed or lost", GOT),
    Move(S.DELIVERED, "ReceiptDeadline", T, S.RECEIVED, "", GOT),
    *_beside("ExtendReceipt", C, "once, 5 days", S.SHIPPED, S.DELIVERED, says=("ReceiptExtended",)),
    Move(S.SHIPPED, "PaymentConfirmed", E, S.RECEIVED, "cash at the door is receipt", GOT),
    Move(S.DELIVERED, "PaymentConfirmed", E, S.RECEIVED, "cash at the door is receipt", GOT),
    *_beside("PaymentConfirmed", E, "cash, heard of early or late", S.CONFIRMED, S.FULFILLING,
             S.PARTIALLY_SHIPPED, S.CANCEL_PENDING, S.RECEIVED, S.COMPLETED),
    Move(S.RECEIVED, "AfterSaleWindowClosed", T, S.COMPLETED, "no open case", ("OrderCompleted",)),
    *_beside("ReviewPosted", E, "line reviewed", S.RECEIVED, S.COMPLETED, S.CLOSED),
    # refunding
    Move(S.SHIPPED, "RefundCompleted", E, S.CLOSED, "fully refunded", ("OrderClosed",)),
    Move(S.DELIVERED, "RefundCompleted", E, S.CLOSED, "fully refunded", ("OrderClosed",)),
    Move(S.RECEIVED, "RefundCompleted", E, S.CLOSED, "fully refunded", ("OrderClosed",)),
    *_beside("RefundCompleted", E, "totals", S.AWAITING_REVIEW, S.CONFIRMED, S.FULFILLING, S.CANCEL_PENDING,
             S.PARTIALLY_SHIPPED, S.SHIPPED, S.DELIVERED, S.RECEIVED, S.COMPLETED, S.CANCELLED, S.CLOSED),
)  # fmt: skip

TARGETS: dict[tuple[State, str], frozenset[State]] = {
    (move.source, move.trigger): frozenset(
        other.target
        for other in MOVES
        if other.source == move.source and other.trigger == move.trigger and other.target
    )
    for move in MOVES
    if move.source is not None
}
