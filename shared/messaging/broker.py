"""What the kit asks of a broker. Three keep the promise: RabbitMQ, the embedded dispatcher, and memory (for tests)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Outgoing:
    """One fact on its way out: the bytes as stored, and where they go."""

    pos: int
    event_id: str
    routing_key: str
    partition_key: str
    body: bytes


@dataclass
class Outcome:
    """Of one publish: positions that are safe with every subscriber's queue or store, and why the others are not."""

    confirmed: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


class Publisher(Protocol):
    """Takes facts from one service's relay. Called by one thread at a time."""

    one_per_key: bool
    """Whether a window may hold only one unconfirmed fact per partition key (a nack could let a later one overtake)."""

    def publish(self, facts: Sequence[Outgoing]) -> Outcome:
        """Publish in order and answer once each fact is confirmed or given up for this round. Never raises."""
        ...

    def close(self) -> None: ...
