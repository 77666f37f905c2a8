"""What hides behind the deployment's secret: lookup hashes, refresh tokens, the private parts of signing
keys.

Each use has a key of its own, derived from the deployment's secret, so that one never helps to break another.
While it is changed there are several; `commands/rewrapping.py` writes anew what is kept under an old one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import secrets as dice
from collections.abc import Sequence
from typing import cast

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwk import OKPKey

from shared.kernel.ids import new_id


def _derived(secret: str, use: str) -> bytes:
    return hmac.new(secret.encode(), f"caravan account {use}".encode(), hashlib.sha256).digest()


def lookup(secret: str, kind: str, value: str) -> str:
    """A keyed hash by which `value` (an e-mail address, a network address) is found but never read."""
    return hmac.new(_derived(secret, kind), value.encode(), hashlib.sha256).hexdigest()


def lookups(secrets: Sequence[str], kind: str, value: str) -> list[str]:
    """The hashes that `value` may be found by, while the secret is changed; it is written under the first."""
    return [lookup(secret, kind, value) for secret in secrets]


def network(address: str) -> str:
    """Whom failed tries are counted for: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def refresh_token() -> tuple[str, str]:
    """A new refresh token and the hash to keep of it. 256 random bits need no salt and no slow hash."""
    token = dice.token_urlsafe(32)
    return token, refresh_hash(token)


def refresh_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def new_signing_key() -> OKPKey:
    """A fresh Ed25519 key with an id."""
    return OKPKey.generate_key("Ed25519", {"kid": new_id()})


def wrap(secret: str, key: OKPKey) -> str:
    """The private key, encrypted, with its id as associated data."""
    nonce = dice.token_bytes(12)
    content = msgspec.json.encode(key.as_dict(private=True))
    sealed = AESGCM(_derived(secret, "signing key")).encrypt(nonce, content, cast(str, key.kid).encode())
    return base64.b64encode(nonce + sealed).decode()


def unwrap(secrets: Sequence[str], key_id: str, wrapped: str) -> OKPKey | None:
    """The private key, or None when it was wrapped under none of these secrets (the deployment's was changed)."""
    raw = base64.b64decode(wrapped)
    for secret in secrets:
        with contextlib.suppress(InvalidTag):
            content = AESGCM(_derived(secret, "signing key")).decrypt(raw[:12], raw[12:], key_id.encode())
            return OKPKey.import_key(msgspec.json.decode(content))
    return None
