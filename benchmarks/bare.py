"""A bare loop of pika and psycopg that batches as a worker does and only stores: no handlers, no domain, no facts said.

It takes messages from a queue of its own, up to fifty at a time; marks them in one table and writes as many rows of the
same widths as handling one of them writes, one statement a table; commits once and acknowledges once a batch.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import pika
import psycopg
from psycopg import sql

from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.messaging.rabbit.consumer import BATCH, PREFETCH
from shared.messaging.rabbit.topology import queue_arguments

QUEUE = "bench.bare"
MARKS = "inbox"
Census = Mapping[str, tuple[int, int]]


class Bare(NamedTuple):
    """Messages a second, and CPU milliseconds of each, of this process and of both servers."""

    per_second: float
    cpu_ms: float


def run(
    broker_url: str, database_url: str, counted: Census, bodies: Sequence[bytes], servers: Callable[[], float]
) -> Bare:
    """From the first delivery to the last acknowledgement. `servers`: their CPU seconds so far."""
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    try:
        channel = connection.channel()
        arguments = {name: value for name, value in queue_arguments("bare").items() if "dead" not in name}
        channel.queue_declare(QUEUE, durable=True, arguments=arguments)
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", QUEUE, body, pika.BasicProperties(delivery_mode=2))
        with psycopg.connect(database_url.replace("+psycopg", "", 1)) as store:
            before = servers() + time.process_time()
            seconds = _drain(channel, _Store(store, counted), len(bodies))
            used = servers() + time.process_time() - before
        channel.queue_delete(QUEUE)
    finally:
        connection.close()
    return Bare(len(bodies) / seconds, used * 1000 / len(bodies))


def _drain(channel: Any, store: _Store, number: int) -> float:
    channel.basic_qos(prefetch_count=PREFETCH)
    begun, batch = 0.0, []
    for taken, (method, _, body) in enumerate(channel.consume(QUEUE, inactivity_timeout=30), 1):
        if method is None:
            raise TimeoutError(f"{taken - 1} of {number} messages came, then silence")
        begun = begun or clock.monotonic()
        batch.append(body)
        if len(batch) == BATCH or taken == number:
            store.keep(batch)
            channel.basic_ack(method.delivery_tag, multiple=True)
            batch = []
        if taken == number:
            break
    channel.connection.process_data_events()
    return clock.monotonic() - begun


class _Store:
    """Tables as many and as wide as those that a handler writes."""

    def __init__(self, connection: psycopg.Connection[Any], counted: Census) -> None:
        self.connection = connection
        self.rows = {name: (rows, os.urandom(max(1, width))) for name, (rows, width) in counted.items()}
        self.insert = {
            name: sql.SQL("INSERT INTO {} (id, body) SELECT * FROM unnest(%s::text[], %s::bytea[])").format(
                sql.Identifier(name)
            )
            for name in self.rows
        }
        for name in self.rows:
            table = sql.Identifier(name)
            connection.execute(sql.SQL("CREATE TABLE {} (id text PRIMARY KEY, body bytea)").format(table))
        connection.commit()

    def keep(self, batch: Sequence[bytes]) -> None:
        ids = [str(msgspec.json.decode(body)["id"]) for body in batch]
        for name, (rows, body) in self.rows.items():
            if name == MARKS:
                keys, bodies = ids, [b""] * len(ids)
            else:
                keys = [new_id() for _ in itertools.repeat(None, rows * len(batch))]
                bodies = [body] * len(keys)
            self.connection.execute(self.insert[name], [keys, bodies])
        self.connection.commit()
