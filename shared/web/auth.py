"""Who is asking: bearer tokens (Ed25519 JWT, RFC 8037 and 9864), made by account, verified by each service itself.

Keys and revocations arrive as facts and are kept in every store, so a lost gateway rule opens nothing and no service
asks another. Access tokens live ten minutes of machine time; a revoked session is refused once its fact has arrived.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from shared.contracts.account import SessionRevoked, SigningKeyPublished
from shared.kernel import clock
from shared.kernel.errors import Unauthenticated, Unavailable
from shared.messaging.subscriptions import Subscriptions
from shared.storage import trust
from shared.storage.database import Database
from shared.storage.unit_of_work import UnitOfWork

ISSUER = "caravan"
AUDIENCE = "caravan-api"
REFRESH_SECONDS = 1.0
FORCED_REFRESHES = 10
"""A second, for tokens whose key is not known yet: a flood of invented keys must not become one of queries."""

BUYER, SELLER, OPERATOR = "buyer", "seller", "operator"


@dataclass(frozen=True)
class Principal:
    """A verified caller. `seller_id` is the one shop the token speaks for, if any."""

    account_id: str
    roles: frozenset[str]
    session_id: str
    seller_id: str | None = None

    def has(self, role: str) -> bool:
        return role in self.roles


class ExpiredToken(Unauthenticated):
    """The access token has run out; refresh it."""


class RevokedSession(Unauthenticated):
    """This session was ended."""


def listen_for_keys(on: Subscriptions) -> None:
    """Every service hears of signing keys and ended sessions."""

    @on(SigningKeyPublished)
    def keep_key(event: SigningKeyPublished, tx: UnitOfWork) -> None:
        trust.keep_key(tx, event.key_id, event.jwk_public, event.not_after)

    @on(SessionRevoked)
    def end_session(event: SessionRevoked, tx: UnitOfWork) -> None:
        trust.end_session(tx, event.session_id, event.expires_at)


class Verifier:
    """Verifies tokens for one service. Verified tokens are remembered until they expire: Ed25519 costs 0.2 ms."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._keys: dict[str, OKPKey] = {}
        self._revoked: frozenset[str] = frozenset()
        self._seen: dict[str, tuple[float, Principal]] = {}
        self._fresh_until, self._forced, self._blind = 0.0, 0, False
        self._lock = threading.Lock()

    def verify(self, token: str) -> Principal:
        """Raises Unauthenticated, ExpiredToken, RevokedSession, Unavailable."""
        self._refresh()
        seconds = clock.machine_seconds()
        expires, principal = self._seen.get(token) or self._check(token)
        if seconds >= expires:
            self._seen.pop(token, None)
            raise ExpiredToken()
        if principal.session_id in self._revoked:
            raise RevokedSession()
        return principal

    def _check(self, token: str) -> tuple[float, Principal]:
        try:
            key = self._keys.get(_key_id(token)) or self._refresh(force=True).get(_key_id(token))
            if key is None:
                # Whoever cannot look keys up must not say that one is bad: people would throw good tokens away.
                raise Unavailable(retry_after=1) if self._blind else Unauthenticated()
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=["Ed25519"]).claims
            if claims["iss"] != ISSUER or claims["aud"] != AUDIENCE:
                raise Unauthenticated()
            principal = Principal(
                claims["sub"], frozenset(claims["roles"]), claims["sid"], claims.get("seller_id") or None
            )
            expires = float(claims["exp"])
        except (JoseError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise Unauthenticated() from error
        with self._lock:
            if len(self._seen) > 20_000:
                self._seen.clear()
            self._seen[token] = expires, principal
        return expires, principal

    def _refresh(self, *, force: bool = False) -> dict[str, OKPKey]:
        """Read keys and revocations again once a second; `force`: now, unless tokens of unknown keys are pouring in."""
        now = clock.monotonic()
        if now < self._fresh_until and not (force and self._forced < FORCED_REFRESHES):
            return self._keys
        with self._lock:
            if now >= self._fresh_until:
                self._fresh_until, self._forced = now + REFRESH_SECONDS, 0
            elif force:
                self._forced += 1
            else:
                return self._keys  # another thread was faster
            self._blind = True
            keys, self._revoked = trust.keys_and_revocations(self.database)
            self._blind = False
            self._keys = {key_id: self._keys.get(key_id) or OKPKey.import_key(jwk) for key_id, jwk in keys.items()}
            return self._keys


def issue(key: OKPKey, principal: Principal, *, lives_seconds: int = 600) -> str:
    """A signed access token for `principal` (account's business, and the tests')."""
    now = int(clock.machine_seconds())
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": principal.account_id, "roles": sorted(principal.roles),
        "sid": principal.session_id, "iat": now, "exp": now + lives_seconds,
    }  # fmt: skip
    if principal.seller_id:
        claims["seller_id"] = principal.seller_id
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


def _key_id(token: str) -> str:
    import base64

    head = token.split(".", 1)[0]
    return str(msgspec.json.decode(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])
