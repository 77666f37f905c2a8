"""What a bus may do to one consumer, as switches: each is the chance, from 0 to 1, that a batch of messages meets it.

    with misdelivered(consumer, duplicate=0.3, drop_before_ack=0.3, seed=7) as met:
        ...
    assert met["duplicate"]

The consumer is any: of the embedded platform, or a `Stage`'s. Its handlers, inbox and store are the real ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from unittest import mock

from shared.messaging.consumer import Consumer, Guard, Message
from shared.messaging.leases import LeaseLost

SWITCHES = ("duplicate", "delay", "reorder", "drop_before_ack", "crash_after_commit")


class NotYet(OSError):
    """The bus has not brought these messages yet."""


class _Misdelivery:
    def __init__(self, consumer: Consumer, chances: dict[str, float], seed: int) -> None:
        self.consumer, self.chances, self.rng = consumer, chances, Random(seed)
        self.met: Counter[str] = Counter()
        self.delayed: set[str] = set()
        self.real, self.run = consumer.handle, consumer._run

    def handle(self, messages: Sequence[Message], guard: Guard = lambda _tx: None) -> None:
        if self._meets("delay") and not self.delayed & {one.event_id for one in messages}:
            self.delayed |= {one.event_id for one in messages}  # late once, not for ever
            self.met["delay"] += 1
            raise NotYet("later")
        if len(messages) > 1 and self._meets("reorder"):
            messages = self._reordered(messages)
            self.met["reorder"] += 1
        if self._meets("drop_before_ack"):
            messages = self._dropped(messages, guard)
            self.met["drop_before_ack"] += 1
        self.real(messages, guard)
        if self._meets("crash_after_commit"):  # the acknowledgement never left; the bus counts the delivery
            self.real(_again(messages), guard)
            self.met["crash_after_commit"] += 1
        if self._meets("duplicate"):
            self.real(messages, guard)
            self.met["duplicate"] += 1

    def _meets(self, switch: str) -> bool:
        return self.rng.random() < self.chances.get(switch, 0.0)

    def _dropped(self, messages: Sequence[Message], guard: Guard) -> list[Message]:
        """The handlers run to their end, and the worker dies before the commit. Answers what the bus brings again."""

        def run_and_die(tx: object, fresh: list[Message]) -> None:
            self.run(tx, fresh)  # type: ignore[arg-type]
            raise LeaseLost("died before the commit")

        with mock.patch.object(self.consumer, "_run", run_and_die):
            try:
                self.real(messages, guard)
            except LeaseLost:
                return _again(messages)
        return list(messages)  # nothing in it was new

    def _reordered(self, messages: Sequence[Message]) -> list[Message]:
        """Mixed, but for the order within one publisher's partition, which every bus keeps."""
        streams: dict[tuple[str, str], list[Message]] = defaultdict(list)
        for one in messages:
            streams[one.agg.split("/")[0], one.partition_key].append(one)
        turns = [stream for stream in streams.values() for _ in stream]
        self.rng.shuffle(turns)
        return [stream.pop(0) for stream in turns]


def _again(messages: Sequence[Message]) -> list[Message]:
    return [replace(one, deliveries=one.deliveries + 1) for one in messages]


@contextmanager
def misdelivered(consumer: Consumer, *, seed: int = 0, **chances: float) -> Iterator[Counter[str]]:
    """See the module. Answers how often each switch was met. Raises ValueError for a switch that is none."""
    if unknown := sorted(set(chances) - set(SWITCHES)):
        raise ValueError(f"no such switch: {', '.join(unknown)}; there are {', '.join(SWITCHES)}")
    bus = _Misdelivery(consumer, chances, seed)
    with mock.patch.object(consumer, "handle", bus.handle):
        yield bus.met


Switch = Callable[..., Counter[str]]
