"""The platform as operators' tools see it: every service's node and, where there is one, the broker.

Described by JSON (CARAVAN_OPS, or the file CARAVAN_OPS_FILE), `{stores, readers, shards, broker, management}`:
`stores`, `readers` and `shards` by service, `broker` an AMQP URL that may declare for all, `management` the root of the
broker's HTTP API with name and password and its virtual host as path. What looks goes to `readers`, by a role that may
write nothing; what people decide on (dead letters, replay, the topology's trail) to `stores`, by their owners. Without
`readers` all goes to `stores`. The stack writes it; elsewhere whoever knows the passwords does. The embedded mode needs
none: its folder says it all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from deploy import fleet
from deploy.fleet import FLEET
from shared.kernel.settings import BadSettings, Settings
from shared.messaging.dead_letters import DeadLetters
from shared.runtime.service import Service
from shared.storage.database import Database
from shared.storage.unit_of_work import Node

NO_VAULT = "sqlite://"
"""Operators' tools open no personal data."""


class Described(msgspec.Struct):
    """The JSON."""

    stores: dict[str, str]
    readers: dict[str, str] = {}
    shards: dict[str, int] = {}
    broker: str = ""
    management: str = ""


@dataclass
class Platform:
    """See the module. By service: `nodes` may write, `readers` not; `broker` and `management` are empty where there is
    none. `broken`: what the last look at its promises found broken (`deploy.ops.promises`)."""

    nodes: Mapping[str, Node]
    readers: Mapping[str, Node] = field(default_factory=dict)
    shards: Mapping[str, int] = field(default_factory=dict)
    broker: str = ""
    management: str = ""
    broken: frozenset[str] = frozenset()

    @property
    def stores(self) -> dict[str, Database]:
        """To look into."""
        return {name: self.reader(name).database for name in self.nodes}

    def reader(self, name: str) -> Node:
        return self.readers.get(name, self.nodes[name])

    @property
    def embedded(self) -> bool:
        """Whether all services are one process, without a broker."""
        return not self.broker

    def service(self, name: str) -> Service:
        return fleet.member(name).service

    def subscribers(self) -> dict[str, list[str]]:
        """By routing key: the services that hear the fact."""
        return fleet.subscribers(FLEET)

    def letters(self, service: str, actor: str = "", why: str = "", request_id: str = "") -> DeadLetters:
        """The kept messages of one service, for `actor` to change; to look at when there is none."""
        return DeadLetters(self.nodes[service] if actor else self.reader(service), service, actor, why, request_id)

    def close(self) -> None:
        for node in (*self.nodes.values(), *self.readers.values()):
            node.close()

    @classmethod
    def described(cls, text: bytes) -> Self:
        """From the JSON. Raises BadSettings when it names no store for one of the services."""
        try:
            given = msgspec.json.decode(text, type=Described)
        except msgspec.MsgspecError as error:
            raise BadSettings(f"the description of the platform cannot be read: {error}") from error
        missing = [one.name for one in FLEET if one.name not in given.stores]
        if missing:
            raise BadSettings(f"the description of the platform names no store of {', '.join(missing)}")
        return cls(_nodes(given.stores), _nodes(given.readers), given.shards, given.broker, given.management)

    @classmethod
    def in_environment(cls) -> Self | None:
        """As CARAVAN_OPS says, or the file that CARAVAN_OPS_FILE names; None without. Raises BadSettings."""
        file, text = os.environ.get("CARAVAN_OPS_FILE", ""), os.environ.get("CARAVAN_OPS", "")
        if file:
            return cls.described(Path(file).read_bytes())
        return cls.described(text.encode()) if text else None

    @classmethod
    def in_folder(cls, home: Path) -> Self:
        """The stack or the embedded platform whose folder this is. Raises BadSettings when it is neither's."""
        file = home / "secret" / "ops.json"
        if file.exists():
            return cls.described(file.read_bytes())
        if (home / "platform.json").exists():
            stores = {one.name: f"sqlite:///{home.absolute()}/{one.store}.sqlite" for one in FLEET}
            return cls.described(msgspec.json.encode(Described(stores)))
        raise BadSettings(f"no platform was ever started in {home}; name its folder with --home, or a file with --file")


def _nodes(urls: Mapping[str, str]) -> dict[str, Node]:
    return {
        one.name: Node(Settings(one.name, urls[one.name], NO_VAULT, pool_size=2)) for one in FLEET if one.name in urls
    }
