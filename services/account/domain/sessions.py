"""Sign-in: how often one may try, how long a session and its tokens live. All on the machine's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.account import SessionRevoked
from shared.kernel.errors import NotFound, TooManyRequests, Unauthenticated

TRIES = 10
"""Failed tries an account or an address has before it must wait."""
TRY_WINDOW = timedelta(minutes=15)
ACCESS_SECONDS = 600
SESSION_LIFE = timedelta(days=30)


class WrongCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""


class TooManyTries(TooManyRequests):
    """Too many failed tries; wait for Retry-After seconds."""


class RefreshTokenInvalid(Unauthenticated):
    """This refresh token is unknown, has run out, or its session was ended; sign in again."""


class RefreshTokenReused(Unauthenticated):
    """This refresh token was used before. Somebody may have stolen it, so its session was ended; sign in
    again."""


class NoSuchSession(NotFound):
    """You have no such session."""


@dataclass(frozen=True)
class Tries:
    """How often one key (an account, an address) was tried since a moment, this try included."""

    count: int
    since: datetime

    def wait_seconds(self, now: datetime) -> int:
        """Seconds until the next try is taken; 0 when this one is."""
        if self.count <= TRIES:
            return 0
        return max(1, int((self.since + TRY_WINDOW - now).total_seconds()) + 1)


def revoked(account_id: str, session_id: str, now: datetime) -> SessionRevoked:
    """The session is over. Its last access token dies in ten minutes; one more is for clocks that differ."""
    return SessionRevoked(
        account_id=account_id, session_id=session_id, revoked_at=now,
        expires_at=now + timedelta(seconds=ACCESS_SECONDS + 60),
    )  # fmt: skip
