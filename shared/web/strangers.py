"""Denied attempts of nobody in particular: counted, so that a flood of them leaves few rows."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime

from shared.kernel import clock
from shared.storage import trust
from shared.storage.database import Database
from shared.telemetry import logs


class Strangers:
    """One row of the audit trail for each operation, reason and minute, whoever they were.

    It is written at the first attempt, the second, the fourth, the eighth …: a flood costs few writes too. What came
    since is added once somebody is denied in a later minute; a process that dies first takes less than half of the
    attempts with it, and never all. While the store is away they are remembered, until the minute is over.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._minute = datetime.min
        self._seen: Counter[tuple[str, str]] = Counter()
        self._written: Counter[tuple[str, str]] = Counter()

    def note(self, action: str, reason: str) -> None:
        """Somebody was denied `action` (``GET /orders``) for a `reason`, a refusal's code."""
        now = clock.machine_now().replace(second=0, microsecond=0)
        what = action, reason
        with self._lock:
            due = []
            if now != self._minute:
                due = [(self._minute, *one, left) for one, left in (self._seen - self._written).items()]
                self._minute, self._seen, self._written = now, Counter(), Counter()
            self._seen[what] += 1
            if self._seen[what].bit_count() == 1:
                due.append((now, *what, self._seen[what] - self._written[what]))
                self._written[what] = self._seen[what]
        for at, denied, why, times in due:
            try:
                trust.count_strangers(self._database, at, denied, why, times)
            except Exception as error:  # who is denied is denied, whether or not it can be written down now
                logs.get("audit").warning("strangers_not_counted", action=denied, times=times, why=repr(error))
                with self._lock:
                    if at == self._minute:
                        self._written[denied, why] -= times
