"""Facts of the payment service: risk, money in, money held, money back."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from shared.contracts.event import Fact
from shared.contracts.lines import Amount, Count, Currency, Moment, Ordinal, PaidMethod, RefundLine

RefundCause = Literal["requested", "late_payment", "duplicate_payment", "amount_mismatch"]
"""Money that should not have come goes back unasked; it belongs to a group, not to an order."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One order's share of a payment."""

    order_no: str
    seller_id: str
    amount: Amount


class RiskAssessed(Fact, about="risk/order_no", key="group_no"):
    """The risk of a new order was weighed; order needs the decision to go on."""

    group_no: str
    order_no: str
    score: Annotated[int, Meta(ge=0, le=100)]
    decision: Literal["allow", "review", "deny"]
    rules_hit: tuple[str, ...]
    model_version: str


class PaymentInitiated(Fact, about="payment/payment_id", key="group_no"):
    """An attempt to pay is open at a channel. Inventory holds the stock of its orders while it is."""

    payment_id: str
    group_no: str
    order_nos: tuple[str, ...]
    buyer_id: str
    attempt_no: Ordinal
    method: PaidMethod
    channel: str
    amount: Amount
    currency: Currency
    display: Literal["redirect", "qr", "app", "form", "none"]
    expires_at: Moment


class PaymentConfirmed(Fact, about="payment/payment_id", key="group_no"):
    """The money is here. Order confirms the orders of `splits`."""

    payment_id: str
    group_no: str
    buyer_id: str
    method: PaidMethod
    channel: str
    amount: Amount
    currency: Currency
    splits: tuple[Split, ...]
    channel_txn: str
    paid_at: Moment


class PaymentFailed(Fact, about="payment/payment_id", key="group_no"):
    """An attempt to pay failed. Another may be made until the payment deadline."""

    payment_id: str
    group_no: str
    order_nos: tuple[str, ...]
    buyer_id: str
    attempt_no: Ordinal
    method: PaidMethod
    channel: str
    code: str
    retryable: bool


class PaymentExpired(Fact, about="payment/payment_id", key="group_no"):
    """Nothing was paid for these orders and nothing can be any more. Order cancels them."""

    payment_id: str
    group_no: str
    order_nos: tuple[str, ...]
    closed_at_channel: bool
    asked_by_event_id: str


class LatePaymentReceived(Fact, about="payment/payment_id", key="group_no"):
    """Money came after the payment was closed. Payment sends it back by itself."""

    payment_id: str
    group_no: str
    order_nos: tuple[str, ...]
    buyer_id: str
    amount: Amount
    currency: Currency
    channel: str
    channel_txn: str
    refund_id: str
    received_at: Moment


class DuplicatePaymentDetected(Fact, about="payment/payment_id", key="group_no"):
    """Two attempts of one payment were paid. Payment sends the second one's money back by itself."""

    payment_id: str
    group_no: str
    buyer_id: str
    first_attempt: Ordinal
    second_attempt: Ordinal
    amount: Amount
    currency: Currency
    channel_txn: str
    refund_id: str


class PaymentAmountMismatched(Fact, about="payment/payment_id", key="group_no"):
    """The wrong sum, or the wrong currency, came. It is sent back, or held until an operator decides."""

    payment_id: str
    group_no: str
    buyer_id: str
    expected: Amount
    currency: Currency
    received: Amount
    received_currency: Currency
    channel_txn: str
    action: Literal["refund", "hold"]
    refund_id: str | None = None


class FundsHeld(Fact, about="escrow/order_no", key="group_no"):
    """An order's money is in escrow for its seller."""

    group_no: str
    order_no: str
    seller_id: str
    amount: Amount
    currency: Currency
    until: Literal["receipt", "cash_reconciled"] = "receipt"


class FundsReleased(Fact, about="escrow/order_no", key="group_no"):
    """An order's money left escrow for its seller: gross = commission + net + holdback."""

    group_no: str
    order_no: str
    seller_id: str
    gross: Amount
    commission: Amount
    net: Amount
    holdback: Amount
    currency: Currency


class RefundInitiated(Fact, about="refund/refund_id", key="group_no"):
    """A refund was taken up; the channel will be asked for it."""

    refund_id: str
    payment_id: str
    group_no: str
    amount: Amount
    currency: Currency
    channel: str
    cause: RefundCause = "requested"
    order_no: str | None = None


class RefundCompleted(Fact, about="refund/refund_id", key="group_no"):
    """The money went back. Order and case count it; without an order number it never was an order's money."""

    refund_id: str
    payment_id: str
    group_no: str
    buyer_id: str
    amount: Amount
    currency: Currency
    to: Literal["original", "wallet", "bank"]
    order_fully_refunded: bool
    cause: RefundCause = "requested"
    order_no: str | None = None
    seller_id: str | None = None
    case_id: str | None = None
    lines: tuple[RefundLine, ...] = ()
    freight_amount: Amount = 0


class RefundFailed(Fact, about="refund/refund_id", key="group_no"):
    """The money could not be sent back. It is tried again unless `final`: then support finds another way."""

    refund_id: str
    payment_id: str
    group_no: str
    buyer_id: str
    amount: Amount
    currency: Currency
    code: str
    attempts: Count
    final: bool
    next_retry_at: Moment | None = None
    cause: RefundCause = "requested"
    order_no: str | None = None
    case_id: str | None = None


class SellerPayoutRequested(Fact, about="payout/payout_id", key="seller_id"):
    """A shop wants its money: it has left the shop's balance and is on its way to the shop's bank account."""

    payout_id: str
    seller_id: str
    amount: Amount
    currency: Currency


class SellerPayoutCompleted(Fact, about="payout/payout_id", key="seller_id"):
    """The money was paid to the shop's bank account; `bank_ref` is what the bank calls it."""

    payout_id: str
    seller_id: str
    amount: Amount
    currency: Currency
    bank_ref: str


class SellerPayoutFailed(Fact, about="payout/payout_id", key="seller_id"):
    """The money could not be paid out and is in the shop's balance again; nobody tries it again unasked."""

    payout_id: str
    seller_id: str
    amount: Amount
    currency: Currency
    code: str


class CashReconciled(Fact, about="cash_statement/statement_id", key="carrier"):
    """A carrier's remittance was compared with the cash it collected: difference = remitted - expected."""

    statement_id: str
    carrier: str
    period: str
    expected: Amount
    remitted: Amount
    difference: int
    currency: Currency
    order_nos: tuple[str, ...] = ()
    """Whose cash has now arrived."""
