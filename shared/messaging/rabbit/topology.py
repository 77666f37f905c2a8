"""What a service needs on the broker, declared by code and the same on RabbitMQ 3.10 and 4.x.

Facts go to one topic exchange. Each consumer has a consistent-hash exchange bound to it, which spreads the facts over
the consumer's shards by partition key, so that all facts of one key meet in one queue. There is no alternate exchange:
it would hide that a fact reached nobody. Declaring again changes nothing; arguments never change under one name.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import shuffle
from typing import Any
from urllib.parse import parse_qsl

import pika
from pika.adapters.blocking_connection import BlockingChannel

EVENTS = "caravan.events"
DLX = "caravan.dlx"
HASH_HEADER = "partitionkey"
HEARTBEAT = 10
DELIVERY_LIMIT = 20


def inbox_exchange(service: str) -> str:
    return f"caravan.{service}.in.v1"


def queue_name(service: str, shard: int) -> str:
    return f"caravan.{service}.in.v1.{shard}"


def dlq_name(service: str) -> str:
    return f"caravan.{service}.dlq.v1"


def queue_arguments(service: str) -> dict[str, Any]:
    """Of an inbox queue. The broker's own dead-letter queue is only the backstop behind the consumer's dead rows."""
    return {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DLX,
        "x-dead-letter-routing-key": service,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def nodes(url: str, name: str) -> list[pika.URLParameters]:
    """Connection parameters of each node that the URL names (``amqp://user:password@one:5672,two:5672/vhost``), in an
    order drawn by lot, so that clients spread. `name` shows in the broker's lists.

    With ``amqps`` a node must show a certificate for the very name it is called by, of the machine's authorities or of
    those in ``?cacertfile=PATH`` (as in RabbitMQ's URI query parameters).
    """
    url, _, query = url.partition("?")
    scheme, _, rest = url.partition("://")
    trusted = ssl.create_default_context(cafile=_cacertfile(query)) if scheme == "amqps" else None
    authority, slash, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    places = (f"{scheme}://{user}{at}{host}{slash}{path}" for host in hosts.split(","))
    found = [_parameters(place, name, trusted) for place in places]
    shuffle(found)
    return found


def _cacertfile(query: str) -> str | None:
    """Raises ValueError for a parameter that means nothing here."""
    given = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    path = given.pop("cacertfile", None)
    if given:
        raise ValueError(f"unknown in the broker's URL: {', '.join(given)}")
    return path


def _parameters(url: str, name: str, trusted: ssl.SSLContext | None) -> pika.URLParameters:
    found = pika.URLParameters(url)
    if trusted is not None:
        found.ssl_options = pika.SSLOptions(trusted, found.host)
    found.heartbeat = HEARTBEAT
    found.blocked_connection_timeout = 30
    found.socket_timeout = 5
    found.stack_timeout = 10
    found.connection_attempts = 1
    found.client_properties = {"connection_name": name}
    return found


@contextmanager
def channel(url: str, name: str) -> Iterator[BlockingChannel]:
    """A channel of a short-lived connection. Raises pika's AMQPError when the broker is away or refuses, and SSLError
    when it is not who it should be."""
    connection = pika.BlockingConnection(nodes(url, name))
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def declare(url: str, service: str, bindings: Sequence[str], shards: int) -> None:
    """Make sure that `service` has its queues and hears `bindings` (routing keys). Adds, never takes away."""
    with channel(url, f"{service} topology") as on:
        # The dead-letter queue first: a queue whose dead letters cannot be routed keeps them out of sight.
        on.exchange_declare(DLX, "direct", durable=True)
        on.queue_declare(dlq_name(service), durable=True, arguments={"x-queue-type": "quorum"})
        on.queue_bind(dlq_name(service), DLX, service)
        on.exchange_declare(EVENTS, "topic", durable=True)
        inbox = inbox_exchange(service)
        on.exchange_declare(inbox, "x-consistent-hash", durable=True, arguments={"hash-header": HASH_HEADER})
        for shard in range(shards):
            on.queue_declare(queue_name(service, shard), durable=True, arguments=queue_arguments(service))
            on.queue_bind(queue_name(service, shard), inbox, "1")
        for key in bindings:
            on.exchange_bind(inbox, EVENTS, key)


def drain(url: str, queue: str, take: Callable[[bytes], None], limit: int = 1000) -> int:
    """Hand the messages of `queue` to `take` one by one, each acknowledged when it returns. Answers how many."""
    with channel(url, f"drain {queue}") as on:
        for count in range(limit):
            method, _, body = on.basic_get(queue)
            if method is None:
                return count
            take(body or b"")
            on.basic_ack(method.delivery_tag or 0)
    return limit
