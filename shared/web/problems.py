"""Refusals become RFC 9457 problem documents here, and nowhere else."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from shared.kernel import errors
from shared.storage.database import is_conflict, is_database_error, is_infrastructure, is_timeout
from shared.storage.vault import Erased
from shared.telemetry import logs

_BY_STATUS: dict[int, type[errors.Refusal]] = {
    400: errors.BadRequest, 404: errors.NotFound, 405: errors.MethodNotAllowed, 406: errors.NotAcceptable,
    412: errors.PreconditionFailed, 413: errors.PayloadTooLarge, 415: errors.UnsupportedMediaType,
    422: errors.Invalid, 429: errors.TooManyRequests,
}  # fmt: skip


def document(refusal: errors.Refusal) -> dict[str, Any]:
    """The problem document: type, title, status, code, detail?, field?, and what the refusal adds."""
    body: dict[str, Any] = {
        "type": f"/v1/errors/{refusal.code}",
        "title": refusal.title(),
        "status": refusal.status,
        "code": refusal.code,
    }
    if refusal.detail:
        body["detail"] = refusal.detail
    if refusal.field:
        body["field"] = refusal.field
    trace = g.get("request_id")
    if trace:
        body["trace_id"] = trace
    return body | {k: v for k, v in refusal.more.items() if k != "retry_after"}


def response(refusal: errors.Refusal) -> Response:
    answer = Response(msgspec.json.encode(document(refusal)), refusal.status, content_type="application/problem+json")
    if refusal.status in (409, 429, 503) and (
        after := refusal.more.get("retry_after", 1 if refusal.status == 503 else 0)
    ):
        answer.headers["Retry-After"] = str(after)
    if refusal.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def to_refusal(error: Exception) -> errors.Refusal:
    """Whatever was raised, as something a client may be told."""
    if isinstance(error, errors.Refusal):
        return error
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.code or 500, errors.InternalError)
        found = getattr(error, "data", None) or {}
        messages = found.get("messages")
        if kind is errors.Invalid and messages:
            return errors.Invalid(errors=messages)
        return kind()
    if isinstance(error, Erased):
        return errors.NotFound()
    if is_conflict(error) or is_timeout(error):
        return errors.Unavailable("the data is being changed by many at once", retry_after=1)
    if is_infrastructure(error) or is_database_error(error):
        if not is_infrastructure(error):
            logs.get("web").exception("database_error", path=request.url_rule and request.url_rule.rule)
            return errors.InternalError()
        logs.get("web").warning("store_away", why=type(error).__name__)
        return errors.Unavailable(retry_after=2)
    logs.get("web").exception("internal_error", rule=request.url_rule and request.url_rule.rule)
    return errors.InternalError()


def install(app: Flask) -> None:
    """Answer every error of `app` with a problem document."""

    def handle(error: Exception) -> Response:
        answer = response(to_refusal(error))
        if isinstance(error, HTTPException) and (allow := dict(error.get_headers()).get("Allow")):
            answer.headers["Allow"] = allow
        return answer

    app.register_error_handler(Exception, handle)
    app.register_error_handler(HTTPException, handle)
