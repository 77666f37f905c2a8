"""Publishes a relay's facts: pipelined, confirmed one by one, and never given up because the broker is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pika
from pika.exceptions import ChannelClosedByBroker

from shared.kernel import clock
from shared.messaging.broker import Outcome, Outgoing
from shared.messaging.rabbit.link import Link
from shared.messaging.rabbit.topology import EVENTS, HASH_HEADER
from shared.telemetry import logs, metrics
from shared.telemetry.faults import crash_point

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
DEADLINE = 10.0


class _Mirrored(msgspec.Struct):
    """What of the envelope is shown in the AMQP properties, for operators."""

    time: datetime
    correlationid: str = ""
    traceparent: str = ""


_mirrored = msgspec.json.Decoder(_Mirrored)


class _Window:
    """Facts under way; settled on the link's thread, awaited on the relay's."""

    def __init__(self, facts: Sequence[Outgoing]) -> None:
        self.facts = facts
        self.open = {fact.pos for fact in facts}
        self.confirmed: list[int] = []
        self.failed: dict[int, str] = {}
        self.done = threading.Event()

    def settle(self, fact: Outgoing, refused: str | None) -> None:
        if fact.pos not in self.open:
            return  # given up meanwhile
        self.open.discard(fact.pos)
        if refused is None:
            self.confirmed.append(fact.pos)
        else:
            self.failed[fact.pos] = refused
        if not self.open:
            self.done.set()


class RabbitPublisher:
    """See `shared.messaging.broker.Publisher`.

    `subscribed` are the routing keys that have a consumer anywhere: only those are published mandatory, so that a fact
    that reaches no queue comes back, and one that nobody wants does not. None: all are mandatory. While the broker is
    away or blocks us, `publish` answers an empty outcome: nothing was tried, so nothing has failed. `changed` is called
    when publishing may go on.
    """

    one_per_key = True

    def __init__(
        self,
        url: str,
        service: str,
        subscribed: Container[str] | None = None,
        *,
        prepare: Callable[[], None] = lambda: None,
        changed: Callable[[], None] = lambda: None,
        deadline: float = DEADLINE,
    ) -> None:
        self.service, self.subscribed, self.deadline, self.changed = service, subscribed, deadline, changed
        self._link = Link(
            url, f"{service} relay", opened=self._opened, lost=self._lost, blocked=self._set_blocked, prepare=prepare
        )
        # The broker refuses a user id that is not the connection's own, so it is said only where the URL names one.
        self._user = self._link.user if "@" in url else None
        self._lock = threading.Lock()
        self._channel: Any = None
        self._tag = 0
        self._waiting: dict[int, tuple[Outgoing, _Window]] = {}
        self._returned: dict[str, str] = {}
        self._careful = False
        self._current: _Window | None = None
        self.blocked = False
        metrics.broker_connected.labels(service).set(0)
        self._link.start()

    @property
    def connected(self) -> bool:
        return self._channel is not None

    def publish(self, facts: Sequence[Outgoing]) -> Outcome:
        outcome, deadline = Outcome(), clock.monotonic() + self.deadline
        careful, self._careful = self._careful, False
        # A refusal that closes the channel does not say whose it is: then one by one, until it is found.
        size = 1 if careful else max(1, len(facts))
        for start in range(0, len(facts), size):
            if not self._publish(facts[start : start + size], outcome, deadline):
                break
        return outcome

    def close(self) -> None:
        self._link.close()

    def _publish(self, facts: Sequence[Outgoing], outcome: Outcome, deadline: float) -> bool:
        """Answers whether it makes sense to go on."""
        window = self._current = _Window(facts)
        if self.blocked or self._channel is None or not self._link.call(lambda: self._send(window)):
            return False
        crash_point("relay.after_publish")
        in_time = window.done.wait(max(0.0, deadline - clock.monotonic()))
        with self._lock:
            left, window.open = window.open, set()
            outcome.confirmed += window.confirmed
            outcome.failed |= window.failed
        if left and not in_time and not self.blocked:
            outcome.failed |= dict.fromkeys(left, f"not confirmed within {self.deadline:g} s")
        return not left

    # --- on the link's thread ---------------------------------------------------------------------------------------

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._ready(channel))

    def _ready(self, channel: Any) -> None:
        self._tag, self._channel = 0, channel
        metrics.broker_connected.labels(self.service).set(1)
        self.changed()

    def _channel_closed(self, _channel: Any, reason: Any) -> None:
        if isinstance(reason, ChannelClosedByBroker):
            logs.get("relay").error("channel_refused", service=self.service, why=repr(reason))
            with self._lock:
                waiting, self._waiting = list(self._waiting.values()), {}
                for fact, window in waiting:
                    if len(window.facts) == 1:
                        window.settle(fact, repr(reason))
            self._careful = True
            self._drop(waiting)
        self._channel = None
        self._link.break_up(f"channel closed: {reason!r}")

    def _lost(self, _why: str) -> None:
        self._channel, self.blocked = None, False
        metrics.broker_connected.labels(self.service).set(0)
        metrics.broker_blocked.labels(self.service).set(0)
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
            self._returned.clear()
        self._drop(waiting)

    def _drop(self, waiting: Sequence[tuple[Outgoing, _Window]]) -> None:
        """Nobody knows whether these arrived: neither confirmed nor failed, they are simply published again."""
        for _, window in waiting:
            window.done.set()
        if self._current is not None:  # asked for, but perhaps not sent before the connection went
            self._current.done.set()

    def _set_blocked(self, blocked: bool) -> None:
        self.blocked = blocked
        metrics.broker_blocked.labels(self.service).set(int(blocked))
        if not blocked:
            self.changed()

    def _send(self, window: _Window) -> None:
        if self._channel is None:
            window.done.set()
            return
        for fact in window.facts:
            self._tag += 1
            self._waiting[self._tag] = fact, window
            self._channel.basic_publish(
                EVENTS,
                fact.routing_key,
                fact.body,
                self._properties(fact),
                mandatory=self.subscribed is None or fact.routing_key in self.subscribed,
            )

    def _properties(self, fact: Outgoing) -> pika.BasicProperties:
        seen = _mirrored.decode(fact.body)
        return pika.BasicProperties(
            content_type=CONTENT_TYPE,
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=fact.event_id,
            type=f"caravan.{fact.routing_key}",
            app_id=self.service,
            user_id=self._user,
            correlation_id=seen.correlationid,
            timestamp=int(seen.time.timestamp()),
            headers={HASH_HEADER: fact.partition_key, "traceparent": seen.traceparent},
        )

    def _on_return(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        self._returned[properties.message_id] = f"returned: {method.reply_code} {method.reply_text}"

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        tag: int = method.delivery_tag
        refused = "nacked" if isinstance(method, pika.spec.Basic.Nack) else None
        tags = [one for one in self._waiting if one <= tag] if method.multiple else [tag]
        with self._lock:
            for one in tags:
                fact, window = self._waiting.pop(one, (None, None))
                if fact is not None and window is not None:
                    window.settle(fact, self._returned.pop(fact.event_id, refused))
