"""The gateway's own refusals, as RFC 9457 problem documents: nginx and the in-process host say the same."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from shared.kernel import errors
from shared.kernel.errors import Refusal


class UriTooLong(errors.BadRequest):
    """The address is longer than this server reads."""

    status = 414


class HeadersTooLarge(errors.BadRequest):
    """The request's headers are larger than this server reads."""

    status = 431


class BadGateway(errors.Unavailable):
    """A service broke off its answer and may have done the work: try again with the same Idempotency-Key."""

    status = 502


class GatewayTimeout(errors.Unavailable):
    """A service did not answer in time and may have done the work: try again with the same Idempotency-Key."""

    status = 504


Problem = type[Refusal] | Refusal

REFUSALS: dict[int, type[Refusal]] = {
    400: errors.BadRequest, 404: errors.NotFound, 405: errors.MethodNotAllowed, 413: errors.PayloadTooLarge,
    414: UriTooLong, 429: errors.TooManyRequests, 431: HeadersTooLarge, 500: errors.InternalError,
    502: BadGateway, 503: errors.Unavailable, 504: GatewayTimeout,
}  # fmt: skip
"""What the gateway itself may say, by status."""

RETRY_AFTER = {429: 1, 502: 1, 503: 1, 504: 1}
"""Seconds, by status."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def document(refusal: Problem, trace_id: str = "") -> dict[str, Any]:
    """``{type, title, status, code, trace_id?}``."""
    body: dict[str, Any] = {
        "type": f"/v1/errors/{refusal.code}",
        "title": refusal.title(),
        "status": refusal.status,
        "code": refusal.code,
    }
    return body | ({"trace_id": trace_id} if trace_id else {})


def answer(refusal: Problem, trace_id: str = "", **more: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """A WSGI status line, headers (`more` with _ for -) and body."""
    body = msgspec.json.encode(document(refusal, trace_id))
    headers = {
        **SECURITY_HEADERS,
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        **({"X-Request-Id": trace_id} if trace_id else {}),
        **({"Retry-After": str(RETRY_AFTER[refusal.status])} if refusal.status in RETRY_AFTER else {}),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return f"{refusal.status} {HTTPStatus(refusal.status).phrase}", list(headers.items()), body
