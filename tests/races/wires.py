"""Order, payment, inventory and shipping in memory, with what runs between them in our hands.

The services are the real ones (handlers, commands, timers, calls, stores). Messages, deadlines and outside calls are
taken apart into single moves, so that somebody else can decide which comes next; all of it can be photographed and set
back in a millisecond.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.inventory.app import service as inventory_service
from services.order.app import service as order_service
from services.payment.app import service as payment_service
from services.shipping.app import service as shipping_service
from shared.contracts.event import Fact, encode, routing_key
from shared.kernel.errors import OutsideUnavailable
from shared.kernel.ids import new_id
from shared.kernel.settings import Settings
from shared.messaging import consumer as door
from shared.messaging.clockwork import IntentRunner, TimerRunner
from shared.messaging.consumer import Consumer, Message
from shared.messaging.subscriptions import Intent
from shared.storage.database import Database
from shared.storage.types import kit
from shared.storage.unit_of_work import Cause, Node
from shared.storage.vault import Vault
from shared.storage.vault import metadata as vault_tables
from shared.web.auth import BUYER, Principal
from tests.races.outside import Carrier, Till

SERVICES = {s.name: s for s in (order_service, payment_service, inventory_service, shipping_service)}
CALLERS = ("payment", "shipping")
DAWN = datetime(2026, 5, 1, 8, tzinfo=UTC)
PAST = "2000-01-01T00:00:00.000000+00:00"


class Store(Database):
    """A store in memory whose business time is the quarter's."""

    def __init__(self, wires: Wires) -> None:
        super().__init__("sqlite://")
        self.wires = wires
        self.raw: Any = self.engine.raw_connection().driver_connection
        self.raw.execute("PRAGMA page_size = 512")  # many small tables: a photograph is a fifth of what it were

    def now(self, connection: Any) -> datetime:
        return self.wires.now


@dataclass(frozen=True)
class Underway:
    """A call that was made and whose answer is not written down yet."""

    service: str
    intent: Intent
    cause: Cause
    answer: Any


@dataclass(frozen=True)
class Photograph:
    """Every store's bytes, compressed, and the things in memory."""

    stores: dict[str, bytes]
    things: dict[str, Any]


class Wires:
    """See the module. `queues[consumer][publisher]` is what is on its way, in the order in which it was said."""

    def __init__(self) -> None:
        self.now = DAWN
        vault = Vault("sqlite://")
        vault_tables.create_all(vault.database.engine)
        self.nodes: dict[str, Node] = {}
        for name, service in SERVICES.items():
            settings = Settings(service=name, database_url="sqlite://", vault_url="sqlite://", env="test")
            node = self.nodes[name] = Node(settings, Store(self), vault)
            kit.create_all(node.database.engine)
            service.metadata.create_all(node.database.engine)
        self.stores: dict[str, Any] = {name: node.database for name, node in self.nodes.items()}
        self.consumers = {name: Consumer(node, SERVICES[name].on) for name, node in self.nodes.items()}
        self.bindings = {name: frozenset(service.on.bindings()) for name, service in SERVICES.items()}
        self.timers = {name: TimerRunner(node, SERVICES[name].timers) for name, node in self.nodes.items()}
        self.callers = {name: IntentRunner(self.nodes[name], SERVICES[name].intents) for name in CALLERS}
        self.till = Till(lambda: self.now)
        self.nodes["payment"].outside["channels"] = {"sandbox": self.till}
        self.nodes["shipping"].outside["sandbox"] = Carrier()
        self.images: dict[str, bytes] = {}
        self.touched = set(SERVICES)
        self.queues: dict[str, dict[str, list[Message]]] = {name: defaultdict(list) for name in SERVICES}
        self.heard: list[tuple[str, Message]] = []
        self.underway: list[Underway] = []
        self.read_to: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.buyer = Principal(new_id(), frozenset({BUYER}), new_id())
        self.group_no = ""
        vault.create(self.buyer.account_id)

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()

    # --- set up, photographed, set back ------------------------------------------------------------------------------

    def photograph(self) -> Photograph:
        """All there is now. What did not change since the last one, or since it was set back, is shared with it."""
        self.images |= {name: zlib.compress(self.stores[name].raw.serialize(), 1) for name in self.touched}
        self.touched.clear()
        return Photograph(dict(self.images), {name: _copy(getattr(self, name)) for name in _THINGS})

    def set_back(self, photograph: Photograph) -> None:
        for name, image in photograph.stores.items():
            if name in self.touched or self.images[name] is not image:
                self.stores[name].raw.deserialize(zlib.decompress(image))
        self.images, self.touched = dict(photograph.stores), set()
        for name, thing in photograph.things.items():
            setattr(self, name, _copy(thing))
        self.nodes["payment"].outside["channels"] = {"sandbox": self.till}

    # --- what is said, and heard -------------------------------------------------------------------------------------

    def publish(self, *facts: Fact) -> None:
        """Services that are not here say something."""
        for fact in facts:
            publisher = fact.publishers[0]
            self.told[publisher] += 1
            body = encode(
                fact, publisher=publisher, event_id=new_id(), time=self.now, sequence=self.told[publisher],
                correlation_id=new_id(), causation_id="test",
            )  # fmt: skip
            self._send(publisher, routing_key(publisher, type(fact)), body)

    def collect(self, name: str) -> None:
        """Put what a service has just committed on its way, as its relay does: in order, to all who listen."""
        self.touched.add(name)
        rows = self.stores[name].raw.execute(
            "SELECT pos, routing_key, body FROM event_log WHERE pos > ? ORDER BY pos", (self.read_to[name],)
        )
        for pos, key, body in rows.fetchall():
            self.read_to[name] = pos
            self._send(name, key, body)

    def _send(self, publisher: str, key: str, body: bytes) -> None:
        message = door.read(body)
        for name, bindings in self.bindings.items():
            if key in bindings:
                self.queues[name][publisher].append(message)

    def on_their_way(self) -> Iterator[tuple[str, str]]:
        """Consumer and publisher of every message that may arrive next."""
        for name, queues in self.queues.items():
            for publisher, messages in queues.items():
                if messages:
                    yield name, publisher

    def deliver(self, name: str, publisher: str) -> None:
        message = self.queues[name][publisher].pop(0)
        self.heard.append((name, message))
        self.hear(name, message)

    def hear(self, name: str, message: Message) -> None:
        self.consumers[name].handle([message])
        self.collect(name)

    def deliver_all(self) -> None:
        while ways := list(self.on_their_way()):
            self.deliver(*ways[0])

    # --- deadlines and outside calls ---------------------------------------------------------------------------------

    def deadline(self, name: str) -> datetime | None:
        """When the service's next timer is due."""
        due = self.stores[name].raw.execute("SELECT min(due_at) FROM timer").fetchone()[0]
        return datetime.fromisoformat(due) if due else None

    def ring(self, name: str) -> None:
        """It is late enough for the service's next timer."""
        due = self.deadline(name)
        if due is not None:
            self.now = max(self.now, due)
            self.timers[name].step()
            self.collect(name)

    def intents(self, name: str) -> list[tuple[str, str]]:
        """Kind and key of the calls that nobody is making."""
        made = {one.intent.id for one in self.underway if one.service == name}
        rows = self.stores[name].raw.execute("SELECT id, kind, key FROM intent ORDER BY id").fetchall()
        return [(kind, key) for number, kind, key in rows if number not in made]

    def call(self, name: str, kind: str, key: str) -> None:
        """Make a call; what it answers is not written down yet."""
        self.touched.add(name)
        self.stores[name].raw.execute("UPDATE intent SET next_at = ? WHERE kind = ? AND key = ?", (PAST, kind, key))
        for one, cause in self.callers[name].claim(1, kind, key):
            try:
                answer = SERVICES[name].intents.by_kind[kind].call(self.nodes[name], one)
            except OutsideUnavailable:
                return
            self.underway.append(Underway(name, one, cause, answer))

    def write_down(self, one: Underway) -> None:
        """The answer of a call is written down."""
        self.underway.remove(one)
        self.nodes[one.service].run(lambda tx: self.callers[one.service]._settle(tx, one.intent, one.answer), one.cause)
        self.collect(one.service)


_THINGS = ("now", "till", "queues", "heard", "underway", "read_to", "told", "group_no")


def _copy(thing: Any) -> Any:
    """Messages, charges and answers are never changed and so are shared; what holds them is copied."""
    match thing:
        case defaultdict():
            return defaultdict(list, {key: list(value) for key, value in thing.items()})
        case dict():
            return type(thing)({key: _copy(value) for key, value in thing.items()})
        case list():
            return list(thing)
        case Till():
            return Till(**{name: _copy(value) for name, value in vars(thing).items()})
        case _:
            return thing
