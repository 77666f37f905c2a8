"""Leaving a party alone that does not answer: the rule, and the memory of one process.

So many failures in a row shut the breaker: nothing is asked but one probe at a time, at growing intervals; the first
answer opens it. Who keeps failures in a store (webhooks) uses the rule alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from shared.kernel import clock


@dataclass(frozen=True)
class Breaker:
    """The rule. Intervals double from `first` to `longest`."""

    trips_at: int
    first: timedelta
    longest: timedelta

    def pause(self, failures: int) -> timedelta | None:
        """How long to leave the party alone after so many failures in a row; None while it may be asked."""
        if failures < self.trips_at:
            return None
        doubled: timedelta = self.first * 2 ** min(10, failures - self.trips_at)
        return min(self.longest, doubled)


class Fuse:
    """A breaker in the memory of this process, for one party. Thread safe. `now` is monotonic seconds."""

    def __init__(self, breaker: Breaker, now: Callable[[], float] = clock.monotonic) -> None:
        self.breaker, self.now = breaker, now
        self._lock = threading.Lock()
        self._failures = 0
        self._shut_until: float | None = None

    def admits(self) -> bool:
        """Whether to ask now. Where it is shut, a yes is the interval's one probe: others get a no until it ended, or
        for another interval."""
        with self._lock:
            if self._shut_until is None:
                return True
            if self.now() < self._shut_until:
                return False
            self._shut_until = self.now() + self._interval()
            return True

    def answered(self) -> bool:
        """The party is there. Answers whether it was left alone until now."""
        with self._lock:
            was_shut = self._shut_until is not None
            self._failures, self._shut_until = 0, None
            return was_shut

    def failed(self) -> bool:
        """The party did not answer. Answers whether it is left alone from now on, and was not before."""
        with self._lock:
            was_shut = self._shut_until is not None
            self._failures += 1
            pause = self.breaker.pause(self._failures)
            if pause is not None:
                self._shut_until = self.now() + pause.total_seconds()
            return pause is not None and not was_shut

    def _interval(self) -> float:
        return (self.breaker.pause(self._failures) or self.breaker.first).total_seconds()
