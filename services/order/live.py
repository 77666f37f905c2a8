"""Waiting for an order to move: held GETs and Server-Sent Events, on the order's own history.

One watcher a process polls the history for news and wakes those who wait; they then read the truth themselves, so a
missed wake-up costs a second, never an answer. On the stack this runs in a process of its own (gevent).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from services.order import queries
from shared.kernel import clock
from shared.kernel.errors import Unavailable
from shared.storage.unit_of_work import Node
from shared.telemetry import logs

POLL_SECONDS = 0.1
RECHECK_SECONDS = 1.0
MOST_WAITERS = 500


class TooManyWaiting(Unavailable):
    """Too many clients wait for orders at this moment; poll, or try again."""


class Watcher:
    """Wakes waiters of orders that moved. Starts with the first waiter and sleeps when there is none."""

    def __init__(self, node: Node, most: int = MOST_WAITERS) -> None:
        self.node, self.most = node, most
        self._events: dict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._running = False

    @contextmanager
    def waiter(self, order_no: str) -> Iterator[threading.Event]:
        """An event that is set whenever the order may have moved. Raises TooManyWaiting."""
        event = threading.Event()
        with self._lock:
            if sum(map(len, self._events.values())) >= self.most:
                raise TooManyWaiting(retry_after=2)
            self._events[order_no].add(event)
            if not self._running:
                self._running = True
                threading.Thread(target=self._watch, name="order-watcher", daemon=True).start()
        try:
            yield event
        finally:
            with self._lock:
                self._events[order_no].discard(event)
                if not self._events[order_no]:
                    del self._events[order_no]

    def _watch(self) -> None:
        last: int | None = None
        while True:
            with self._lock:
                if not self._events:
                    self._running = False
                    return
            try:
                last = self._look(last)
            except Exception as error:
                logs.get("order").warning("watcher_blind", why=repr(error))
                clock.pause(RECHECK_SECONDS)
            clock.pause(POLL_SECONDS)

    def _look(self, last: int | None) -> int:
        with self.node.database.read() as connection:
            if last is None:
                return queries.latest(connection)
            last, moved = queries.moved_after(connection, last)
        with self._lock:
            for order_no in moved & self._events.keys():
                for event in self._events[order_no]:
                    event.set()
        return last
