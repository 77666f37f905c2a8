"""What a service is made of: the two doors, the timers, the outside calls, and the tables they keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shared.contracts.event import REGISTRY, Fact
from shared.messaging.subscriptions import Intents, Subscriptions, Timers
from shared.storage.database import Database
from shared.storage.migrate import migrate
from shared.storage.types import MetaData
from shared.web.auth import listen_for_keys
from shared.web.door import Door


@dataclass(frozen=True)
class Service:
    """Declared once in each service's `app.py`."""

    name: str
    owns: str
    doors: tuple[Door, ...]
    on: Subscriptions
    metadata: MetaData
    timers: Timers = field(default_factory=Timers)
    intents: Intents = field(default_factory=Intents)

    def __post_init__(self) -> None:
        listen_for_keys(self.on)

    @property
    def migrations(self) -> Path:
        return Path(__file__).parents[2] / "services" / self.name / "migrations"

    def publishes(self) -> list[type[Fact]]:
        """The facts that are this service's to say."""
        return [REGISTRY[key] for key in sorted(REGISTRY) if key[0] == self.name]

    def migrate(self, database: Database) -> None:
        migrate(database, self.migrations, self.metadata)
