"""What bodies look like."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from services.order.domain import policy
from services.order.domain.states import State
from shared.web.door import Schema, View

PHONE = validate.Regexp(r"^\+?[0-9 ()-]{5,24}\Z")
REGION = validate.Regexp(r"^[A-Z]{2}(-[A-Z0-9]{1,3})?\Z")
WORD = validate.Regexp(r"^[a-z_]{1,40}\Z")


def money(**options: Any) -> fields.Integer:
    """An amount in minor units of the currency beside it."""
    return fields.Integer(strict=True, metadata={"description": "Minor units of the currency"}, **options)


class Address(Schema):
    """Where the goods go. `region`: ISO 3166-1 country or 3166-2 subdivision, e.g. CN-ZJ."""

    name = fields.String(required=True, validate=validate.Length(1, 80))
    phone = fields.String(required=True, validate=PHONE, metadata={"examples": ["+8613812345678"]})
    region = fields.String(required=True, validate=REGION, metadata={"examples": ["CN-ZJ"]})
    city = fields.String(required=True, validate=validate.Length(1, 80))
    district = fields.String(load_default="", validate=validate.Length(max=80))
    lines = fields.List(
        fields.String(validate=validate.Length(1, 200)), required=True, validate=validate.Length(min=1, max=4)
    )
    postcode = fields.String(load_default="", validate=validate.Length(max=16))


class WantedLine(Schema):
    sku = fields.String(required=True, validate=validate.Length(1, 64))
    qty = fields.Integer(required=True, strict=True, validate=validate.Range(1, policy.MAX_QTY))


class AskQuote(Schema):
    """What somebody would like to buy, and where to."""

    lines = fields.List(fields.Nested(WantedLine), required=True, validate=validate.Length(min=1, max=policy.MAX_LINES))
    delivery = fields.Nested(Address, required=True)
    payment_method = fields.String(load_default="online", validate=validate.OneOf(["online", "cod", "bank_transfer"]))
    stock_policy = fields.String(
        load_default="all_or_nothing", validate=validate.OneOf(["all_or_nothing", "ship_available"])
    )
    channel = fields.String(load_default="web", validate=validate.Length(1, 32))


class PlaceOrder(Schema):
    """A quote's token, and (to be sure) the total the buyer saw."""

    quote_token = fields.String(required=True, validate=validate.Length(1, 200))
    expected_amount = money(validate=validate.Range(min=0))


class Reason(Schema):
    reason = fields.String(load_default="unspecified", validate=WORD)


class AdjustPrice(Schema):
    """What the order shall cost in all, freight included: at most what was placed."""

    payable = money(required=True, validate=validate.Range(min=0))
    reason = fields.String(load_default="unspecified", validate=WORD)


class ChangeAddress(Schema):
    """Where the order shall go instead."""

    delivery = fields.Nested(Address, required=True)


class Nothing(Schema):
    """No body is needed."""


class QuotedLineView(View):
    line_id = fields.String(required=True)
    sku = fields.String(required=True)
    product_id = fields.String(required=True)
    title = fields.String(required=True)
    qty = fields.Integer(required=True)
    unit_price = money(required=True)
    discount = money(required=True)
    amount = money(required=True)


class LineView(QuotedLineView):
    shipped = fields.Integer()
    delivered = fields.Integer()
    cancelled = fields.Integer()
    refunded = fields.Integer()
    reviewed = fields.Boolean()


class QuotedOrderView(View):
    seller_id = fields.String(required=True)
    shop_name = fields.String(required=True)
    lines = fields.List(fields.Nested(QuotedLineView), required=True)
    goods_amount = money(required=True)
    discount = money(required=True)
    freight = money(required=True)
    payable = money(required=True)
    days_min = fields.Integer()
    days_max = fields.Integer()
    return_terms = fields.Dict(keys=fields.String(), values=fields.String())


class QuoteView(View):
    quote_token = fields.String(required=True)
    expires_at = fields.DateTime(required=True)
    currency = fields.String(required=True)
    payable = money(required=True)
    payment_method = fields.String(required=True)
    stock_policy = fields.String(required=True)
    orders = fields.List(fields.Nested(QuotedOrderView), required=True)


class ActionView(View):
    action = fields.String(required=True)
    who = fields.String(required=True)
    method = fields.String(required=True)
    href = fields.String(required=True)
    until = fields.DateTime(allow_none=True)


class BlockedView(View):
    code = fields.String(required=True)
    waiting_for = fields.List(fields.String(), required=True)
    since = fields.DateTime(required=True)


class ParcelView(View):
    shipment_id = fields.String(required=True)
    state = fields.String(required=True)
    lines = fields.Dict(keys=fields.String(), values=fields.Integer())


class OrderView(View):
    """One order: its state, the axes beside it, what may be done next and what it waits for."""

    order_no = fields.String(required=True)
    group_no = fields.String(required=True)
    seller_id = fields.String(required=True)
    buyer_id = fields.String(required=True)
    state = fields.String(required=True)
    end_reason = fields.String(required=True)
    payment_status = fields.String(required=True)
    fulfilment_status = fields.String(required=True)
    after_sale_status = fields.String(required=True)
    currency = fields.String(required=True)
    goods_amount = money(required=True)
    discount = money(required=True)
    freight = money(required=True)
    payable = money(required=True)
    paid_amount = money(required=True)
    refunded_amount = money(required=True)
    payment_method = fields.String(required=True)
    region = fields.String(required=True)
    placed_at = fields.DateTime(required=True)
    lines = fields.List(fields.Nested(LineView), required=True)
    shipments = fields.List(fields.Nested(ParcelView), required=True)
    deadlines = fields.Dict(keys=fields.String(), values=fields.DateTime(), required=True)
    next_actions = fields.List(fields.Nested(ActionView), required=True)
    blocked_because = fields.Nested(BlockedView, allow_none=True, required=True)
    version = fields.Integer(required=True)


class GroupView(View):
    """One checkout: what it costs in all, until when to pay, and its orders."""

    group_no = fields.String(required=True)
    buyer_id = fields.String(required=True)
    state = fields.String(required=True)
    currency = fields.String(required=True)
    payable = money(required=True)
    payment_method = fields.String(required=True)
    pay_by = fields.DateTime(allow_none=True)
    orders = fields.List(fields.Nested(OrderView), required=True)


class OrderRow(View):
    order_no = fields.String(required=True)
    group_no = fields.String(required=True)
    seller_id = fields.String(required=True)
    state = fields.String(required=True)
    placed_at = fields.DateTime(required=True)


class OrderList(View):
    items = fields.List(fields.Nested(OrderRow), required=True)
    next = fields.String(allow_none=True, required=True)


class ListQuery(Schema):
    state = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=24))
    after = fields.String(load_default="", validate=validate.Length(max=64))
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


def _states(text: str) -> None:
    """A state that there is not would be waited for in vain."""
    unknown = {one.strip() for one in text.split(",")} - {state.value for state in State} - {""}
    if unknown:
        raise ValidationError(f"states are {', '.join(state.value for state in State)}")


class WaitQuery(Schema):
    """Hold the answer until the order is in one of these states (comma separated), or `timeout` seconds went by."""

    wait_for = fields.String(load_default="", validate=[validate.Length(max=200), _states])
    timeout = fields.Float(load_default=20.0, validate=validate.Range(0, 30))


class TimelineEntry(View):
    no = fields.Integer(required=True)
    at = fields.DateTime(required=True)
    what = fields.String(required=True)
    state = fields.String(required=True)
    expected = fields.Boolean(required=True)
    caused_by = fields.String(required=True)


class TimelineView(View):
    """What the order heard of, in order, and the deadlines that are still to come."""

    order_no = fields.String(required=True)
    entries = fields.List(fields.Nested(TimelineEntry), required=True)
    pending = fields.Dict(keys=fields.String(), values=fields.DateTime(), required=True)
