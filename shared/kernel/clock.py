"""Machine time: the only place that reads this machine's clock.

Business time (deadlines, windows, the `time` of a fact) is the database's clock plus an offset; see
`UnitOfWork.now`. Machine time serves leases, backoff, token and callback age, ids, retention and metrics.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime


def machine_now() -> datetime:
    """The machine's time, UTC."""
    return datetime.now(UTC)


def machine_seconds() -> float:
    """Seconds since the epoch on the machine's clock."""
    return time.time()


def monotonic() -> float:
    """Seconds on a clock that never jumps; only differences mean anything."""
    return time.monotonic()


def rfc3339(moment: datetime) -> str:
    """`moment` as RFC 3339 in UTC, e.g. ``2026-11-22T08:00:00.000000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """Raises ValueError when `text` is no RFC 3339 date-time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset")
    return moment.astimezone(UTC)


def pause(seconds: float) -> None:
    """Do nothing for `seconds`. For back-off in the kit; never in tests."""
    time.sleep(seconds)


def pause_jittered(low: float, high: float) -> None:
    """Back off for a random time between `low` and `high` seconds."""
    pause(random.uniform(low, high))
