"""What shipping's bodies look like. Weights in grams, sizes in millimetres, money in minor units."""

from __future__ import annotations

from typing import get_args

from marshmallow import fields, validate

from services.shipping.domain.shipment import State
from shared.web.door import Schema, View

_MOST = 10**9
_money = validate.Range(0, _MOST)


class FreightRuleBody(Schema):
    region_prefix = fields.String(
        required=True,
        validate=validate.Regexp(r"^(\*|[A-Z]{2}(-[A-Z0-9]{1,6}){0,3})\Z", error="'*' or e.g. 'CN-ZJ'"),
        metadata={"examples": ["CN-ZJ"]},
    )
    first_weight_g = fields.Integer(strict=True, required=True, validate=validate.Range(1, 1_000_000))
    first_fee = fields.Integer(strict=True, required=True, validate=_money)
    step_weight_g = fields.Integer(strict=True, required=True, validate=validate.Range(1, 1_000_000))
    step_fee = fields.Integer(strict=True, required=True, validate=_money)
    days_min = fields.Integer(strict=True, required=True, validate=validate.Range(0, 365))
    days_max = fields.Integer(strict=True, required=True, validate=validate.Range(0, 365))


class FreightTemplateBody(Schema):
    currency = fields.String(load_default="CNY", validate=validate.Regexp(r"^[A-Z]{3}\Z"))
    rules = fields.List(fields.Nested(FreightRuleBody), required=True, validate=validate.Length(1, 500))
    free_over = fields.Integer(strict=True, load_default=None, allow_none=True, validate=_money)


class FreightRuleView(View):
    region_prefix = fields.String()
    first_weight_g = fields.Integer()
    first_fee = fields.Integer()
    step_weight_g = fields.Integer()
    step_fee = fields.Integer()
    days_min = fields.Integer()
    days_max = fields.Integer()


class FreightTemplateView(View):
    seller_id = fields.String()
    currency = fields.String()
    rules = fields.List(fields.Nested(FreightRuleView))
    free_over = fields.Integer(allow_none=True)
    version = fields.Integer()


class OfSeller(Schema):
    seller_id = fields.String(validate=validate.Length(1, 64))


class ShipmentsQuery(Schema):
    state = fields.String(validate=validate.OneOf(get_args(State)))
    order_no = fields.String(validate=validate.Length(1, 64))
    attention = fields.Boolean()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(validate=validate.Length(1, 64))


class ParcelBody(Schema):
    weight_g = fields.Integer(strict=True, required=True, validate=validate.Range(1, 70_000))
    length_mm = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, 10_000))
    width_mm = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, 10_000))
    height_mm = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, 10_000))


class PackBody(Schema):
    parcels = fields.List(fields.Nested(ParcelBody), required=True, validate=validate.Length(1, 50))
    service = fields.String(load_default=None, validate=validate.OneOf(["economy", "standard", "express"]))


class BatchOneBody(Schema):
    shipment_id = fields.String(required=True, validate=validate.Length(1, 64))
    parcels = fields.List(fields.Nested(ParcelBody), load_default=None, validate=validate.Length(1, 50))
    service = fields.String(load_default=None, validate=validate.OneOf(["economy", "standard", "express"]))


class BatchBody(Schema):
    deed = fields.String(required=True, validate=validate.OneOf(["pick", "pack", "hand-over"]))
    shipments = fields.List(fields.Nested(BatchOneBody), required=True, validate=validate.Length(1, 100))


class LineView(View):
    line_id = fields.String()
    sku = fields.String()
    qty = fields.Integer()


class ScanView(View):
    sequence = fields.Integer()
    status = fields.String()
    location = fields.String()
    at = fields.AwareDateTime()


class ParcelView(View):
    weight_g = fields.Integer()
    length_mm = fields.Integer()
    width_mm = fields.Integer()
    height_mm = fields.Integer()


class BookingView(View):
    status = fields.String()
    label_ref = fields.String()
    code = fields.String()


class ShipmentView(View):
    shipment_id = fields.String()
    group_no = fields.String()
    order_no = fields.String()
    seller_id = fields.String()
    kind = fields.String()
    index = fields.Integer()
    of = fields.Integer()
    state = fields.String()
    lines = fields.List(fields.Nested(LineView))
    carrier = fields.String()
    service = fields.String()
    ship_by = fields.AwareDateTime()
    overdue = fields.Boolean()
    cod_amount = fields.Integer()
    currency = fields.String()
    tracking_no = fields.String(allow_none=True)
    tracking_status = fields.String(allow_none=True)
    shipped_at = fields.AwareDateTime(allow_none=True)
    eta = fields.AwareDateTime(allow_none=True)
    delivered_at = fields.AwareDateTime(allow_none=True)
    scans = fields.List(fields.Nested(ScanView))
    warehouse_id = fields.String()
    parcels = fields.List(fields.Nested(ParcelView))
    booking = fields.Nested(BookingView, allow_none=True)
    attention = fields.String(allow_none=True)
    possible = fields.List(fields.String())
    delivery = fields.Dict(allow_none=True)
    version = fields.Integer()


class ShipmentPage(View):
    items = fields.List(fields.Nested(ShipmentView))
    next = fields.String(allow_none=True)


class BatchOneView(View):
    shipment_id = fields.String()
    state = fields.String(allow_none=True)
    tracking_no = fields.String(allow_none=True)
    code = fields.String(allow_none=True)
    detail = fields.String(allow_none=True)


class BatchView(View):
    items = fields.List(fields.Nested(BatchOneView))


class Taken(View):
    status = fields.String()
