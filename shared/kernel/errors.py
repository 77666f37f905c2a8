"""Refusals: what the platform says when it will not do a thing, one class per reason.

A refusal's class name is its stable code (``QuoteExpired`` -> ``quote_expired``) and its docstring is its text in the
generated catalogue `docs/errors.md`. Doors turn refusals into RFC 9457 problem documents; nothing else does.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar


class Refusal(Exception):
    """Base of everything a client may be told. `status` is the HTTP status, `code` the stable word."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str | None = None, *, field: str | None = None, **more: Any) -> None:
        super().__init__(detail or self.title())
        self.detail = detail
        self.field = field
        self.more = more

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def title(cls) -> str:
        """The first line of the docstring, as shown to clients."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


class BadRequest(Refusal):
    """The request could not be read."""

    status = 400


class Unauthenticated(Refusal):
    """A valid bearer token is needed."""

    status = 401


class Forbidden(Refusal):
    """Your role may not do this."""

    status = 403


class NotFound(Refusal):
    """There is no such thing, or it is not yours."""

    status = 404


class MethodNotAllowed(Refusal):
    """This path does not answer that method."""

    status = 405


class NotAcceptable(Refusal):
    """No representation of this resource matches the Accept header."""

    status = 406


class Conflict(Refusal):
    """The present state does not allow this."""

    status = 409


class PreconditionFailed(Refusal):
    """Somebody changed this since you read it (If-Match)."""

    status = 412


class PayloadTooLarge(Refusal):
    """The body is larger than one mebibyte."""

    status = 413


class UnsupportedMediaType(Refusal):
    """Bodies are application/json."""

    status = 415


class Invalid(Refusal):
    """The body or the query breaks a rule; `errors` names each field."""

    status = 422


class TooManyRequests(Refusal):
    """Too many requests; see Retry-After."""

    status = 429


class InternalError(Refusal):
    """Something broke on our side; quote the trace id."""

    status = 500


class Unavailable(Refusal):
    """A part this needs does not answer; try again after Retry-After seconds."""

    status = 503


class TooEarly(Exception):
    """A fact arrived before the one it builds on; the kit keeps it and tries again (never shown to clients)."""


class Fatal(Exception):
    """A message that can never be handled (unknown version, broken schema): it becomes a dead row at once."""


class OutsideUnavailable(Exception):
    """An outside party (payment channel, carrier, mail server) gave no usable answer: the outcome is unknown."""


def catalogue() -> list[type[Refusal]]:
    """Every refusal known to this process, sorted by status and code."""
    found: dict[str, type[Refusal]] = {}
    todo = list(Refusal.__subclasses__())
    while todo:
        cls = todo.pop()
        found[cls.code] = cls
        todo += cls.__subclasses__()
    return sorted(found.values(), key=lambda cls: (cls.status, cls.code))
