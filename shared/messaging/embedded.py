"""The embedded broker: all services in one process, no server. Same outbox, inbox, handlers and bytes.

The relay of each store hands its facts straight to the subscribers' event doors; the pointer is deleted only after
every subscriber committed (handled or kept the fact). A subscriber that fails keeps the fact in its own `inbox_retry`,
so one cannot block another; a subscriber whose store is away leaves the pointer where it is, and the inbox of the
others drops the repeats. One dispatcher at a time, held by a lock on a file.
"""

from __future__ import annotations

import fcntl
import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from shared.kernel import clock
from shared.messaging import consumer as door
from shared.messaging.broker import Outcome, Outgoing
from shared.messaging.clockwork import IntentRunner, TimerRunner
from shared.messaging.consumer import Consumer
from shared.messaging.glance import glance
from shared.messaging.relay import Relay
from shared.runtime.service import Service
from shared.storage.unit_of_work import Node
from shared.telemetry import logs, metrics
from shared.telemetry.faults import crash_point

POLL_SECONDS = 0.25


class Subscribers:
    """A publisher that is its own broker: facts go to the event doors of all services bound to them."""

    one_per_key = False

    def __init__(self, consumers: Sequence[Consumer], heard: Callable[[str], None] = lambda _service: None) -> None:
        """`heard` is told of each service that took something in: what it keeps may go on now."""
        self.consumers = [(consumer, frozenset(consumer.on.bindings())) for consumer in consumers]
        self.heard = heard

    def publish(self, facts: Sequence[Outgoing]) -> Outcome:
        failed: dict[int, str] = {}
        for consumer, bindings in self.consumers:
            batch = [fact for fact in facts if fact.routing_key in bindings]
            for start in range(0, len(batch), 50):
                try:
                    consumer.handle([door.read(fact.body) for fact in batch[start : start + 50]])
                    self.heard(consumer.node.name)
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
        self.lock_file = lock_file
        self.consumers = {node.name: Consumer(node, service.on) for service, node in fleet}
        self._works, self._calls = _Rounds(self.consumers), _Rounds(self.consumers)
        self.publisher = Subscribers(list(self.consumers.values()), self._works.wake)
        self._stores = {node.name: node.database for _, node in fleet}
        self._turns: dict[str, dict[str, Callable[[], int]]] = {
            node.name: {
                "facts": Relay(node, self.publisher).step,
                "timers": TimerRunner(node, service.timers).step,
                "kept": self.consumers[node.name].retry_due,
                "calls": IntentRunner(node, service.intents).step,
            }
            for service, node in fleet
        }
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        for _, node in fleet:
            node.wake = functools.partial(self._left_something, node.name)

    def wake(self) -> None:
        """There may be something to do in any of the stores."""
        self._works.wake(*self._turns)
        self._calls.wake(*self._turns)

    def settle(self, rounds: int = 10_000) -> None:
        """Work until nothing is left to do now: for tests that hold everything in one thread."""
        for _ in range(rounds):
            if not sum(self._work(name) + self._call(name) for name in self._turns):
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

    def _left_something(self, service: str, calls: bool) -> None:
        self._works.wake(service)
        if calls:
            self._calls.wake(service)

    def _work(self, service: str) -> int:
        """One turn at a store, outside calls apart. Answers how much was done."""
        return self._turn(service, "facts", "timers", "kept")

    def _call(self, service: str) -> int:
        """One turn of outside calls. Answers how many settled."""
        return self._turn(service, "calls")

    def _turn(self, service: str, *kinds: str) -> int:
        done = 0
        try:
            found = glance(self._stores[service])
        except Exception:
            logs.get("embedded").exception("store_away")
            return 0
        for kind in kinds:
            try:
                done += self._turns[service][kind]() if getattr(found, kind) else 0
            except Exception:
                logs.get("embedded").exception("store_away")
        return done

    def _dispatch(self) -> None:
        with _file_lock(self.lock_file, self._stop) as held:
            metrics.relay_leader.labels("embedded").set(int(held))
            if held:
                self._go_round(self._works, self._work)

    def _make_calls(self) -> None:
        self._go_round(self._calls, self._call)

    def _go_round(self, rounds: _Rounds, turn: Callable[[str], int]) -> None:
        while not self._stop.is_set():
            for service in rounds.next():
                if turn(service):
                    rounds.wake(service)


class _Rounds:
    """Which stores to look at next: those that somebody left something in, and several times a second all of them."""

    def __init__(self, services: Iterable[str]) -> None:
        self._all, self._woken = tuple(services), set[str]()
        self._bell = threading.Event()
        self._all_at = 0.0

    def wake(self, *services: str) -> None:
        self._woken.update(one for one in services if one in self._all)  # a consumer that joined works by itself
        self._bell.set()

    def next(self) -> Sequence[str]:
        """Returns once there is something to look at."""
        self._bell.wait(max(0.0, self._all_at - clock.monotonic()))
        self._bell.clear()
        woken = []
        while self._woken:
            woken.append(self._woken.pop())
        if clock.monotonic() < self._all_at:
            return woken
        self._all_at = clock.monotonic() + POLL_SECONDS
        return self._all


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
