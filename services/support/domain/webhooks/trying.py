"""How long a delivery is tried again, and what is kept of an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

TRIES_FOR = timedelta(days=3)
"""From its first try on a delivery is tried again so long; the last try is made at the very end."""
HOLDS_FOR = timedelta(hours=12)
"""So long after its first try a delivery holds back the later ones of its order; then they go past it."""
KEPT_FOR = timedelta(days=30)
"""How long the log is kept."""
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800))
MOST_RETRY_AFTER = timedelta(hours=6)
EXCERPT = 500
GONE = 410
_BUSY = (429, 503)
_SECRETS = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]+|v1,[A-Za-z0-9+/=]+"
    r"|(?i:(?:authorization|cookie|password|passwd|secret|token|api[-_]?key)[\"']?\s*[:=]\s*[^\r\n,;}]+)"
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Tried:
    """One attempt: `status` of an answer, or else `error`, a stable word for why there was none."""

    status: int | None
    error: str | None
    latency_ms: int
    excerpt: str = ""
    wait: timedelta = timedelta(0)
    """How long the receiver asked us to wait."""

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def final(self) -> bool:
        """Whether the receiver wants nothing any more (410), or we can no longer sign (the key was erased)."""
        return self.status == GONE or self.error == "secret_erased"


def next_try(tries: int, first: datetime, now: datetime, jitter: float, wait: timedelta) -> datetime | None:
    """When to try again after `tries` failures (at least one), None when three days are over.

    `jitter` is a factor around 1: receivers that came back are not met by everything at once.
    """
    end = first + TRIES_FOR
    if now >= end:
        return None
    pause = PAUSES[min(tries, len(PAUSES)) - 1] * jitter
    return min(now + max(pause, min(wait, MOST_RETRY_AFTER)), end)


def retry_after(status: int, header: str) -> timedelta:
    """What a busy receiver asked for, in seconds (429 and 503); nothing where it did not, or gave a date."""
    if status not in _BUSY or not (header.isascii() and header.isdecimal() and len(header) < 7):
        return timedelta(0)
    return timedelta(seconds=int(header))


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """The beginning of an answer, for the log: text, and without what looks like a secret."""
    text = body[: 4 * EXCERPT].decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, "…").replace(secret.removeprefix("whsec_"), "…")
    return _UNPRINTABLE.sub(" ", _SECRETS.sub("…", text))[:EXCERPT]
