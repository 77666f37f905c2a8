"""What bodies look like. Money is minor units beside its ISO 4217 code; times are RFC 3339."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from services.payment.domain.model import RefundState
from shared.web.door import Schema, View

LARGEST = 10**12
CURRENCY = validate.Regexp(r"^[A-Z]{3}\Z", error="an ISO 4217 code such as CNY")
WORD = validate.Regexp(r"^[\x21-\x7e]{1,64}\Z", error="1 to 64 visible ASCII characters")

LINE = validate.Regexp(r"^[^\x00-\x1f\x7f]{1,120}\Z", error="1 to 120 characters in one line")


def money(**options: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(0, LARGEST), **options)


class Cursor(Schema):
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.Integer(load_default=None, validate=validate.Range(0, 2**62))


class RefundQuery(Schema):
    state = fields.String(
        load_default="NEEDS_OTHER_ROUTE",
        validate=validate.OneOf(RefundState.__args__)  # type: ignore[attr-defined]
    )  # fmt: skip
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default="", validate=validate.Length(max=64))


# --------------------------------------------------------------------------------------------------- paying
class Pay(Schema):
    """`expected_amount` is what the buyer was shown; `instrument` is the channel's first one unless named."""

    method = fields.String(required=True, validate=validate.OneOf(["online", "bank_transfer", "balance"]))
    channel = fields.String(required=True, validate=WORD, metadata={"examples": ["sandbox"]})
    expected_amount = money(required=True)
    instrument = fields.String(validate=WORD)


class DisplayView(View):
    kind = fields.String(metadata={"description": "redirect, qr, app, form or none"})
    value = fields.String(metadata={"description": "an address or the content of a QR code"})


class AttemptView(View):
    """`status`: opening (ask again), open, closing, paid, mismatched, failed or closed."""

    payment_id = fields.String(required=True)
    attempt_no = fields.Integer(required=True)
    status = fields.String(required=True)
    method = fields.String(required=True)
    channel = fields.String(required=True)
    instrument = fields.String(required=True)
    amount = fields.Integer(required=True)
    currency = fields.String(required=True)
    display = fields.Nested(DisplayView, allow_none=True, metadata={"description": "null until it is open"})
    expires_at = fields.AwareDateTime(required=True)
    code = fields.String(allow_none=True, metadata={"description": "why it failed"})


class SplitView(View):
    order_no = fields.String(required=True)
    payable = fields.Integer(required=True)
    captured = fields.Integer(required=True)
    refunding = fields.Integer(required=True)
    refunded = fields.Integer(required=True)
    due = fields.Boolean(required=True)


class PaymentView(View):
    """`payable` is what is still due now; an attempt asks for exactly that."""

    payment_id = fields.String(required=True)
    group_no = fields.String(required=True)
    status = fields.String(required=True)
    payable = fields.Integer(required=True)
    captured = fields.Integer(required=True)
    refunded = fields.Integer(required=True)
    currency = fields.String(required=True)
    methods = fields.List(fields.String(), required=True)
    pay_by = fields.AwareDateTime(allow_none=True)
    splits = fields.List(fields.Nested(SplitView), required=True)
    attempts = fields.List(fields.Nested(AttemptView), required=True)
    version = fields.Integer()


class PaymentsView(View):
    items = fields.List(fields.Nested(PaymentView), required=True)
    next = fields.String(allow_none=True)


class TakenView(View):
    status = fields.String(required=True, metadata={"description": "applied or duplicate"})


# --------------------------------------------------------------------------------------- escrow and balances
class EscrowView(View):
    """Where an order's money is. `reason` says what it waits for; sellers and operators also see their terms."""

    order_no = fields.String(required=True)
    currency = fields.String(required=True)
    captured = fields.Integer(required=True)
    held = fields.Integer(required=True, metadata={"description": "in escrow now, a holdback included"})
    held_back = fields.Integer(required=True, metadata={"description": "of it, until the order is completed"})
    released = fields.Integer(required=True, metadata={"description": "paid to the seller"})
    refunding = fields.Integer(required=True)
    refunded = fields.Integer(required=True)
    state = fields.String(required=True)
    reason = fields.String(required=True)
    release_at = fields.AwareDateTime(allow_none=True)
    released_at = fields.AwareDateTime(allow_none=True)
    commission = fields.Integer()
    commission_bp = fields.Integer(allow_none=True)
    holdback_bp = fields.Integer()


class BalanceLine(View):
    currency = fields.String(required=True)
    balance = fields.Integer(required=True, metadata={"description": "negative: owed to the platform"})
    in_escrow = fields.Integer(required=True)


class BalanceView(View):
    seller_id = fields.String(required=True)
    items = fields.List(fields.Nested(BalanceLine), required=True)


class EntryView(View):
    entry_id = fields.Integer(required=True)
    kind = fields.String(required=True)
    order_no = fields.String(allow_none=True)
    amount = fields.Integer(required=True)
    currency = fields.String(required=True)
    posted_at = fields.AwareDateTime(required=True)


class EntriesView(View):
    items = fields.List(fields.Nested(EntryView), required=True)
    next = fields.String(allow_none=True)


class AccountView(View):
    family = fields.String(required=True)
    currency = fields.String(required=True)
    balance = fields.Integer(required=True)
    entries = fields.Integer(required=True)


class TrialBalanceView(View):
    """Balances by family of accounts; `total` by currency and `unbalanced` (postings) are zero in good books."""

    accounts = fields.List(fields.Nested(AccountView), required=True)
    total = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    unbalanced = fields.Integer(required=True)


# -------------------------------------------------------------------------------------------------- refunds
class RefundLineView(View):
    line_id = fields.String(required=True)
    qty = fields.Integer(required=True)
    amount = fields.Integer(required=True)


class RefundView(View):
    refund_id = fields.String(required=True)
    payment_id = fields.String(required=True)
    order_no = fields.String(allow_none=True)
    case_id = fields.String(allow_none=True)
    amount = fields.Integer(required=True)
    currency = fields.String(required=True)
    cause = fields.String(required=True)
    reason = fields.String()
    state = fields.String(required=True)
    code = fields.String()
    attempts = fields.Integer(required=True)
    next_retry_at = fields.AwareDateTime(allow_none=True)
    to = fields.String(required=True)
    initiated_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(allow_none=True)
    lines = fields.List(fields.Nested(RefundLineView), required=True)
    freight_amount = fields.Integer(required=True)


class RefundsView(View):
    items = fields.List(fields.Nested(RefundView), required=True)
    next = fields.String(allow_none=True)


# -------------------------------------------------------------------------------------------------- payouts
class PayoutAccount(Schema):
    """The bank account a shop is paid to; kept sealed."""

    currency = fields.String(required=True, validate=CURRENCY, metadata={"examples": ["CNY"]})
    holder = fields.String(required=True, validate=LINE, metadata={"examples": ["Tea House Ltd"]})
    bank = fields.String(required=True, validate=LINE, metadata={"examples": ["Bank of Examples"]})
    number = fields.String(
        required=True, metadata={"examples": ["GB00EXAM00000000"]},
        validate=validate.Regexp(r"^[A-Z0-9]{8,34}\Z", error="8 to 34 capital letters and digits, such as an IBAN"),
    )  # fmt: skip


class PayoutAccountView(View):
    """Nobody is shown more of the account than lets its owner know it again."""

    seller_id = fields.String(required=True)
    currency = fields.String(required=True)
    holder = fields.String(required=True, metadata={"description": "the first letter"})
    bank = fields.String(required=True)
    ending = fields.String(required=True, metadata={"description": "the last four characters of its number"})


class AskPayout(Schema):
    """So much of the shop's balance."""

    amount = fields.Integer(
        strict=True, required=True, validate=validate.Range(1, LARGEST), metadata={"examples": [100]}
    )  # fmt: skip
    currency = fields.String(required=True, validate=CURRENCY, metadata={"examples": ["CNY"]})


class PayoutQuery(Schema):
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(max=64))


class PayoutView(View):
    """`state`: REQUESTED, COMPLETED, or FAILED with the money back in the balance."""

    payout_id = fields.String(required=True)
    seller_id = fields.String(required=True)
    amount = fields.Integer(required=True)
    currency = fields.String(required=True)
    state = fields.String(required=True)
    code = fields.String(allow_none=True, metadata={"description": "why it failed"})
    bank_ref = fields.String(allow_none=True, metadata={"description": "what the bank calls it"})
    requested_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(allow_none=True)


class PayoutsView(View):
    items = fields.List(fields.Nested(PayoutView), required=True)
    next = fields.String(allow_none=True)


class Settle(Schema):
    """How the money went back instead."""

    route = fields.String(required=True, validate=validate.OneOf(["bank"]))


# ----------------------------------------------------------------------------------------------------- cash
class Statement(Schema):
    """What a carrier remitted, and for which orders."""

    carrier = fields.String(required=True, validate=WORD)
    period = fields.String(required=True, validate=WORD)
    currency = fields.String(required=True, validate=CURRENCY, metadata={"examples": ["CNY"]})
    remitted = money(required=True)
    order_nos = fields.List(fields.String(validate=WORD), required=True, validate=validate.Length(1, 500))


class StatementView(View):
    statement_id = fields.String(required=True)
    carrier = fields.String(required=True)
    period = fields.String(required=True)
    expected = fields.Integer(required=True)
    remitted = fields.Integer(required=True)
    difference = fields.Integer(required=True)
    currency = fields.String(required=True)
    order_nos = fields.List(fields.String(), required=True)


# ----------------------------------------------------------------------------------------------------- risk
class RuleView(View):
    code = fields.String(required=True)
    weight = fields.Integer(required=True)
    says = fields.String(required=True)


class RiskView(View):
    order_no = fields.String(required=True)
    group_no = fields.String(required=True)
    buyer_id = fields.String(required=True)
    score = fields.Integer(required=True)
    decision = fields.String(required=True)
    rules_hit = fields.List(fields.Nested(RuleView), required=True)
    model_version = fields.String(required=True)
    assessed_at = fields.AwareDateTime(required=True)
