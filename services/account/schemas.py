"""What bodies look like."""

from __future__ import annotations

import unicodedata
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from services.account import passwords
from services.account.domain.people import normal_email
from services.account.domain.shops import PLANS
from shared.web.door import Schema, View

A_PASSWORD = "three unusual words"  # noqa: S105  (an example in the documents)
LOCALES = validate.OneOf(["zh-CN", "en"])
COUNTRY = validate.Regexp(r"^[A-Z]{2}\Z", error="an ISO 3166-1 code such as CN")
CURRENCY = validate.Regexp(r"^[A-Z]{3}\Z", error="an ISO 4217 code such as CNY")


class Line(fields.String):
    """Text of one line: trimmed, not empty, no control characters."""

    default_error_messages = {"control": "No control characters.", "empty": "Not empty."}

    def __init__(self, longest: int, **options: Any) -> None:
        super().__init__(validate=validate.Length(max=longest), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **more)).strip()
        if not text:
            raise self.make_error("empty")
        if any(unicodedata.category(letter) == "Cc" and letter not in self.spaces for letter in text):
            raise self.make_error("control")
        return text

    spaces = ""


class Prose(Line):
    """Text that may have several lines."""

    spaces = "\n\t"


class Page(Schema):
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(max=64))


# ------------------------------------------------------------------------------------------------- people
class Register(Schema):
    """`phone` may be national; `country` says which nation's (CN unless told)."""

    email = fields.String(
        required=True, validate=validate.Length(max=254), metadata={"examples": ["li.lei@example.com"]}
    )
    password = fields.String(
        required=True, validate=validate.Length(max=1024), load_only=True, metadata={"examples": [A_PASSWORD]}
    )
    full_name = Line(100, data_key="name", required=True)
    locale = fields.String(load_default="zh-CN", validate=LOCALES)
    phone = Line(32)
    country = fields.String(load_default="CN", validate=COUNTRY)
    consents = fields.List(Line(64), validate=validate.Length(max=20))

    @ma.post_load
    def hash_password(self, given: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Here, because no transaction is open yet: hashing is slow. Raises EmailInvalid, WeakPassword."""
        given["email"] = normal_email(given["email"])
        given["password_hash"] = passwords.hashed(given.pop("password"), given["email"])
        return given


class AccountView(View):
    """Nothing personal: this answer may be stored for a retry."""

    account_id = fields.String(required=True)
    roles = fields.List(fields.String(), required=True)
    locale = fields.String(required=True)
    version = fields.Integer(required=True)


class ChangeMe(Schema):
    full_name = Line(100, data_key="name")
    locale = fields.String(validate=LOCALES)
    phone = Line(32, allow_none=True)
    country = fields.String(validate=COUNTRY)
    consents = fields.List(Line(64), validate=validate.Length(max=20))


class MeView(AccountView):
    name = fields.String(required=True)
    email = fields.String(required=True)
    phone = fields.String(required=True, allow_none=True)
    consents = fields.List(fields.String())
    seller_id = fields.String(allow_none=True)
    shop_state = fields.String(allow_none=True)
    created_at = fields.AwareDateTime(format="iso")


class ChangePassword(Schema):
    present = fields.String(required=True, validate=validate.Length(1, 1024), load_only=True)
    new = fields.String(
        required=True, validate=validate.Length(1, 1024), load_only=True, metadata={"examples": [A_PASSWORD]}
    )

    @ma.post_load
    def hash_password(self, given: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Raises WeakPassword."""
        given["new_hash"] = passwords.hashed(given.pop("new"))
        return given


class Address(Schema):
    """`region` is ISO 3166-2, e.g. CN-ZJ; `lines` hold street, building and room."""

    name = Line(100, required=True)
    phone = Line(32, required=True, metadata={"examples": ["+8613812345678"]})
    country = fields.String(required=True, validate=COUNTRY, metadata={"examples": ["CN"]})
    region = fields.String(required=True, validate=validate.Length(2, 6), metadata={"examples": ["CN-ZJ"]})
    city = Line(100, required=True)
    district = Line(100, load_default=None, allow_none=True)
    lines = fields.List(Line(200), required=True, validate=validate.Length(1, 4))
    postcode = Line(16, load_default=None, allow_none=True)
    is_default = fields.Boolean(load_default=False, data_key="default")


class AddressRef(View):
    """Nothing personal: this answer may be stored for a retry."""

    address_id = fields.String(required=True)
    is_default = fields.Boolean(required=True, data_key="default")
    version = fields.Integer(required=True)


class AddressView(AddressRef):
    name = fields.String()
    phone = fields.String()
    country = fields.String()
    region = fields.String()
    city = fields.String()
    district = fields.String(allow_none=True)
    lines = fields.List(fields.String())
    postcode = fields.String(allow_none=True)


class AddressList(View):
    items = fields.List(fields.Nested(AddressView), required=True)


# ----------------------------------------------------------------------------------------------- sessions
class Login(Schema):
    email = fields.String(
        required=True, validate=validate.Length(1, 254), metadata={"examples": ["li.lei@example.com"]}
    )
    password = fields.String(required=True, validate=validate.Length(1, 1024), load_only=True)

    @ma.post_load
    def normalise(self, given: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Raises EmailInvalid."""
        return given | {"email": normal_email(given["email"])}


class Refresh(Schema):
    refresh_token = fields.String(required=True, validate=validate.Length(1, 128), load_only=True)


class TokensView(View):
    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    refresh_token = fields.String(required=True)
    account_id = fields.String(required=True)
    session_id = fields.String(required=True)
    roles = fields.List(fields.String(), required=True)
    seller_id = fields.String(allow_none=True)


class SessionView(View):
    session_id = fields.String(required=True)
    created_at = fields.AwareDateTime(format="iso")
    used_at = fields.AwareDateTime(format="iso")
    expires_at = fields.AwareDateTime(format="iso")
    current = fields.Boolean()


class SessionList(View):
    items = fields.List(fields.Nested(SessionView), required=True)


# -------------------------------------------------------------------------------------------------- shops
class _Settings(Schema):
    description = Prose(2_000)
    review_orders = fields.Boolean()
    auto_approve = fields.Boolean()
    stock_policy = fields.String(validate=validate.OneOf(["all_or_nothing", "ship_available"]))
    review_over = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, 10**12))
    cod_allowed = fields.Boolean()


class ApplyForShop(_Settings):
    shop_name = Line(80, required=True)
    currency = fields.String(load_default="CNY", validate=CURRENCY)
    plan = fields.String(load_default="basic", validate=validate.OneOf(list(PLANS)))


class ChangeShop(_Settings):
    shop_name = Line(80)


class ApproveShop(Schema):
    plan = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(list(PLANS)))


class RejectShop(Schema):
    reason = Line(200, required=True)


class SuspendShop(Schema):
    reason = Line(200, required=True)
    until = fields.AwareDateTime(format="iso", load_default=None, allow_none=True)


class ShopQuery(Page):
    state = fields.String(validate=validate.OneOf(["PENDING", "APPROVED", "REJECTED", "SUSPENDED"]))


class ShopView(View):
    """The public profile; its owner and operators see the rest too."""

    seller_id = fields.String(required=True)
    shop_name = fields.String(required=True)
    description = fields.String()
    currency = fields.String()
    created_at = fields.AwareDateTime(format="iso")
    state = fields.String(required=True)
    version = fields.Integer(required=True)
    account_id = fields.String()
    plan = fields.String()
    commission_bp = fields.Integer()
    holdback_bp = fields.Integer()
    reason = fields.String()
    suspended_until = fields.AwareDateTime(format="iso", allow_none=True)
    review_orders = fields.Boolean()
    auto_approve = fields.Boolean()
    stock_policy = fields.String()
    review_over = fields.Integer(allow_none=True)
    cod_allowed = fields.Boolean()


class ShopList(View):
    items = fields.List(fields.Nested(ShopView), required=True)
    next = fields.String(allow_none=True)
