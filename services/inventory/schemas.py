"""What bodies, queries and answers look like."""

from __future__ import annotations

from typing import Any, get_args

from marshmallow import fields, validate

from services.inventory.domain.returned import State
from services.inventory.domain.stock import MOST_ON_HAND
from services.inventory.domain.transfer import TransferState
from shared.contracts.inventory import Disposition
from shared.web.door import Schema, View

MOST_LINES = 200
MOST_AT_ONCE = 1_000_000


def _sku() -> fields.String:
    return fields.String(required=True, validate=validate.Length(1, 64))


def _units(least: int, most: int = MOST_AT_ONCE, **options: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(least, most), **options)


class _Lines(Schema):
    warehouse_id = fields.String(required=True, validate=validate.Length(1, 36))
    reference = fields.String(
        load_default="",
        validate=validate.Length(max=64),
        metadata={"description": "The number of your delivery note or counting sheet. No personal data."},
    )


class OpenWarehouse(Schema):
    title = fields.String(required=True, validate=[validate.Length(1, 120), validate.Regexp(r"\S")])
    region = fields.String(
        required=True,
        validate=validate.Regexp(r"^[A-Z]{2}(-[A-Z0-9]{1,8})?\Z"),
        metadata={"description": "ISO 3166: a country or a part of it, such as CN-ZJ.", "examples": ["CN-ZJ"]},
    )


class ReceivedLine(Schema):
    sku = _sku()
    qty = _units(1, required=True)


class ReceiveStock(_Lines):
    lines = fields.List(fields.Nested(ReceivedLine), required=True, validate=validate.Length(1, MOST_LINES))


class AdjustedLine(Schema):
    sku = _sku()
    delta = fields.Integer(
        strict=True,
        required=True,
        validate=[validate.Range(-MOST_AT_ONCE, MOST_AT_ONCE), validate.NoneOf([0])],
    )


class AdjustStock(_Lines):
    reason = fields.String(required=True, validate=validate.OneOf(["damage", "manual"]))
    lines = fields.List(fields.Nested(AdjustedLine), required=True, validate=validate.Length(1, MOST_LINES))


class CountedLine(Schema):
    sku = _sku()
    counted = _units(0, MOST_ON_HAND, required=True)
    expected = _units(
        0,
        MOST_ON_HAND,
        metadata={"description": "What `on_hand` said when it was counted: if it has moved since, 409."},
    )


class CountStock(_Lines):
    lines = fields.List(fields.Nested(CountedLine), required=True, validate=validate.Length(1, MOST_LINES))


class StockTerms(Schema):
    low_threshold = _units(0, required=True, metadata={"description": "StockLow is said below it; 0: never."})
    backorder_limit = _units(
        0, required=True, metadata={"description": "Units that may be sold before they are here; 0: none."}
    )


class InspectedUnits(Schema):
    line_id = fields.String(required=True, validate=validate.Length(1, 64))
    qty_accepted = _units(0, load_default=0)
    qty_rejected = _units(
        0, load_default=0, metadata={"description": "Not what was sent, or not intact; never put back on sale."}
    )
    disposition = fields.String(
        required=True,
        validate=validate.OneOf(get_args(Disposition)),
        metadata={"description": "What becomes of the accepted units; only `resellable` ones are stock again."},
    )


class InspectReturn(Schema):
    """Every unit that came back, accepted or rejected; a line whose units fare differently is named several times."""

    lines = fields.List(fields.Nested(InspectedUnits), required=True, validate=validate.Length(1, MOST_LINES))


class SendTransfer(Schema):
    from_warehouse_id = fields.String(required=True, validate=validate.Length(1, 36))
    to_warehouse_id = fields.String(required=True, validate=validate.Length(1, 36))
    lines = fields.List(fields.Nested(ReceivedLine), required=True, validate=validate.Length(1, MOST_LINES))


class ArrivedLine(Schema):
    sku = _sku()
    received = _units(0, required=True)


class ReceiveTransfer(Schema):
    """Every line of the transfer, each once; what was sent and is not received is missing."""

    lines = fields.List(fields.Nested(ArrivedLine), required=True, validate=validate.Length(1, MOST_LINES))


class WarehouseView(View):
    warehouse_id = fields.String()
    seller_id = fields.String()
    title = fields.String()
    region = fields.String()
    opened_at = fields.AwareDateTime()


class WarehousePage(View):
    items = fields.List(fields.Nested(WarehouseView))
    next = fields.String(allow_none=True)


class StockView(View):
    """A SKU in one warehouse. `available` is what a new order may take; it never goes below zero."""

    sku = fields.String()
    warehouse_id = fields.String()
    seller_id = fields.String()
    on_hand = fields.Integer()
    held = fields.Integer()
    allocated = fields.Integer()
    backordered = fields.Integer()
    available = fields.Integer()
    low_threshold = fields.Integer()
    backorder_limit = fields.Integer()
    low = fields.Boolean()


class StockLines(View):
    warehouse_id = fields.String()
    lines = fields.List(fields.Nested(StockView))


class StockPage(View):
    items = fields.List(fields.Nested(StockView))
    next = fields.String(allow_none=True)


class SkuStockView(View):
    """A SKU in all warehouses."""

    sku = fields.String()
    seller_id = fields.String()
    product_id = fields.String()
    title = fields.String()
    listed = fields.Boolean()
    on_hand = fields.Integer()
    held = fields.Integer()
    allocated = fields.Integer()
    backordered = fields.Integer()
    available = fields.Integer()
    warehouses = fields.List(fields.Nested(StockView))


class MovementView(View):
    """A line of the ledger: what it added to each number, and because of what."""

    no = fields.Integer()
    at = fields.AwareDateTime()
    kind = fields.String()
    warehouse_id = fields.String()
    on_hand = fields.Integer()
    held = fields.Integer()
    allocated = fields.Integer()
    backordered = fields.Integer()
    reservation_id = fields.String()
    shipment_id = fields.String()
    reason = fields.String()
    reference = fields.String()
    by = fields.String()
    cause = fields.String()


class MovementPage(View):
    items = fields.List(fields.Nested(MovementView))
    next = fields.String(allow_none=True)


class PartView(View):
    line_id = fields.String()
    sku = fields.String()
    warehouse_id = fields.String()
    held = fields.Integer()
    allocated = fields.Integer()
    backordered = fields.Integer()
    shipped = fields.Integer()


class ReservationView(View):
    """What is promised to an order, line by line and warehouse by warehouse."""

    reservation_id = fields.String()
    group_no = fields.String()
    order_no = fields.String()
    seller_id = fields.String()
    purpose = fields.String()
    state = fields.String()
    expires_at = fields.AwareDateTime(allow_none=True)
    parts = fields.List(fields.Nested(PartView))


class ReturnedLineView(View):
    line_id = fields.String()
    sku = fields.String()
    qty = fields.Integer()


class InspectedLineView(View):
    line_id = fields.String()
    sku = fields.String()
    qty_accepted = fields.Integer()
    qty_rejected = fields.Integer()
    disposition = fields.String()


class ReturnView(View):
    """A parcel that came back, and what was found in it once it was inspected."""

    shipment_id = fields.String()
    group_no = fields.String()
    order_no = fields.String()
    seller_id = fields.String()
    warehouse_id = fields.String()
    reason = fields.String()
    state = fields.String()
    received_at = fields.AwareDateTime()
    inspected_at = fields.AwareDateTime(allow_none=True)
    lines = fields.List(fields.Nested(ReturnedLineView))
    findings = fields.List(fields.Nested(InspectedLineView))


class ReturnPage(View):
    items = fields.List(fields.Nested(ReturnView))
    next = fields.String(allow_none=True)


class TransferLineView(View):
    """`received` is null, and nothing is `missing`, while the goods are on their way."""

    sku = fields.String()
    qty = fields.Integer()
    received = fields.Integer(allow_none=True)
    missing = fields.Integer()


class TransferView(View):
    """Goods on their way from one warehouse to another, counted in neither until they are received."""

    transfer_id = fields.String()
    seller_id = fields.String()
    from_warehouse_id = fields.String()
    to_warehouse_id = fields.String()
    state = fields.String()
    sent_at = fields.AwareDateTime()
    received_at = fields.AwareDateTime(allow_none=True)
    lines = fields.List(fields.Nested(TransferLineView))


class TransferPage(View):
    items = fields.List(fields.Nested(TransferView))
    next = fields.String(allow_none=True)


class PageQuery(Schema):
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 128))


class WarehouseQuery(PageQuery):
    seller_id = fields.String(metadata={"description": "Operators only; a seller sees their own."})


class StockQuery(WarehouseQuery):
    warehouse_id = fields.String()
    product_id = fields.String()
    low = fields.Boolean(metadata={"description": "Only what is below its threshold, or only what is not."})


class ReturnQuery(WarehouseQuery):
    state = fields.String(validate=validate.OneOf(get_args(State)))


class TransferQuery(WarehouseQuery):
    state = fields.String(validate=validate.OneOf(get_args(TransferState)))


class MovementQuery(Schema):
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 100))
    cursor = fields.Integer(load_default=None, validate=validate.Range(1, 2**63 - 1))
    warehouse_id = fields.String()
