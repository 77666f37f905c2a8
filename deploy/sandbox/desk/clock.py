"""Two clocks: the machine's, which is real, and the business clock, which is the machine's plus an offset.

Expiry and delays follow the business clock, which tests move; the age of a signature and the pauses between
tries follow the machine's. Moments are whole milliseconds since 1970 inside and RFC 3339 in UTC outside,
always written alike (`2031-05-01T08:00:00.000Z`), so that their texts sort as they do.
"""

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def machine_ms() -> int:
    """The machine's real clock."""
    return time.time_ns() // 1_000_000


def stamp(ms: int) -> str:
    """A moment as text."""
    moment = EPOCH + ms * MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(text: object) -> int:
    """A moment from RFC 3339 text with a zone; ValueError for anything else."""
    if not isinstance(text, str):
        raise ValueError("must be an RFC 3339 time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not EPOCH <= moment <= LATEST:
        raise ValueError("must be an RFC 3339 time with a zone, between 1970 and 9000")
    return (moment - EPOCH) // MILLISECOND
