"""Standard Webhooks signatures: HMAC-SHA256 over `id.timestamp.body`, any of several secrets."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

PREFIX = "whsec_"
TOLERANCE_S = 300


def webhook_secret(key: str) -> str:
    """The secret shared with a desk, as Standard Webhooks writes the key that signs its callbacks."""
    return PREFIX + base64.b64encode(key.encode()).decode()


def keys(secrets: str) -> tuple[bytes, ...]:
    """The keys in `whsec_<base64>[ whsec_<base64>…]`; several while a secret is being rotated.

    ValueError when there is none, one is malformed, or one is shorter than 24 bytes.
    """
    found = tuple(_key(secret) for secret in secrets.split())
    if not found:
        raise ValueError("a webhook secret is needed")
    return found


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or len(key) < 24:
        raise ValueError("a webhook secret reads whsec_<base64 of at least 24 bytes>")
    return key


def sign(signing_keys: tuple[bytes, ...], event_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1,<base64>` per key, parted by spaces."""
    content = f"{event_id}.{timestamp_s}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in signing_keys
    )


def verify(secrets: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Whether a receiver may believe `body`: signed with one of our secrets, at most 300 s from now.

    For tests and as an example; a client brings its own.
    """
    event_id, signatures = headers.get("webhook-id", ""), headers.get("webhook-signature", "").split()
    try:
        timestamp_s = int(headers.get("webhook-timestamp", ""))
    except ValueError:
        return False
    if not event_id or abs(now_s - timestamp_s) > TOLERANCE_S:
        return False
    wanted = sign(keys(secrets), event_id, timestamp_s, body).split()
    # Every pair is compared, so that the time tells nothing; v0 and its like never match.
    matches = [hmac.compare_digest(our.encode(), its.encode()) for our in wanted for its in signatures]
    return any(matches)
