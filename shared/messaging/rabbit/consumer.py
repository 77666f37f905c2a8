"""Takes a shard's messages from RabbitMQ and hands them to the event door in small batches.

The link's thread only fills a queue (the prefetch bounds it); the caller's thread works. A batch is acknowledged at
once and after its commit; nothing is ever given back to the broker to be tried again. When the store is away the batch
is kept in hand and tried again; when that lasts longer than the lease, the channel is closed, because another worker
may need the shard.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from random import uniform
from typing import Any

from shared.kernel import clock
from shared.messaging import consumer as door
from shared.messaging.consumer import Guard, Message
from shared.messaging.leases import Held
from shared.messaging.rabbit.link import Link
from shared.storage.database import is_conflict, is_infrastructure
from shared.telemetry import logs

PREFETCH = 100
BATCH = 50
LINGER = 0.01
IDLE = 0.5
MAX_PAUSE = 30.0

Handle = Callable[[Sequence[Message], Guard], None]


class RabbitConsumer:
    """Of one queue. `strict`: a message whose publisher is not the broker's authenticated user is refused."""

    def __init__(
        self,
        url: str,
        queue_name: str,
        handle: Handle,
        *,
        prepare: Callable[[], None] = lambda: None,
        strict: bool = False,
        prefetch: int = PREFETCH,
    ) -> None:
        self.queue_name, self.handle, self.strict, self.prefetch = queue_name, handle, strict, prefetch
        self._url, self._prepare = url, prepare
        self._link: Link | None = None
        self._channel: Any = None
        self._generation = 0
        self._arrived: queue.Queue[tuple[int, int, Any, bytes]] = queue.Queue()
        self._last, self._pause = 0, 1.0
        self.ticked = clock.monotonic()

    @property
    def connected(self) -> bool:
        return self._channel is not None

    def run(self, held: Held, stop: threading.Event) -> None:
        """Work until `stop`. Raises LeaseLost. Leaves with the channel closed; the lease is the caller's to release."""
        self._open()
        try:
            while not stop.is_set():
                self.ticked = clock.monotonic()
                batch = self._take()
                if self._with_patience(batch, held, stop) and batch:
                    self._acknowledge(batch[-1])
        finally:
            self._close()

    def _with_patience(self, batch: Sequence[tuple[int, int, Any, bytes]], held: Held, stop: threading.Event) -> bool:
        """Handle the batch, waiting for the store if need be. False when it was let go of."""
        messages = [self._read(properties, body) for _, _, properties, body in batch]
        away_since = clock.monotonic()
        while True:
            try:
                held.keep()
                if messages:
                    self.handle(messages, held.lease)
                if self._link is None:
                    self._open()
                if messages:
                    self._pause = 1.0
                return bool(messages)
            except Exception as error:
                if not (is_infrastructure(error) or is_conflict(error)):
                    raise
                logs.get("consumer").warning("store_away", queue=self.queue_name, why=repr(error)[:300])
            if self._link is not None and clock.monotonic() - away_since > held.ttl.total_seconds():
                self._close()
                messages = []
            if stop.wait(uniform(0.5, 1.0) * self._pause):
                return False
            self.ticked = clock.monotonic()
            self._pause = min(MAX_PAUSE, self._pause * 2)

    def _read(self, properties: Any, body: bytes) -> Message:
        deliveries = (properties.headers or {}).get("x-delivery-count", 0)
        message = door.read(body, deliveries if isinstance(deliveries, int) else 0)
        if self.strict and message.envelope and properties.user_id not in (message.envelope.publisher, "replay"):
            return door.refuse(body, f"foreign|{message.envelope.source} said by {properties.user_id}")
        return message

    def _take(self) -> list[tuple[int, int, Any, bytes]]:
        """Up to `BATCH` messages; lingers for more only when the last batch shows that there is traffic."""
        try:
            batch = [self._arrived.get(timeout=IDLE)]
        except queue.Empty:
            return []
        until = clock.monotonic() + (LINGER if self._last > 1 else 0.0)
        while len(batch) < BATCH:
            try:
                left = until - clock.monotonic()
                batch.append(self._arrived.get(timeout=left) if left > 0 else self._arrived.get_nowait())
            except queue.Empty:
                break
        self._last = len(batch)
        # What came over a channel that is gone will come again over the next one.
        return [item for item in batch if item[0] == self._generation]

    def _acknowledge(self, last: tuple[int, int, Any, bytes]) -> None:
        generation, tag, _, _ = last

        def acknowledge() -> None:
            if generation == self._generation and self._channel is not None:
                self._channel.basic_ack(tag, multiple=True)

        if self._link is not None:
            self._link.call(acknowledge)  # if it is lost, the inbox drops what comes again

    def _open(self) -> None:
        self._link = Link(self._url, self.queue_name, opened=self._opened, lost=self._lost, prepare=self._prepare)
        self._link.start()

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        self._channel = None
        self._generation += 1

    # --- on the link's thread ---------------------------------------------------------------------------------------

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        self._generation += 1
        self._channel, generation = channel, self._generation
        channel.add_on_close_callback(self._ended)
        channel.add_on_cancel_callback(lambda frame: self._ended(channel, f"cancelled: {frame!r}"))
        # pika cancels consumers before it closes their channel: whoever waits for the shard would get what comes behind
        # our batch before our batch is back. Closing frees the place and gives the batch back in one step.
        channel.basic_cancel = lambda **_: None
        channel.basic_qos(prefetch_count=self.prefetch)
        channel.basic_consume(
            self.queue_name,
            lambda _channel, method, properties, body: self._arrived.put(
                (generation, method.delivery_tag, properties, body)
            ),
        )

    def _ended(self, _channel: Any, reason: Any) -> None:
        self._channel = None
        if self._link is not None:
            self._link.break_up(f"{self.queue_name}: {reason!r}")

    def _lost(self, _why: str) -> None:
        self._channel = None
