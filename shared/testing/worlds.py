"""The toy services on each of the three brokers, behind one face, so that one suite can try them all.

`settle` returns when all that was said has been dealt with by all who hear it (handled, or kept with a reason).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from shared.contracts.event import Fact
from shared.kernel import clock
from shared.kernel.settings import Settings
from shared.messaging import consumer as door
from shared.messaging.clockwork import IntentRunner, TimerRunner
from shared.messaging.consumer import Consumer
from shared.messaging.embedded import Dispatcher
from shared.messaging.memory import MemoryBroker
from shared.messaging.rabbit.topology import channel, queue_name
from shared.messaging.relay import Relay
from shared.messaging.worker import Worker
from shared.runtime.service import Service
from shared.storage.types import clock_offset, event_log, inbox, inbox_retry, intent, outbox, timer
from shared.storage.unit_of_work import Node
from shared.testing import toys

SECONDS = 30.0
SHORT = timedelta(seconds=2)


def eventually(done: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """The first true answer of `done`, asked often. Raises AssertionError when there is none in time."""
    deadline = clock.monotonic() + seconds
    while not (answer := done()):
        assert clock.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        clock.pause(0.02)
    return answer


@dataclass
class World:
    """Two toys with their stores. `expected` are the ids of messages from nowhere that `inventory` was sent."""

    account: Node
    inventory: Node
    services: dict[str, Service] = field(default_factory=dict)
    expected: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.services = {"account": toys.account(), "inventory": toys.inventory()}

    @property
    def fleet(self) -> list[tuple[Service, Node]]:
        return [(self.services["account"], self.account), (self.services["inventory"], self.inventory)]

    # --- what a test does -------------------------------------------------------------------------------------------

    def say(self, *facts: Fact) -> None:
        """`account` says this, in one transaction."""
        self.account.run(lambda tx: tx.emit(*facts))

    def send(self, body: bytes) -> None:
        """A message of any bytes into `inventory`'s queue."""
        self.expected.add(door.read(body).event_id)
        self._send(body)

    def bodies(self) -> list[bytes]:
        """What `account` has said, as it is published."""
        with self.account.database.read() as connection:
            return [
                bytes(b) for b in connection.execute(sa.select(event_log.c.body).order_by(event_log.c.pos)).scalars()
            ]

    def done(self) -> list[tuple[str, str]]:
        """What `inventory` has done, in order."""
        return toys.effects(self.inventory)

    def answered(self) -> list[tuple[str, str]]:
        """What `account` has done about what `inventory` said."""
        return toys.effects(self.account)

    def kept(self) -> list[Any]:
        """`inventory`'s messages that were not handled."""
        with self.inventory.database.read() as connection:
            return list(connection.execute(sa.select(inbox_retry).order_by(inbox_retry.c.no)))

    def hasten(self) -> None:
        """Let kept messages and outside calls that wait for their next try have it now."""
        with self.inventory.database.begin() as connection:
            connection.execute(intent.update().values(next_at=clock.machine_now() - timedelta(seconds=1)))
            connection.execute(
                inbox_retry.update()
                .where(inbox_retry.c.next_at.is_not(None))
                .values(next_at=clock.machine_now() - timedelta(seconds=1))
            )

    def advance(self, seconds: float) -> None:
        """Move `inventory`'s business time."""
        with self.inventory.database.begin() as connection:
            connection.execute(clock_offset.delete())
            connection.execute(clock_offset.insert().values(one=1, seconds=seconds))

    runs_by_itself = False
    """Whether things happen before `settle` is called."""

    # --- what a broker does -----------------------------------------------------------------------------------------

    def start(self) -> None: ...

    def stop(self) -> None:
        """In order: what is under way is finished."""

    def settle(self) -> None:
        raise NotImplementedError

    def _send(self, body: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.stop()
        self.account.close()
        self.inventory.close()

    # --- whether all is dealt with ----------------------------------------------------------------------------------

    def at_rest(self) -> bool:
        """Everything said was heard by all who listen, and nothing is due now."""
        if any(_busy(node) for node in (self.account, self.inventory)):  # asked before too: a timer may fire meanwhile
            return False
        known = {name: _known(node) for name, node in (("account", self.account), ("inventory", self.inventory))}
        wanted = {"account": _said(self.inventory, self.services["account"]), "inventory": set(self.expected)}
        wanted["inventory"] |= _said(self.account, self.services["inventory"])
        heard = all(wanted[name] <= known[name] for name in wanted)
        return heard and not any(_busy(node) for node in (self.account, self.inventory))


class MemoryWorld(World):
    """`rng` decides whom the broker serves next."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rng, self.broker = Random(7), MemoryBroker()
        self.start()

    def start(self) -> None:
        self.consumers = [Consumer(node, service.on) for service, node in self.fleet]
        for consumer in self.consumers:
            self.broker.subscribe(consumer)
        self.relays = [Relay(node, self.broker) for _, node in self.fleet]
        self.timers = [TimerRunner(node, service.timers) for service, node in self.fleet]
        self.calls = [IntentRunner(node, service.intents) for service, node in self.fleet]

    def settle(self) -> None:
        steps: list[Callable[[], int]] = [relay.step for relay in self.relays]
        steps += [timers.step for timers in self.timers]
        steps += [calls.step for calls in self.calls]
        steps += [consumer.retry_due for consumer in self.consumers]

        def work() -> bool:
            while sum(step() for step in steps) + self.broker.deliver(self.rng, duplicate=0.1, shuffle="streams"):
                continue
            return self.at_rest()  # unless something has become due just now

        eventually(work, "rest")

    def _send(self, body: bytes) -> None:
        self.broker.put("inventory", body)


class EmbeddedWorld(World):
    """The dispatcher in the test's own thread."""

    def settle(self) -> None:
        dispatcher = Dispatcher(self.fleet)

        def work() -> bool:
            dispatcher.settle()
            return self.at_rest()  # unless something has become due just now

        eventually(work, "rest")

    def _send(self, body: bytes) -> None:
        Consumer(self.inventory, self.services["inventory"].on).handle([door.read(body)])


class RabbitWorld(World):
    """A worker of each toy, in threads of the test's process."""

    runs_by_itself = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.workers: list[Worker] = []

    def start(self) -> None:
        subscribed = frozenset(key for service in self.services.values() for key in service.on.bindings())
        self.workers = [Worker(service, node, subscribed=subscribed, ttl=SHORT) for service, node in self.fleet]
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        for worker in self.workers:
            worker.stopping.set()
        for worker in self.workers:
            worker.stop()
            assert worker.exit_code == 0
        self.workers = []

    def settle(self) -> None:
        if not self.workers:
            self.start()
        eventually(self.at_rest, f"rest; kept {self.kept()}, done {len(self.done())}")

    def _send(self, body: bytes) -> None:
        if not self.workers:
            self.start()
        url = self.inventory.settings.broker_url
        eventually(lambda: self.workers[1].publisher and self.workers[1].publisher.connected, "the queue declared")
        with channel(url, "test") as on:
            on.confirm_delivery()
            on.basic_publish("", queue_name("inventory", 0), body)


def make_node(name: str, database_url: str, broker_url: str, folder: Path, **settings: Any) -> Node:
    vault = f"sqlite:///{folder}/vault.sqlite"
    made = Settings(
        service=name, database_url=database_url, vault_url=vault, broker_url=broker_url, env="test", pool_size=12,
        **settings,
    )  # fmt: skip
    return toys.prepare(Node(made))


def _said(speaker: Node, hearer: Service) -> set[str]:
    with speaker.database.read() as connection:
        rows = connection.execute(
            sa.select(event_log.c.event_id).where(event_log.c.routing_key.in_(hearer.on.bindings()))
        )
        return set(rows.scalars())


def _known(node: Node) -> set[str]:
    with node.database.read() as connection:
        handled = set(connection.execute(sa.select(inbox.c.event_id)).scalars())
        kept = sa.select(inbox_retry.c.event_id).where(inbox_retry.c.status != "started")
        return handled | set(connection.execute(kept).scalars())


def _busy(node: Node) -> bool:
    now = clock.machine_now()
    with node.database.read() as connection:
        due = (
            sa.select(outbox.c.pos),
            sa.select(intent.c.id),
            sa.select(timer.c.id).where(timer.c.due_at <= node.database.now(connection)),
            sa.select(inbox_retry.c.no).where(inbox_retry.c.next_at <= now),
            sa.select(inbox_retry.c.no).where(
                inbox_retry.c.status == "held",
                inbox_retry.c.agg.not_in(
                    sa.select(inbox_retry.c.agg).where(inbox_retry.c.status.in_(["failed", "dead"]))
                ),
            ),
        )
        return any(connection.execute(question.limit(1)).first() is not None for question in due)
