"""One service in a sandbox: its real handlers and timers on a store of its own in memory, with its time in our hands.

Nothing gets out. There is no relay, so what it says stays in its own log; an outside call stays a row until it is
answered from a recording; and its vault has no keys, so what is sealed stays sealed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from deploy.replay.calls import Called, answering, digest
from shared.contracts.event import Envelope, decode_envelope
from shared.kernel import clock
from shared.kernel.settings import Settings
from shared.messaging import consumer as door
from shared.messaging.clockwork import IntentRunner, TimerRunner
from shared.messaging.consumer import Consumer
from shared.messaging.subscriptions import Subscriptions
from shared.runtime.service import Service
from shared.storage import copies, inspect
from shared.storage.copies import Tables
from shared.storage.database import Database
from shared.storage.types import kit, timer
from shared.storage.unit_of_work import Node
from shared.storage.vault import Vault
from shared.storage.vault import metadata as vault_tables

MEMORY = "sqlite://"


class _Store(Database):
    """A store in memory whose business time is what it is told."""

    def __init__(self) -> None:
        super().__init__(MEMORY)
        self.moment = clock.machine_now()

    def now(self, connection: Any) -> datetime:
        return self.moment


class Sandbox:
    """See the module. `base`: what its tables hold at first; nothing if None."""

    def __init__(self, service: Service, base: Tables | None = None, on: Subscriptions | None = None) -> None:
        self.service, self.store = service, _Store()
        vault = Vault(MEMORY)
        vault_tables.create_all(vault.database.engine)
        settings = Settings(service=service.name, database_url=MEMORY, vault_url=MEMORY, env="test")
        self.node = Node(settings, self.store, vault)
        kit.create_all(self.store.engine)
        service.metadata.create_all(self.store.engine)
        if base is not None:
            with self.store.begin() as connection:
                copies.put(connection, [*service.metadata.sorted_tables, timer], base)
        self.consumer = Consumer(self.node, on or service.on)
        self._timers = TimerRunner(self.node, service.timers)

    def hear(self, *bodies: bytes, at: datetime) -> None:
        """Messages arrive in one batch, at this business time."""
        self.store.moment = at
        self.consumer.handle([door.read(body) for body in bodies])

    def retry(self) -> None:
        """Try everything that was kept once more, whatever its next try was to be."""
        for row in inspect.kept_rows(self.store):
            self.consumer.retry(row.no, counts=False)

    def ring(self, until: datetime) -> None:
        """Fire what is due by then, each at its own time, oldest first."""
        while (due := inspect.next_deadline(self.store)) is not None and due <= until:
            self.store.moment = due
            self._timers.step()
        self.store.moment = until

    def answered(self, called: Called, at: datetime) -> str:
        """A call of it is answered as it was, at this business time. Answers what is different about it, or ""."""
        self.store.moment = at
        asked = inspect.hurried_call(self.store, called.kind, called.key)
        if asked is None:
            return "was not asked"
        runner = IntentRunner(self.node, answering(self.service.intents, called))
        if not runner.run_now(called.kind, called.key):
            return "its answer could not be taken"
        return "" if digest(msgspec.json.decode(asked)) == called.asked else "something else was asked"

    def said(self) -> list[Envelope]:
        """What it said, in order; nobody heard it."""
        return [decode_envelope(body) for _, body in inspect.logged(self.store)]

    def kept(self) -> list[str]:
        """What it could not handle, and why."""
        return [f"{row.type} is {row.status}: {row.error}" for row in inspect.kept_rows(self.store)]

    def close(self) -> None:
        self.node.close()


def tables_of(service: Service, database: Database) -> Tables:
    """What a service's store holds: its own tables, and its deadlines to come."""
    return copies.copy(database, [*service.metadata.sorted_tables, timer])
