"""Tells the workers of a service, in other processes, that something was committed: a hint, never a promise.

The notification is sent after the commit and outside the business transaction (inside, it would take a lock of the
whole database at every commit). It may be lost: the workers look by themselves several times a second.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from shared.kernel import clock
from shared.storage.database import Database
from shared.telemetry import logs

CHANNEL = "caravan"
CALLS = "calls"
"""The payload that says: among what was committed is a call to the outside world."""
COALESCE_SECONDS = 0.02
RETRY_SECONDS = 1.0


class Notifier:
    """Call it after a commit: it returns at once and never raises. Its thread starts at the first call."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = threading.Lock()
        self._pid = 0
        self._wanted = threading.Event()
        self._calls = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, calls: bool) -> None:
        if self.database.is_sqlite or self._stop.is_set():
            return
        if self._pid != os.getpid():
            self._start()
        if calls:
            self._calls.set()
        self._wanted.set()

    def close(self) -> None:
        """Send what is wanted, then end the thread."""
        self._stop.set()
        self._wanted.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout=5)

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._wanted = threading.Event()
            self._thread = threading.Thread(target=self._run, name="wake", daemon=True)
            self._thread.start()
            self._pid = os.getpid()

    def _run(self) -> None:
        connection: Any = None
        while not self._stop.is_set():
            self._wanted.wait()
            self._wanted.clear()
            payload = CALLS if self._calls.is_set() else ""
            self._calls.clear()
            try:
                connection = connection or self.database.direct()
                connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])
                clock.pause(COALESCE_SECONDS)
            except Exception as error:
                logs.get("wake").warning("notify_failed", why=repr(error)[:200])
                _close(connection)
                connection = None
                self._stop.wait(RETRY_SECONDS)
        _close(connection)


def notifier(database: Database) -> Notifier:
    """What `Node.wake` is in a process whose relay may be another one. On SQLite it does nothing: the workers look."""
    return Notifier(database)


def _close(connection: Any) -> None:
    if connection is not None:
        connection.close()
