"""What webhooks and their log look like."""

from __future__ import annotations

from marshmallow import fields, validate

from services.support.domain.webhooks import TYPES
from shared.web.door import Schema, View

_STATES = ["queued", "pending", "delivered", "given_up"]
_types = validate.And(validate.Length(1, 100), validate.ContainsOnly(sorted(TYPES)))
_url = validate.Length(1, 2000)
_description = validate.Length(max=200)


class RegisterWebhook(Schema):
    url = fields.String(required=True, validate=_url, metadata={"examples": ["https://shop.example.com/caravan"]})
    types = fields.List(
        fields.String(), required=True, validate=_types, metadata={"examples": [["caravan.order.OrderPlaced.v1"]]}
    )
    description = fields.String(load_default="", validate=_description)


class ChangeWebhook(Schema):
    url = fields.String(validate=_url)
    types = fields.List(fields.String(), validate=_types)
    description = fields.String(validate=_description)
    enabled = fields.Boolean(truthy={True}, falsy={False})


class WebhookView(View):
    """`disabled_because`: seller, failing, gone or erased. `next_probe_at`: it failed and is left alone until then."""

    webhook_id = fields.String(required=True)
    url = fields.String(required=True)
    types = fields.List(fields.String(), required=True)
    description = fields.String(required=True)
    enabled = fields.Boolean(required=True)
    disabled_because = fields.String(required=True)
    failures = fields.Integer(required=True)
    failing_since = fields.AwareDateTime(allow_none=True, required=True)
    next_probe_at = fields.AwareDateTime(allow_none=True, required=True)
    created_at = fields.AwareDateTime(required=True)
    version = fields.Integer(required=True)


class WebhookWithSecret(WebhookView):
    """`secret` is shown this once."""

    secret = fields.String(required=True)
    old_secret_until = fields.AwareDateTime(allow_none=True, required=True)


class WebhookList(View):
    items = fields.List(fields.Nested(WebhookView), required=True)


class WebhookTypeView(View):
    type = fields.String(required=True)
    means = fields.String(required=True)
    fields_ = fields.List(fields.String(), required=True, data_key="fields", attribute="fields")


class WebhookTypeList(View):
    items = fields.List(fields.Nested(WebhookTypeView), required=True)


class DeliveryQuery(Schema):
    state = fields.String(validate=validate.OneOf(_STATES))
    order_no = fields.String(validate=validate.Regexp(r"^[\x21-\x7e]{1,64}\Z"))
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.Integer(validate=validate.Range(1, 2**31 - 1))


class DeliveryView(View):
    delivery_id = fields.String(required=True)
    webhook_id = fields.String(required=True)
    sequence = fields.Integer(required=True)
    message_id = fields.String(required=True)
    type = fields.String(required=True)
    order_no = fields.String(allow_none=True, required=True)
    state = fields.String(required=True)
    tries = fields.Integer(required=True)
    last_status = fields.Integer(allow_none=True, required=True)
    last_error = fields.String(allow_none=True, required=True)
    created_at = fields.AwareDateTime(required=True)
    next_at = fields.AwareDateTime(allow_none=True, required=True)
    ended_at = fields.AwareDateTime(allow_none=True, required=True)


class DeliveryList(View):
    items = fields.List(fields.Nested(DeliveryView), required=True)
    next = fields.String(allow_none=True, required=True)


class WebhookAttemptView(View):
    at = fields.AwareDateTime(required=True)
    status = fields.Integer(allow_none=True, required=True)
    error = fields.String(allow_none=True, required=True)
    latency_ms = fields.Integer(required=True)
    excerpt = fields.String(required=True)


class DeliveryWithAttempts(DeliveryView):
    message = fields.Dict(required=True)
    attempts = fields.List(fields.Nested(WebhookAttemptView), required=True)
