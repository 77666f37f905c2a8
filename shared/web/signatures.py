"""Signed callbacks, Standard Webhooks format: ``v1,`` and base64 of HMAC-SHA256 over ``id.timestamp.raw body``."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from shared.kernel import clock
from shared.kernel.errors import BadRequest
from shared.kernel.settings import secrets_in

TOLERANCE_SECONDS = 300
PREFIX = "whsec_"


class BadSignature(BadRequest):
    """The callback's signature is missing, wrong, of an unknown scheme, or too old."""


def key_of(secret: str) -> bytes:
    """The key in ``whsec_<base64>``, as Standard Webhooks writes it; any other secret is its own bytes."""
    if secret.startswith(PREFIX):
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    return secret.encode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header ``webhook-signature``."""
    digest = hmac.new(key_of(secret), f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """Answers the callback's id. Raises BadSignature. Machine time: an old callback is a replay.

    `secret` may be several (``new,old``): any of them will do.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "")
    if not message_id or not timestamp.isdecimal() or len(timestamp) > 12:
        raise BadSignature()
    if abs(clock.machine_seconds() - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature()
    # Several values: while a secret is changed, the sender signs with both.
    signed = [one.encode() for one in given.split(" ") if one.startswith("v1,")]
    expected = [sign(one, message_id, int(timestamp), body).encode() for one in secrets_in(secret)]
    if not any(hmac.compare_digest(one, other) for one in expected for other in signed):
        raise BadSignature()
    return message_id
