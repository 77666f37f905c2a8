"""What a service listens to and what it does when time or the outside world answers: three small registries.

on = Subscriptions("order")

@on(StockReserved)
def note_stock(event: StockReserved, tx: UnitOfWork) -> None: ...

due = Timers()

@due("payment_deadline", lock=store.groups.lock)
def ask_the_arbiter(tx: UnitOfWork, group_no: str) -> None: ...

calls = Intents()

@calls("open_attempt", settle=note_opened)
def open_attempt(node: Node, intent: Intent) -> Any: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.contracts.event import Fact, routing_key
from shared.storage.unit_of_work import Node, UnitOfWork

F = TypeVar("F", bound=Fact)
Handler = Callable[[Any, UnitOfWork], None]
Lock = Callable[[UnitOfWork, list[str]], Any]
TimerHandler = Callable[[UnitOfWork, str], None]


class Subscriptions:
    """A consumer: one handler per fact. `on.batch` names what a whole batch locks before its first write."""

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        self.handlers: dict[type[Fact], Handler] = {}
        self.before_batch: Callable[[Sequence[Fact], UnitOfWork], None] = lambda _facts, _tx: None

    def __call__(self, *facts: type[Fact]) -> Callable[[Callable[[F, UnitOfWork], None]], Any]:
        def register(handler: Callable[[F, UnitOfWork], None]) -> Callable[[F, UnitOfWork], None]:
            for fact in facts:
                if fact in self.handlers:
                    raise TypeError(f"{self.consumer} handles {fact.name} twice")
                self.handlers[fact] = handler
            return handler

        return register

    def batch(self, lock: Callable[[Sequence[Fact], UnitOfWork], None]) -> Callable[..., None]:
        """Called with a batch's new facts before their handlers: lock all they will write, in one sorted order."""
        self.before_batch = lock
        return lock

    def bindings(self) -> list[str]:
        """Routing keys this consumer's queue is bound to."""
        return sorted(routing_key(publisher, fact) for fact in self.handlers for publisher in fact.publishers)


@dataclass(frozen=True)
class _Timer:
    handler: TimerHandler
    lock: Lock


class Timers:
    """Deadlines by name. `lock` takes the aggregates' locks, before the timer rows', in the order handlers do."""

    def __init__(self) -> None:
        self.by_name: dict[str, _Timer] = {}

    def __call__(self, name: str, *, lock: Lock) -> Callable[[TimerHandler], TimerHandler]:
        def register(handler: TimerHandler) -> TimerHandler:
            self.by_name[name] = _Timer(handler, lock)
            return handler

        return register


@dataclass(frozen=True)
class Intent:
    """A call to be made. `key` is the provider's idempotency key: the same for every attempt."""

    id: int
    kind: str
    key: str
    data: dict[str, Any]
    attempts: int


Call = Callable[[Node, Intent], Any]
Settle = Callable[[UnitOfWork, Intent, Any], None]


@dataclass(frozen=True)
class _Call:
    call: Call
    settle: Settle
    delays: Sequence[float]


class Intents:
    """Calls by kind. The call runs with no transaction open; `settle` writes its result in one of its own.

    A call that raises is made again after `delays` (seconds, the last one repeated) with the same key: when the outcome
    of an earlier try is unknown it must first ask the provider. A final refusal is a result, not an exception.
    """

    def __init__(self) -> None:
        self.by_kind: dict[str, _Call] = {}

    def __call__(
        self, kind: str, *, settle: Settle, delays: Iterable[float] = (1, 5, 30, 60, 300)
    ) -> Callable[[Call], Call]:
        def register(call: Call) -> Call:
            self.by_kind[kind] = _Call(call, settle, tuple(delays))
            return call

        return register
