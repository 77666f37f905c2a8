"""Coarse limits on requests, by token and by address: they stop an abuser, not a busy client.

nginx enforces them with `limit_req`, the in-process host with `Buckets`; both from the numbers below.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from shared.kernel import clock


@dataclass(frozen=True)
class Limit:
    """So many requests a second on average, and so many at once on top."""

    rate: int
    burst: int


PER_TOKEN = Limit(300, 600)
PER_ADDRESS = Limit(1000, 2000)
MOST_KEYS = 50_000


class Buckets:
    """Leaky buckets by key, as nginx's `limit_req … nodelay`. Thread safe; forgets empty ones when it grows."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._levels: dict[int, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def admit(self, key: str) -> bool:
        """Whether one more request under `key` is within the limit; an empty key is not limited."""
        if not key:
            return True
        now, name = clock.monotonic(), hash(key)
        with self._lock:
            level, since = self._levels.get(name, (0.0, now))
            level = max(0.0, level - (now - since) * self.limit.rate)
            if level > self.limit.burst:
                return False
            if len(self._levels) >= MOST_KEYS:
                oldest = now - self.limit.burst / self.limit.rate
                self._levels = {one: kept for one, kept in self._levels.items() if kept[1] > oldest}
            self._levels[name] = level + 1, now
            return True
