"""What the inbox looks like."""

from __future__ import annotations

from marshmallow import fields, validate

from shared.web.door import Schema, View


class InboxQuery(Schema):
    unread = fields.Boolean(load_default=False)
    order_no = fields.String(validate=validate.Regexp(r"^[\x21-\x7e]{1,64}\Z"))
    locale = fields.String(validate=validate.OneOf(["en", "zh-CN"]))
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(validate=validate.Regexp(r"^[\x21-\x7e]{1,64}\Z"))


class NotificationView(View):
    notification_id = fields.String()
    to = fields.String()
    template = fields.String()
    subject = fields.String()
    text = fields.String()
    group_no = fields.String(allow_none=True)
    order_no = fields.String(allow_none=True)
    created_at = fields.AwareDateTime()
    read_at = fields.AwareDateTime(allow_none=True)


class Inbox(View):
    items = fields.List(fields.Nested(NotificationView))
    next = fields.String(allow_none=True)
