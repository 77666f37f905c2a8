"""A new consumer builds itself from the logs and goes live without a gap, while everybody works.

First it is bound, so that whatever is said from now on reaches it, and is set aside; then it hears the logs from their
beginning to their end; then what was set aside, of which its inbox drops what the logs told it already. Dies it on the
way, it starts again: nothing that was set aside is anywhere but in the logs too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from deploy.ops.replay.logs import Stores, read
from shared.messaging import consumer as door
from shared.messaging.consumer import Consumer, Guard, Message
from shared.messaging.embedded import Dispatcher
from shared.messaging.rabbit import declare
from shared.messaging.subscriptions import Subscriptions
from shared.storage.unit_of_work import Node

BATCH = 50


class Newcomer(Consumer):
    """A consumer that sets aside what it is delivered until it is live."""

    def __init__(self, node: Node, on: Subscriptions) -> None:
        super().__init__(node, on)
        self.live = False
        self._aside: list[Message] = []
        self._lock = threading.RLock()

    def handle(self, messages: Sequence[Message], guard: Guard = lambda _tx: None) -> None:
        with self._lock:
            if self.live:
                super().handle(messages, guard)
            else:
                self._aside += messages

    def catch_up(self, stores: Stores) -> int:
        """Hear the logs, from their beginning to where they end now. Answers how many facts they held."""
        count, batch = 0, list[Message]()
        for one in read(stores, self.on.bindings()):
            batch.append(door.read(one.fact.body))
            count += 1
            if len(batch) == BATCH:
                super().handle(batch)
                batch = []
        if batch:
            super().handle(batch)
        return count

    def go_live(self) -> int:
        """Hear what was set aside, then whatever comes. Answers how much was set aside."""
        with self._lock:
            aside, self._aside = self._aside, []
            for start in range(0, len(aside), BATCH):
                super().handle(aside[start : start + BATCH])
            self.live = True
            return len(aside)


def bootstrap(newcomer: Newcomer, stores: Stores, bind: Callable[[Newcomer], None]) -> tuple[int, int]:
    """`bind` makes the bus keep or deliver what it is to hear: `join` or `declared_at`. With a broker what arrives
    waits in the queue, so nothing is set aside, and workers are started afterwards.

    Answers how many facts the logs held and how many were set aside.
    """
    bind(newcomer)
    return newcomer.catch_up(stores), newcomer.go_live()


def join(dispatcher: Dispatcher) -> Callable[[Newcomer], None]:
    """How a consumer is bound in the embedded mode."""

    def bind(newcomer: Newcomer) -> None:
        dispatcher.publisher.consumers.append((newcomer, frozenset(newcomer.on.bindings())))

    return bind


def declared_at(broker_url: str, shards: int = 1) -> Callable[[Newcomer], None]:
    """How a consumer is bound at a broker. The URL's user must be allowed to declare."""
    return lambda newcomer: declare(broker_url, newcomer.on.consumer, newcomer.on.bindings(), shards)
