"""A worker process of one service: its shards, relay, timers, retries and outside calls. Any number may run.

What must not be done by two at once is leased: each shard, the timers, the retries, the housekeeping; the relay holds
a lock of the store's session instead. A worker competes for all of it and gets its share. When the store or the broker
is away, every part waits for it with a growing pause; the process ends only when it is told to, or by a fault of its
own (then it exits with 1 and whoever supervises it starts another).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Container
from datetime import timedelta
from random import uniform

import psycopg

from shared.kernel import clock
from shared.messaging import leases
from shared.messaging.clockwork import IntentRunner, TimerRunner
from shared.messaging.consumer import Consumer, Guard
from shared.messaging.housekeeping import Housekeeper
from shared.messaging.leases import Held, LeaseLost
from shared.messaging.rabbit import RabbitConsumer, RabbitPublisher, declare, dlq_name, drain, queue_name
from shared.messaging.relay import WINDOW, Relay
from shared.runtime.service import Service
from shared.runtime.wake import CALLS, CHANNEL, Notifier
from shared.storage.database import is_conflict, is_infrastructure
from shared.storage.locks import SessionLock
from shared.storage.unit_of_work import Node
from shared.telemetry import logs, metrics

RELAY_LOCK = 7_310_020
RELAY_POLL, TIMER_POLL, RETRY_POLL, CALL_POLL, HOUSE_POLL = 0.25, 0.5, 1.0, 0.5, 10.0
STANDBY = 1.0
PACE = 0.04
"""After a turn of the relay: what is said meanwhile goes out together. It bounds the turns a second under load."""
CALLERS = 4
MAX_PAUSE = 30.0
LEAVE_SECONDS = 24.0


class Worker:
    """`run` until SIGTERM, or `start` and `stop` from another thread (tests).

    `subscribed`: routing keys that some service hears, None when unknown; see `RabbitPublisher`.
    """

    def __init__(
        self,
        service: Service,
        node: Node,
        *,
        subscribed: Container[str] | None = None,
        ttl: timedelta = leases.TTL,
    ) -> None:
        self.service, self.node, self.ttl, self.subscribed = service, node, ttl, subscribed
        self.owner = leases.owner_name()
        self.consumer = Consumer(node, service.on)
        self.timers = TimerRunner(node, service.timers)
        self.intents = IntentRunner(node, service.intents)
        self.housekeeper = Housekeeper(node, service.on.consumer)
        self.stopping = threading.Event()
        self.exit_code = 0
        self.shards: dict[int, _Shard] = {}
        self.relaying = False
        self.ticks: dict[str, float] = {}
        self._work, self._calls = threading.Event(), threading.Event()
        self._lookout = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._notify = Notifier(node.database)
        self.publisher: RabbitPublisher | None = None
        node.wake = self.wake

    def wake(self, calls: bool) -> None:
        """Something was committed here: for our own relay and callers, or for another process's relay."""
        if calls:
            self._calls.set()
        if self.relaying:
            self._work.set()
        else:
            self._notify(calls)

    def run(self) -> int:
        """Work until SIGTERM or SIGINT. Answers the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        self.start()
        self.stopping.wait()
        self._deadline()
        self.stop()
        return self.exit_code

    def start(self) -> None:
        settings = self.node.settings
        publisher = self.publisher = RabbitPublisher(
            settings.broker_url, self.node.name, self.subscribed, prepare=self._declare, changed=self._work.set
        )
        self._spawn("relay", lambda: self._relay(publisher))
        self._spawn("shards", self._shards)
        self._spawn("timers", lambda: self._lead("timers", self.timers.step, TIMER_POLL))
        self._spawn("retries", lambda: self._lead("retries", self.consumer.retry_due, RETRY_POLL))
        self._spawn("house", lambda: self._lead("house", self._keep_house, HOUSE_POLL))
        self._spawn("gauges", self._gauges)
        if self.service.intents.by_kind:
            for no in range(CALLERS):
                self._spawn(f"calls.{no}", self._call)
        if not self.node.database.is_sqlite:
            self._spawn("listen", self._listen)
        logs.get("worker").info("worker_started", owner=self.owner)

    def stop(self) -> None:
        """Finish what is under way: batches, confirms, calls. Then give everything back."""
        self.stopping.set()
        self._work.set()
        self._calls.set()
        for thread in self._threads:
            thread.join(LEAVE_SECONDS)
        if self.publisher is not None:
            self.publisher.close()
        self._notify.close()
        logs.get("worker").info("worker_stopped", owner=self.owner, exit_code=self.exit_code)

    # --- threads ----------------------------------------------------------------------------------------------------

    def _deadline(self) -> None:
        """Whatever hangs, the process is gone in time; a kill is as safe as an orderly end."""
        last = threading.Timer(LEAVE_SECONDS, lambda: os._exit(1))
        last.daemon = True
        last.start()

    def _spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        def body() -> None:
            try:
                target()
            except BaseException:
                logs.get("worker").exception("thread_died", thread=name)
                self.exit_code = 1
                self.stopping.set()
            finally:
                self.ticks.pop(name, None)

        self._tick(name)
        thread = threading.Thread(target=body, name=name, daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()
        return thread

    def _tick(self, name: str) -> None:
        self.ticks[name] = clock.monotonic()

    def _again(self, name: str, turn: Callable[[], float]) -> None:
        """Call `turn` until we stop; it answers how long to wait. While the store is away, pause longer and longer."""
        pause = 1.0
        while not self.stopping.is_set():
            self._tick(name)
            try:
                wait, pause = turn(), 1.0
            except Exception as error:
                if not _passes(error):
                    raise
                logs.get("worker").warning("store_away", thread=name, why=repr(error)[:300])
                wait = uniform(0.5, 1.0) * pause
                pause = min(MAX_PAUSE, pause * 2)
            if wait:
                self.stopping.wait(wait)

    def _lead(self, name: str, step: Callable[[Guard], int], poll: float) -> None:
        """Do `step` again and again under the lease `name`, whenever we are the one who has it."""
        held: Held | None = None

        def turn() -> float:
            nonlocal held
            if held is None:
                lease = leases.acquire(self.node.database, name, self.owner, self.ttl)
                if lease is None:
                    return min(STANDBY, self.ttl.total_seconds() / 3)
                held = Held(self.node.database, lease, self.ttl)
            try:
                held.keep()
                return 0.0 if step(held.lease) else poll
            except LeaseLost:
                logs.get("worker").warning("lease_lost", lease=name)
                held = None
                return 0.0

        self._again(name, turn)
        if held is not None:
            self._give_back(held)

    def _give_back(self, held: Held) -> None:
        with contextlib.suppress(Exception):  # the store may be away; then the lease runs out by itself
            held.release()

    # --- what they do -----------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        if self.node.settings.declare:
            settings = self.node.settings
            declare(settings.broker_url, self.service.on.consumer, self.service.on.bindings(), settings.shards)

    def _relay(self, publisher: RabbitPublisher) -> None:
        lock = SessionLock(self.node.database, "relay", RELAY_LOCK)
        relay = Relay(self.node, publisher, lock)

        def turn() -> float:
            self.relaying = lock.held()
            metrics.relay_leader.labels(self.node.name).set(int(self.relaying))
            if not self.relaying:
                return STANDBY
            self._work.clear()
            published = relay.step()
            if not published and not self.stopping.is_set():
                self._work.wait(RELAY_POLL)
            return PACE if 0 < published < WINDOW else 0.0

        try:
            self._again("relay", turn)
        finally:
            self.relaying = False
            lock.release()

    def _shards(self) -> None:
        """Hold our share of the shards; together the workers' shares are all of them."""
        number = self.node.settings.shards
        database = self.node.database
        present: Held | None = None

        def turn() -> float:
            nonlocal present
            try:
                if present is None:
                    mine = leases.acquire(database, leases.WORKER + self.owner, self.owner, self.ttl)
                    present = Held(database, mine, self.ttl) if mine else None  # it is nobody else's to take
                if present is not None:
                    present.keep()
            except LeaseLost:
                present = None
                return 0.0
            share = leases.share(database, self.owner, number)
            self.shards = {no: shard for no, shard in self.shards.items() if shard.thread.is_alive()}
            staying = [shard for shard in self.shards.values() if not shard.leave.is_set()]
            for shard in staying[share:]:
                shard.leave.set()
            for no in range(number):
                if len(self.shards) < share and no not in self.shards:
                    lease = leases.acquire(database, f"shard.{no}", self.owner, self.ttl)
                    if lease is not None:
                        self.shards[no] = _Shard(self, no, Held(database, lease, self.ttl))
            return min(STANDBY, self.ttl.total_seconds() / 4)

        self._again("shards", turn)
        for shard in self.shards.values():
            shard.leave.set()
        for shard in self.shards.values():
            shard.thread.join(LEAVE_SECONDS)
        if present is not None:
            self._give_back(present)

    def _call(self) -> None:
        def turn() -> float:
            # One looks out for work; who found a call makes it, and leaves the lookout to the next.
            if not self._lookout.acquire(timeout=STANDBY):
                return 0.0
            try:
                if self.stopping.is_set():
                    return 0.0
                self._calls.clear()
                found = self.intents.claim(1)
                if not found:
                    self._calls.wait(CALL_POLL)
                    return 0.0
            finally:
                self._lookout.release()
            for one, cause in found:
                self.intents.work(one, cause)
            return 0.0

        self._again(threading.current_thread().name, turn)

    def _listen(self) -> None:
        """Hear other processes' commits (see `shared.runtime.wake`)."""

        def turn() -> float:
            with self.node.database.direct() as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                while not self.stopping.is_set():
                    self._tick("listen")
                    for heard in connection.notifies(timeout=1.0, stop_after=1):
                        self._work.set()
                        if heard.payload == CALLS:
                            self._calls.set()
            return 0.0

        self._again("listen", turn)

    def _gauges(self) -> None:
        def turn() -> float:
            self.housekeeper.measure()
            return 5.0

        self._again("gauges", turn)

    def _keep_house(self, guard: Guard) -> int:
        """Remove what is too old to matter, and fetch what the broker gave up delivering."""
        removed = self.housekeeper.purge(guard)
        if self.publisher is not None and self.publisher.connected:
            with contextlib.suppress(Exception):  # the broker may just be going away; there is a next time
                drain(self.node.settings.broker_url, dlq_name(self.service.on.consumer), self.consumer.bury)
        return removed


class _Shard:
    """One shard being worked: its thread, its consumer, and the wish that it may end."""

    def __init__(self, worker: Worker, no: int, held: Held) -> None:
        settings = worker.node.settings
        self.worker, self.no, self.held, self.leave = worker, no, held, threading.Event()
        self.consumer = RabbitConsumer(
            settings.broker_url,
            queue_name(worker.service.on.consumer, no),
            worker.consumer.handle,
            prepare=worker._declare,
            strict=f"//{worker.node.name}:" in settings.broker_url,
        )
        self.thread = worker._spawn(f"shard.{no}", self._run)

    def _run(self) -> None:
        try:
            self.consumer.run(self.held, self.leave)
        except LeaseLost:
            logs.get("worker").warning("lease_lost", lease=f"shard.{self.no}")
        self.worker._give_back(self.held)  # after the channel is closed, never before


def _passes(error: BaseException) -> bool:
    """Whether waiting helps: the store is away, or everybody wants the same rows."""
    return isinstance(error, psycopg.OperationalError) or is_infrastructure(error) or is_conflict(error)
