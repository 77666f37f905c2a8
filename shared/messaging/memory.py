"""A broker in memory that may be told to misbehave, for tests: it delivers in any order, twice, and late.

What a real broker promises is `shuffle="streams"`: facts of one publisher and one partition key in order, everything
else in any order, each of them once or more often. ``"all"`` keeps no order at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from shared.messaging import consumer as door
from shared.messaging.broker import Outcome, Outgoing
from shared.messaging.consumer import Consumer

Shuffle = Literal["none", "streams", "all"]


@dataclass
class Pending:
    """A message on its way to one consumer."""

    body: bytes
    stream: tuple[str, str]
    deliveries: int = 0


class MemoryBroker:
    """Queues per consumer. Not thread safe: the test that owns it decides what happens when."""

    one_per_key = False

    def __init__(self) -> None:
        self.consumers: dict[str, tuple[Consumer, frozenset[str]]] = {}
        self.queues: dict[str, list[Pending]] = {}

    def subscribe(self, consumer: Consumer) -> None:
        """Bind a consumer; another one of the same name takes its place and its queue."""
        self.consumers[consumer.on.consumer] = consumer, frozenset(consumer.on.bindings())
        self.queues.setdefault(consumer.on.consumer, [])

    def publish(self, facts: Sequence[Outgoing]) -> Outcome:
        """Confirms all: what is in a queue is safe (as long as the test runs)."""
        for fact in facts:
            publisher = fact.routing_key.split(".")[0]
            for name, (_, bindings) in self.consumers.items():
                if fact.routing_key in bindings:
                    self.queues[name].append(Pending(fact.body, (publisher, fact.partition_key)))
        return Outcome([fact.pos for fact in facts])

    def close(self) -> None: ...

    def put(self, consumer: str, body: bytes) -> None:
        """A message from anywhere, as it is."""
        self.queues[consumer].append(Pending(body, ("", "")))

    @property
    def pending(self) -> int:
        return sum(map(len, self.queues.values()))

    def deliver(
        self, rng: Random, *, duplicate: float = 0.0, lose_ack: float = 0.0, shuffle: Shuffle = "none", most: int = 50
    ) -> int:
        """Deliver one batch to one consumer, drawn by lot. Answers how many messages it had.

        `duplicate`: the chance that a message stays in its queue and comes again. `lose_ack`: the chance that the whole
        batch does, its delivery counted, as when a worker dies after its commit. An exception of the consumer leaves
        all of it in the queue.
        """
        waiting = sorted(name for name, queue in self.queues.items() if queue)
        if not waiting:
            return 0
        name = rng.choice(waiting)
        queue = self.queues[name]
        batch = self._draw(rng, queue, shuffle, rng.randint(1, most))
        for message in batch:
            message.deliveries += 1
        self.consumers[name][0].handle([door.read(message.body, message.deliveries - 1) for message in batch])
        if rng.random() >= lose_ack:
            done = {id(message) for message in batch if rng.random() >= duplicate}
            self.queues[name] = [message for message in queue if id(message) not in done]
        return len(batch)

    def _draw(self, rng: Random, queue: list[Pending], shuffle: Shuffle, size: int) -> list[Pending]:
        if shuffle == "none":
            return queue[:size]
        if shuffle == "all":
            return rng.sample(queue, min(size, len(queue)))
        left = list(queue)
        batch: list[Pending] = []
        while left and len(batch) < size:
            stream = rng.choice(left).stream
            head = next(message for message in left if message.stream == stream)
            left.remove(head)
            batch.append(head)
        return batch
