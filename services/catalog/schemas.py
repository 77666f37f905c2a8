"""What bodies look like."""

from __future__ import annotations

import unicodedata
from typing import Any, get_args

import marshmallow as ma
from marshmallow import fields, validate

from services.catalog.domain.category import Kind
from services.catalog.domain.product import Decision, State
from shared.contracts.catalog import ReturnTerms
from shared.web.door import Schema, View

_LOCALE = validate.Regexp(r"^[a-z]{2}(-[A-Z]{2})?\Z", error="a locale such as zh-CN or en")
_CODE = validate.Regexp(r"^[a-z][a-z0-9_-]{0,31}\Z", error="a lower-case code such as screen_size")
MAX_PRICE = 10**10


class Line(fields.String):
    """Text of one line: trimmed, not empty, no control characters."""

    default_error_messages = {"control": "No control characters.", "empty": "Not empty."}
    spaces = ""

    def __init__(self, longest: int, **options: Any) -> None:
        super().__init__(validate=validate.Length(max=longest), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **more)).strip()
        if not text:
            raise self.make_error("empty")
        if any(unicodedata.category(letter) == "Cc" and letter not in self.spaces for letter in text):
            raise self.make_error("control")
        return text


class Prose(Line):
    """Text that may have several lines."""

    spaces = "\n\t"


def by_locale(text: fields.Field[Any], *, least: int = 1, **options: Any) -> fields.Dict:
    """``{"zh-CN": …, "en": …}``."""
    keys = fields.String(validate=_LOCALE)
    return fields.Dict(keys=keys, values=text, validate=validate.Length(least, 10), **options)


def _sku() -> fields.String:
    code = validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z", error="letters, digits, . _ -; at most 40")
    return fields.String(required=True, validate=code)


def _price(**options: Any) -> fields.Integer:
    return fields.Integer(strict=True, required=True, validate=validate.Range(0, MAX_PRICE), **options)


def _attributes(**options: Any) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(validate=_CODE), values=fields.Raw(allow_none=False), validate=validate.Length(max=50),
        **options,
    )  # fmt: skip


class Page(Schema):
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(max=200))


# --------------------------------------------------------------------------------------------- categories
class AttributeBody(Schema):
    """`varies`: the variants of a product differ in it. `choices`: allowed values with their names by locale."""

    code = fields.String(required=True, validate=_CODE)
    names = by_locale(Line(60), required=True)
    kind = fields.String(load_default="text", validate=validate.OneOf(get_args(Kind)))
    choices = fields.Dict(
        keys=fields.String(validate=_CODE), values=by_locale(Line(60)), validate=validate.Length(max=200)
    )
    required = fields.Boolean(load_default=False)
    varies = fields.Boolean(load_default=False)
    unit = fields.String(load_default="", validate=validate.Length(max=16))

    @ma.validates_schema
    def choices_belong_to_choice(self, given: dict[str, Any], **_: Any) -> None:
        if (given.get("kind") == "choice") != bool(given.get("choices")):
            raise ma.ValidationError("Given for kind choice, and only then.", "choices")


def _attribute_list() -> fields.List[Any]:
    return fields.List(fields.Nested(AttributeBody), validate=validate.Length(max=50))


class AddCategory(Schema):
    category_id = fields.String(required=True, validate=_CODE)
    parent_id = fields.String(load_default=None, allow_none=True, validate=_CODE)
    names = by_locale(Line(60), required=True)
    attributes = _attribute_list()
    position = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, 10_000))


class ChangeCategory(Schema):
    names = by_locale(Line(60))
    attributes = _attribute_list()
    position = fields.Integer(strict=True, validate=validate.Range(0, 10_000))


class AttributeView(View):
    code = fields.String()
    names = fields.Dict()
    kind = fields.String()
    choices = fields.Dict()
    required = fields.Boolean()
    varies = fields.Boolean()
    unit = fields.String()


class CategoryView(View):
    """`attributes` are its own; `all_attributes` those of all above it too."""

    category_id = fields.String(required=True)
    parent_id = fields.String(required=True, allow_none=True)
    path = fields.String(required=True)
    names = fields.Dict(required=True)
    position = fields.Integer()
    attributes = fields.List(fields.Nested(AttributeView))
    all_attributes = fields.List(fields.Nested(AttributeView))
    version = fields.Integer()


class CategoryList(View):
    items = fields.List(fields.Nested(CategoryView), required=True)


# ----------------------------------------------------------------------------------------------- products
class VariantBody(Schema):
    """A SKU. `price` in minor units of the shop's currency."""

    sku = _sku()
    price = _price()
    attributes = _attributes(load_default=dict)
    weight_g = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, 10_000_000))


class _ProductFields(Schema):
    descriptions = by_locale(Prose(10_000), least=0)
    attributes = _attributes()
    variants = fields.List(fields.Nested(VariantBody), validate=validate.Length(max=100))
    tax_class = fields.String(validate=_CODE)
    return_terms = fields.String(validate=validate.OneOf(get_args(ReturnTerms)))


class DraftProduct(_ProductFields):
    category = fields.String(required=True, validate=_CODE)
    titles = by_locale(Line(120), required=True)


class ChangeProduct(_ProductFields):
    category = fields.String(validate=_CODE)
    titles = by_locale(Line(120))


class NewPrice(Schema):
    sku = _sku()
    price = fields.Integer(strict=True, required=True, validate=validate.Range(1, MAX_PRICE))


class SetPrices(Schema):
    prices = fields.List(fields.Nested(NewPrice), required=True, validate=validate.Length(1, 100))


class ReviewProduct(Schema):
    decision = fields.String(required=True, validate=validate.OneOf(get_args(Decision)))
    reasons = fields.List(Line(200), load_default=list, validate=validate.Length(max=20))

    @ma.validates_schema
    def a_refusal_has_reasons(self, given: dict[str, Any], **_: Any) -> None:
        if given.get("decision") != "approved" and not given.get("reasons"):
            raise ma.ValidationError("A refusal says why.", "reasons")


class BrowseQuery(Page):
    """`attributes`: ``colour:red|blue,size:l`` (any of these colours and this size). Prices in minor units."""

    category = fields.String(validate=_CODE)
    seller_id = fields.String(validate=validate.Length(1, 64))
    attributes = fields.String(validate=validate.Length(max=400))
    price_from = fields.Integer(validate=validate.Range(0, MAX_PRICE))
    price_to = fields.Integer(validate=validate.Range(0, MAX_PRICE))


class ProductQuery(BrowseQuery):
    sort = fields.String(load_default="newest", validate=validate.OneOf(["newest", "price_asc", "price_desc"]))
    state = fields.String(validate=validate.OneOf(get_args(State)))


class SearchQuery(BrowseQuery):
    q = fields.String(required=True, validate=validate.Length(1, 200))


class RatingView(View):
    count = fields.Integer(required=True)
    average = fields.Float(required=True, allow_none=True)


class SummaryView(View):
    """A product in a list."""

    product_id = fields.String(required=True)
    seller_id = fields.String(required=True)
    shop_name = fields.String()
    titles = fields.Dict(required=True)
    category = fields.String(required=True)
    currency = fields.String(required=True)
    price_from = fields.Integer(required=True)
    price_to = fields.Integer(required=True)
    sold_out = fields.Boolean(required=True)
    rating = fields.Nested(RatingView, required=True)
    listed_at = fields.AwareDateTime(format="iso", allow_none=True)
    state = fields.String(required=True)


class SummaryList(View):
    items = fields.List(fields.Nested(SummaryView), required=True)
    next = fields.String(allow_none=True)


class VariantView(View):
    sku = fields.String(required=True)
    price = fields.Integer(required=True)
    attributes = fields.Dict()
    weight_g = fields.Integer()
    sold_out = fields.Boolean()


class ProductView(SummaryView):
    """The whole product; its seller and operators also see its state's story."""

    descriptions = fields.Dict()
    attributes = fields.Dict()
    variants = fields.List(fields.Nested(VariantView), required=True)
    tax_class = fields.String()
    return_terms = fields.String()
    created_at = fields.AwareDateTime(format="iso")
    hints = fields.List(fields.String())
    reasons = fields.List(fields.String())
    delisted_because = fields.String(allow_none=True)
    version = fields.Integer()


class ChecklistItem(View):
    code = fields.String(required=True)
    ok = fields.Boolean(required=True)
    lacking = fields.List(fields.String(), required=True)


class ChecklistView(View):
    ready_for_review = fields.Boolean(required=True)
    ready_for_sale = fields.Boolean(required=True)
    items = fields.List(fields.Nested(ChecklistItem), required=True)


# ------------------------------------------------------------------------------------------------ reviews
class PostReview(Schema):
    order_no = fields.String(required=True, validate=validate.Length(1, 40))
    line_id = fields.String(required=True, validate=validate.Length(1, 40))
    stars = fields.Integer(strict=True, required=True, validate=validate.Range(1, 5))
    text = Prose(2_000, load_default="")


class ReviewView(View):
    review_id = fields.String(required=True)
    product_id = fields.String(required=True)
    sku = fields.String(required=True)
    stars = fields.Integer(required=True)
    text = fields.String(required=True)
    posted_at = fields.AwareDateTime(format="iso", required=True)


class ReviewList(View):
    items = fields.List(fields.Nested(ReviewView), required=True)
    next = fields.String(allow_none=True)
    rating = fields.Nested(RatingView, required=True)


class PurchaseView(View):
    order_no = fields.String(required=True)
    line_id = fields.String(required=True)
    product_id = fields.String(required=True)
    sku = fields.String(required=True)
    review_until = fields.AwareDateTime(format="iso", required=True)


class PurchaseList(View):
    items = fields.List(fields.Nested(PurchaseView), required=True)
