"""What operators ask and are answered."""

from __future__ import annotations

from marshmallow import fields, validate

from deploy.fleet import FLEET
from deploy.ops.letters import STATUSES
from shared.messaging.dead_letters import PER_SECOND
from shared.web.door import Schema, View

_service = validate.OneOf(["", *(one.name for one in FLEET)])
_limit = validate.Range(1, 500)


def _why() -> fields.String:
    return fields.String(
        required=True, validate=validate.Length(3, 500), metadata={"description": "stands in the audit trail"}
    )


class Why(Schema):
    why = _why()


# --- services -------------------------------------------------------------------------------------------------------


class ShardView(View):
    shard = fields.Integer(required=True)
    owner = fields.String(required=True, allow_none=True)


class QueueView(View):
    """`lost_sight`: dead letters that the broker holds back because it cannot deliver them."""

    ready = fields.Integer(required=True)
    unacknowledged = fields.Integer(required=True)
    lost_sight = fields.Integer(required=True)


class OutboxCount(View):
    pending = fields.Integer(required=True)
    failing = fields.Integer(required=True)
    oldest_age_seconds = fields.Float(required=True)


class TimerCount(View):
    pending = fields.Integer(required=True)
    overdue = fields.Integer(required=True)
    failing = fields.Integer(required=True)
    oldest_lag_seconds = fields.Float(required=True)


class CallCount(View):
    pending = fields.Integer(required=True)
    failing = fields.Integer(required=True)


class ServiceStatus(View):
    """`waiting`: facts told and not heard yet. `kept`: messages by status. `away`: its store does not answer."""

    service = fields.String(required=True)
    away = fields.Boolean()
    worries = fields.List(fields.String(), required=True)
    workers = fields.Integer()
    shards = fields.List(fields.Nested(ShardView))
    queue = fields.Nested(QueueView, allow_none=True)
    waiting = fields.Integer()
    oldest_waiting_seconds = fields.Float()
    outbox = fields.Nested(OutboxCount)
    timers = fields.Nested(TimerCount)
    calls = fields.Nested(CallCount)
    kept = fields.Dict(keys=fields.String(), values=fields.Integer())


class StatusView(View):
    items = fields.List(fields.Nested(ServiceStatus), required=True)


class ServiceScale(View):
    service = fields.String(required=True)
    queue = fields.Nested(QueueView, required=True, allow_none=True)
    waiting = fields.Integer(required=True)
    oldest_waiting_seconds = fields.Float(required=True)
    handled_per_second = fields.Float(required=True)
    outbox_oldest_age_seconds = fields.Float(required=True)
    workers = fields.Integer(required=True)
    shards = fields.List(fields.Nested(ShardView), required=True)
    suggested_workers = fields.Integer(required=True)
    why = fields.String(required=True)


class ScalingView(View):
    items = fields.List(fields.Nested(ServiceScale), required=True)


class OutboxQuery(Schema):
    service = fields.String(load_default="", validate=_service)
    limit = fields.Integer(load_default=50, validate=_limit)


class OutboxEntry(View):
    service = fields.String(required=True)
    pos = fields.Integer(required=True)
    event_id = fields.String(required=True)
    fact = fields.String(required=True)
    partition_key = fields.String(required=True)
    told_at = fields.AwareDateTime(required=True)
    attempts = fields.Integer(required=True)
    next_at = fields.AwareDateTime(required=True, allow_none=True)
    error = fields.String(required=True)


class OutboxView(View):
    items = fields.List(fields.Nested(OutboxEntry), required=True)


# --- dead letters ---------------------------------------------------------------------------------------------------


class LetterQuery(Schema):
    service = fields.String(load_default="", validate=_service)
    status = fields.String(load_default="dead", validate=validate.OneOf(STATUSES))
    fact = fields.String(load_default="", validate=validate.Length(max=96))
    reason = fields.String(load_default="", validate=validate.Length(max=32))
    limit = fields.Integer(load_default=50, validate=_limit)
    after = fields.String(load_default="", validate=validate.Length(max=64))


class LetterView(View):
    letter_id = fields.String(required=True)
    status = fields.String(required=True)
    service = fields.String()
    event_id = fields.String()
    fact = fields.String()
    subject = fields.String()
    partition_key = fields.String()
    reason = fields.String()
    error = fields.String(allow_none=True)
    attempts = fields.Integer()
    created_at = fields.AwareDateTime()
    next_at = fields.AwareDateTime(allow_none=True)


class WholeLetter(LetterView):
    """`body`: the message as it came, as text."""

    body = fields.String(required=True)


class LetterPage(View):
    items = fields.List(fields.Nested(LetterView), required=True)
    next = fields.String(required=True, allow_none=True)


class EditLetter(Schema):
    """Exactly one of `data` (the message's new content) and `message` (a whole CloudEvent)."""

    why = _why()
    data = fields.Dict(keys=fields.String(), load_default=None, allow_none=True)
    message = fields.Dict(keys=fields.String(), load_default=None, allow_none=True)


class EditedLetter(View):
    letter_id = fields.String(required=True)
    event_id = fields.String(required=True)


class RetryLetters(Schema):
    """At least one of `service`, `fact` (part of its type) and `reason` says which."""

    why = _why()
    service = fields.String(load_default="", validate=_service)
    fact = fields.String(load_default="", validate=validate.Length(max=96))
    reason = fields.String(load_default="", validate=validate.Length(max=32))
    per_second = fields.Float(load_default=PER_SECOND, validate=validate.Range(0.1, 1000))


class RetriedLetters(View):
    retried = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


# --- one order ------------------------------------------------------------------------------------------------------


class HearingView(View):
    """`state`: handled, on its way, not published; or kept as early, failed, held, started or dead."""

    service = fields.String(required=True)
    state = fields.String(required=True)
    lag_seconds = fields.Float(required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    why = fields.String(required=True)
    letter_id = fields.String()
    next_at = fields.AwareDateTime(allow_none=True)


class FactView(View):
    """`causation_id` is the `event_id` of another fact, or begins with request, timer or intent."""

    event_id = fields.String(required=True)
    publisher = fields.String(required=True)
    fact = fields.String(required=True)
    subject = fields.String(required=True)
    sequence = fields.Integer(required=True)
    told_at = fields.AwareDateTime(required=True)
    published = fields.Boolean(required=True)
    publishing_attempts = fields.Integer(required=True)
    publishing_error = fields.String(required=True)
    correlation_id = fields.String(required=True)
    causation_id = fields.String(required=True)
    trace_id = fields.String(required=True)
    heard_by = fields.List(fields.Nested(HearingView), required=True)


class PendingTimer(View):
    service = fields.String(required=True)
    aggregate = fields.String(required=True)
    timer = fields.String(required=True)
    due_at = fields.AwareDateTime(required=True)
    late_seconds = fields.Float(required=True)
    attempts = fields.Integer(required=True)
    error = fields.String(required=True)


class PendingCall(View):
    service = fields.String(required=True)
    call = fields.String(required=True)
    key = fields.String(required=True)
    since = fields.AwareDateTime(required=True)
    next_at = fields.AwareDateTime(required=True)
    attempts = fields.Integer(required=True)
    error = fields.String(required=True)


class WholeTimeline(View):
    """`stuck`: in words, what should have happened by now."""

    group_no = fields.String(required=True)
    stuck = fields.List(fields.String(), required=True)
    facts = fields.List(fields.Nested(FactView), required=True)
    letters = fields.List(fields.Nested(LetterView), required=True)
    timers = fields.List(fields.Nested(PendingTimer), required=True)
    calls = fields.List(fields.Nested(PendingCall), required=True)


class SpanView(View):
    """`deed`: told or heard. `depth`: one more than that of what caused it, which stands above. `because`: request,
    timer or intent, where no fact of the trace did."""

    depth = fields.Integer(required=True)
    service = fields.String(required=True)
    deed = fields.String(required=True)
    fact = fields.String(required=True)
    subject = fields.String(required=True)
    event_id = fields.String(required=True)
    at = fields.AwareDateTime(required=True, allow_none=True)
    after_seconds = fields.Float(required=True, allow_none=True)
    lag_seconds = fields.Float(required=True, allow_none=True)
    state = fields.String(required=True)
    because = fields.String(required=True)


class TraceView(View):
    """`after_seconds` and `seconds` count from `begun_at`, when the first fact was told."""

    trace_ids = fields.List(fields.String(), required=True)
    begun_at = fields.AwareDateTime(required=True)
    seconds = fields.Float(required=True)
    spans = fields.List(fields.Nested(SpanView), required=True)


class InvariantsQuery(Schema):
    order_no = fields.String(load_default="", validate=validate.Length(max=64))
    minutes = fields.Integer(load_default=0, validate=validate.Range(min=0, max=100_000))


class VerdictView(View):
    number = fields.String(required=True)
    promise = fields.String(required=True)
    checked = fields.Integer(required=True)
    breaches = fields.List(fields.String(), required=True)


class InvariantsView(View):
    holds = fields.Boolean(required=True)
    items = fields.List(fields.Nested(VerdictView), required=True)


# --- topology -------------------------------------------------------------------------------------------------------


class DifferenceView(View):
    service = fields.String(required=True)
    declared = fields.Integer(required=True)
    missing = fields.List(fields.String(), required=True)
    altered = fields.List(fields.String(), required=True)
    surplus = fields.List(fields.String(), required=True)


class TopologyView(View):
    """`embedded`: there is no broker, and nothing to declare."""

    embedded = fields.Boolean(required=True)
    items = fields.List(fields.Nested(DifferenceView), required=True)
