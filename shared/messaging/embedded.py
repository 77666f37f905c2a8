"""The embedded broker: all services in one process, no server. Same outbox, inbox, handlers and bytes.

The relay of each store hands its facts straight to the subscribers' event doors; the pointer is deleted only after
every subscriber committed (handled or kept the fact). A subscriber that fails keeps the fact in its own `inbox_retry`,
so one cannot block another; a subscriber whose store is away leaves the pointer where it is, and the inbox of the
others drops the repeats. One dispatcher at a time, held by a lock on a file.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.kernel import clock
from shared.messaging import consumer as door
from shared.messaging.broker import Outcome, Outgoing
from shared.messaging.clockwork import IntentRunner, TimerRunner
from shared.messaging.consumer import Consumer
from shared.messaging.relay import Relay
from shared.runtime.service import Service
from shared.storage.unit_of_work import Node
from shared.telemetry import logs, metrics
from shared.telemetry.faults import crash_point

POLL_SECONDS = 0.25


class Subscribers:
    """A publisher that is its own broker: facts go to the event doors of all services bound to them."""

    one_per_key = False

    def __init__(self, consumers: Sequence[Consumer]) -> None:
        self.consumers = [(consumer, frozenset(consumer.on.bindings())) for consumer in consumers]

    def publish(self, facts: Sequence[Outgoing]) -> Outcome:
        failed: dict[int, str] = {}
        for consumer, bindings in self.consumers:
            batch = [fact for fact in facts if fact.routing_key in bindings]
            for start in range(0, len(batch), 50):
                try:
                    consumer.handle([door.read(fact.body) for fact in batch[start : start + 50]])
                    crash_point("relay.after_publish")
                except Exception as error:
                    # That store is away. All the rest waits, for were it back in a moment, later facts would overtake
                    # these; the other subscribers go on.
                    failed |= {fact.pos: f"{consumer.on.consumer}: {error!r}" for fact in batch[start:]}
                    break
        blocked = {fact.partition_key for fact in facts if fact.pos in failed}
        return Outcome([f.pos for f in facts if f.pos not in failed and f.partition_key not in blocked], failed)

    def close(self) -> None: ...


class Dispatcher:
    """Relays, timers, retries and outside calls of a whole fleet in one process."""

    def __init__(self, fleet: Sequence[tuple[Service, Node]], lock_file: Path | None = None) -> None:
        self.fleet, self.lock_file = fleet, lock_file
        self.consumers = [Consumer(node, service.on) for service, node in fleet]
        publisher = Subscribers(self.consumers)
        self.relays = [Relay(node, publisher) for _, node in fleet]
        self.timers = [TimerRunner(node, service.timers) for service, node in fleet]
        self.intents = [IntentRunner(node, service.intents) for service, node in fleet if service.intents.by_kind]
        self._work, self._calls, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        for _, node in fleet:
            node.wake = self.wake

    def wake(self, _calls: bool = True) -> None:
        self._work.set()
        self._calls.set()

    def step(self) -> int:
        """One round over all stores, outside calls apart. Answers how much was done."""
        done = 0
        turns: list[Callable[[], int]] = [relay.step for relay in self.relays]
        turns += [timers.step for timers in self.timers]
        turns += [consumer.retry_due for consumer in self.consumers]
        for turn in turns:
            try:
                done += turn()
            except Exception:
                logs.get("embedded").exception("store_away")
        return done

    def call(self) -> int:
        """One round of outside calls. Answers how many settled."""
        return sum(runner.step() for runner in self.intents)

    def settle(self, rounds: int = 10_000) -> None:
        """Work until nothing is left to do now: for tests that hold everything in one thread."""
        for _ in range(rounds):
            if not self.step() + self.call():
                return
        raise RuntimeError("the fleet does not come to rest")

    def start(self) -> None:
        """Work in the background until `stop`."""
        for target in (self._dispatch, self._make_calls):
            thread = threading.Thread(target=target, name=f"embedded{target.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Finish the round under way, then return."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(timeout=25)

    def _dispatch(self) -> None:
        with _file_lock(self.lock_file, self._stop) as held:
            metrics.relay_leader.labels("embedded").set(int(held))
            while held and not self._stop.is_set():
                self._work.clear()
                if not self.step():
                    self._work.wait(POLL_SECONDS)

    def _make_calls(self) -> None:
        while not self._stop.is_set():
            self._calls.clear()
            try:
                done = self.call()
            except Exception:
                logs.get("embedded").exception("store_away")
                done = 0
            if not done:
                self._calls.wait(POLL_SECONDS)


class _file_lock:  # noqa: N801  (a context manager, used like a function)
    """Hold an exclusive lock on a file; wait for it in short tries so that a stop is heard."""

    def __init__(self, path: Path | None, stop: threading.Event) -> None:
        self.path, self.stop = path, stop

    def __enter__(self) -> bool:
        if self.path is None:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.path.open("w")
        while not self.stop.is_set():
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                clock.pause(POLL_SECONDS)
        return False

    def __exit__(self, *_: object) -> None:
        if self.path is not None:
            self.file.close()
