"""What a broker has against what the services declare: queues, exchanges and bindings, by RabbitMQ's management API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import requests

from deploy.fleet import FLEET
from deploy.ops.platform import Platform
from shared.kernel.errors import Unavailable
from shared.messaging.rabbit.topology import (
    DLX,
    EVENTS,
    HASH_HEADER,
    declare,
    dlq_name,
    inbox_exchange,
    queue_arguments,
    queue_name,
)

TIMEOUT = 5.0


class BrokerAway(Unavailable):
    """The broker's management interface does not answer."""


class ManagementUnknown(Unavailable):
    """Nobody said where the broker's management interface is, so what it has cannot be read."""


@dataclass(frozen=True)
class Depth:
    """Messages in a service's inbox queues. `lost_sight`: in none of the broker's counts, see `docs/operations.md`."""

    ready: int
    unacknowledged: int
    lost_sight: int


@dataclass
class Difference:
    """Of one service: `missing` and `altered` must be mended for facts to arrive; `surplus` is nobody's any more."""

    service: str
    declared: int
    missing: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)


def audit(platform: Platform) -> list[Difference]:
    """Of every service; empty for the embedded platform. Raises BrokerAway, ManagementUnknown."""
    if platform.embedded:
        return []
    there = _Found(platform.management)
    return [_compared(platform, one.name, there) for one in FLEET]


def apply(platform: Platform) -> list[str]:
    """Declare what every service needs; adds, never takes away. Answers the services. Raises BrokerAway."""
    if platform.embedded:
        return []
    try:
        for one in FLEET:
            declare(platform.broker, one.name, one.service.on.bindings(), platform.shards.get(one.name, 1))
    except Exception as error:  # pika's, which nobody but the kit's own floor may name
        raise BrokerAway(f"{type(error).__name__}") from error
    return [one.name for one in FLEET]


def depths(platform: Platform) -> Mapping[str, Depth]:
    """By service. Raises BrokerAway, ManagementUnknown."""
    there = _Found(platform.management).queues
    found = {}
    for one in FLEET:
        names = [queue_name(one.name, shard) for shard in range(platform.shards.get(one.name, 1))]
        mine = [there[name] for name in names if name in there]
        ready = sum(queue.get("messages_ready", 0) for queue in mine)
        unacknowledged = sum(queue.get("messages_unacknowledged", 0) for queue in mine)
        total = sum(queue.get("messages", 0) for queue in mine)
        found[one.name] = Depth(ready, unacknowledged, max(0, total - ready - unacknowledged))
    return found


class _Found:
    """Everything of the vhost, asked for once. `bindings` are `(source, destination, routing key)`."""

    def __init__(self, management: str) -> None:
        if not management:
            raise ManagementUnknown()
        parts = urlsplit(management)
        self._root = f"{parts.scheme}://{parts.hostname}:{parts.port or 15672}/api"
        self._vhost = quote(unquote(parts.path.removeprefix("/")) or "/", safe="")
        self._trusted: str | bool = dict(parse_qsl(parts.query)).get("cacertfile", True)
        self._as = (unquote(parts.username or ""), unquote(parts.password or ""))

    @cached_property
    def queues(self) -> dict[str, Any]:
        return {one["name"]: one for one in self._get("queues")}

    def _get(self, kind: str) -> Any:
        try:
            with requests.Session() as http:
                http.trust_env = False  # a proxy has no business between us and our broker
                answer = http.get(
                    f"{self._root}/{kind}/{self._vhost}", auth=self._as, timeout=TIMEOUT, verify=self._trusted
                )
            answer.raise_for_status()
            return answer.json()
        except (requests.RequestException, ValueError) as error:
            raise BrokerAway(type(error).__name__) from error

    @cached_property
    def exchanges(self) -> dict[str, Any]:
        return {one["name"]: one for one in self._get("exchanges")}

    @cached_property
    def bindings(self) -> set[tuple[str, str, str]]:
        return {(one["source"], one["destination"], one["routing_key"]) for one in self._get("bindings")}


def _compared(platform: Platform, service: str, there: _Found) -> Difference:
    exchanges, bindings = there.exchanges, there.bindings
    inbox, dlq = inbox_exchange(service), dlq_name(service)
    wanted_queues = {
        queue_name(service, shard): queue_arguments(service) for shard in range(platform.shards.get(service, 1))
    } | {dlq: {"x-queue-type": "quorum"}}
    wanted_exchanges = {
        EVENTS: ("topic", {}), DLX: ("direct", {}), inbox: ("x-consistent-hash", {"hash-header": HASH_HEADER})
    }  # fmt: skip
    wanted_bindings = {(EVENTS, inbox, key) for key in platform.service(service).on.bindings()}
    wanted_bindings |= {(DLX, dlq, service)} | {(inbox, queue, "1") for queue in wanted_queues if queue != dlq}
    difference = Difference(service, len(wanted_queues) + len(wanted_exchanges) + len(wanted_bindings))
    for name, arguments in wanted_queues.items():
        if name not in there.queues:
            difference.missing.append(f"queue {name}")
        elif there.queues[name].get("arguments", {}) != arguments:
            difference.altered.append(f"queue {name} has other arguments")
    for name, (kind, arguments) in wanted_exchanges.items():
        if name not in exchanges:
            difference.missing.append(f"exchange {name}")
        elif (exchanges[name]["type"], exchanges[name].get("arguments", {})) != (kind, arguments):
            difference.altered.append(f"exchange {name} has another type or other arguments")
    difference.missing += [f"binding {_named(one)}" for one in sorted(wanted_bindings - bindings)]
    # The worst of all: the exchange spreads facts over every queue it is bound to, whether or not anybody reads it.
    unread = {one for one in bindings if one[0] == inbox} - wanted_bindings
    difference.altered += [f"binding {_named(one)} leads facts to where no worker reads" for one in sorted(unread)]
    unasked = {one for one in bindings if one[1] == inbox} - wanted_bindings
    difference.surplus += [f"binding {_named(one)}" for one in sorted(unasked)]
    known = wanted_queues.keys()
    difference.surplus += [
        f"queue {name}" for name in sorted(there.queues) if name.startswith(f"{inbox}.") and name not in known
    ]
    return difference


def _named(binding: tuple[str, str, str]) -> str:
    source, destination, key = binding
    return f"{key} from {source} to {destination}"
