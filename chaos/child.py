"""`python -m chaos.child PATCH,PATCH MODULE …`: a process of the platform with one of its protections taken away.

Controls need it: a figure that stays zero without the protection it guards would prove nothing. The product has no
switch for any of this; what is changed here is changed in this process alone, by whoever started it so.
"""

from __future__ import annotations

import itertools
import os
import random
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

LATE_SECONDS = 0.06
HELD_SECONDS = 0.25
GATHER_SECONDS = 1.0
SKEW = timedelta(hours=1)


def inbox_off() -> None:
    """Every copy of a fact is handled as if it were the first."""
    from shared.messaging import marks

    claim = marks.claim

    def claim_all(tx: Any, consumer: str, event_ids: Sequence[str]) -> set[str]:
        claim(tx, consumer, event_ids)
        return set(event_ids)

    marks.claim = claim_all


def not_mandatory() -> None:
    """The broker need not say that a fact reached no queue."""
    from shared.messaging.rabbit import publisher

    send = publisher.RabbitPublisher._send

    def send_any(self: Any, window: Any) -> None:
        self.subscribed = frozenset()  # nobody wants anything
        send(self, window)

    publisher.RabbitPublisher._send = send_any  # type: ignore[method-assign]


def acknowledge_first() -> None:
    """A batch is acknowledged before it is handled."""
    from shared.messaging.rabbit.consumer import RabbitConsumer

    with_patience = RabbitConsumer._with_patience

    def early(self: Any, batch: Any, held: Any, stop: Any) -> bool:
        if batch:
            self._acknowledge(batch[-1])
            time.sleep(HELD_SECONDS)
        with_patience(self, batch, held, stop)
        return False

    RabbitConsumer._with_patience = early  # type: ignore[method-assign]


def watermark() -> None:
    """The relay reads the log above the last position it has seen, as if positions were committed in their order."""
    import sqlalchemy as sa

    from shared.messaging import relay
    from shared.storage.types import event_log, outbox

    columns = event_log.c
    above = sa.select(
        columns.pos,
        sa.literal(0).label("attempts"),
        columns.partition_key,
        columns.event_id,
        columns.routing_key,
        columns.body,
    )

    def window(self: Any) -> list[Any]:
        with self.node.database.read() as connection:
            if not hasattr(self, "seen"):
                self.seen = connection.execute(sa.select(sa.func.min(outbox.c.pos))).scalar()
                last = connection.execute(sa.select(sa.func.max(columns.pos))).scalar() or 0
                self.seen = last if self.seen is None else self.seen - 1
            wanted = above.where(columns.pos > self.seen).order_by(columns.pos).limit(relay.WINDOW)
            rows = [relay._Pointer(*row) for row in connection.execute(wanted)]
            self.seen = rows[-1].pos if rows else self.seen
            return rows

    relay.Relay._window = window  # type: ignore[method-assign]


def reversed_relay() -> None:
    """The relay publishes the facts of one key at once, whatever comes of their order; so many that it shows."""
    from shared.messaging import relay
    from shared.messaging.rabbit.publisher import RabbitPublisher

    RabbitPublisher.one_per_key = False
    window = relay.Relay._window

    def backwards(self: Any) -> list[Any]:
        time.sleep(GATHER_SECONDS)
        return window(self)[::-1]

    relay.Relay._window = backwards  # type: ignore[method-assign]


def late_commits() -> None:
    """Some transactions take their time between drawing their positions and committing."""
    from shared.storage.unit_of_work import UnitOfWork

    flush, turn = UnitOfWork.flush, itertools.count()

    def linger(self: Any) -> None:
        flush(self)
        if next(turn) % 3 == 0:
            time.sleep(random.uniform(0, LATE_SECONDS))

    UnitOfWork.flush = linger  # type: ignore[method-assign]


def slow_handlers() -> None:
    """Every handled fact takes a fifth of a second more."""
    from shared.messaging.consumer import Consumer

    run = Consumer._run

    def slowly(self: Any, tx: Any, messages: list[Any]) -> None:
        time.sleep(min(4.0, 0.2 * len(messages)))
        run(self, tx, messages)

    Consumer._run = slowly  # type: ignore[method-assign]


def deadly_message() -> None:
    """Whoever starts to handle the marked message dies of it."""
    from shared.messaging.consumer import Consumer

    handle_one, handle = Consumer.handle_one, Consumer.handle

    def deadly(message: Any) -> bool:
        return b"chaos-deadly" in message.body

    def single(self: Any, message: Any, guard: Any = lambda _tx: None) -> set[int]:
        if deadly(message):
            if message.deliveries >= 2 and not self._mark_started(message, guard):
                return set()
            os._exit(137)
        return handle_one(self, message, guard)

    def batch(self: Any, messages: Any, guard: Any = lambda _tx: None) -> None:
        if any(deadly(message) and message.deliveries < 2 for message in messages):
            os._exit(137)
        handle(self, messages, guard)

    Consumer.handle_one, Consumer.handle = single, batch  # type: ignore[method-assign]


def talkative() -> None:
    """Every handled fact is a line in the log, whatever level was asked for."""
    from shared.telemetry import logs

    configure = logs.configure
    logs.configure = lambda service, level="INFO": configure(service)


def clock_ahead() -> None:
    """This process believes that it is an hour later."""
    _skew(SKEW)


def clock_behind() -> None:
    """This process believes that it is an hour earlier."""
    _skew(-SKEW)


def _skew(by: timedelta) -> None:
    from shared.kernel import clock

    now, seconds = clock.machine_now, clock.machine_seconds
    clock.machine_now = lambda: now() + by
    clock.machine_seconds = lambda: seconds() + by.total_seconds()


PATCHES: dict[str, Callable[[], None]] = {
    patch.__name__.replace("_", "-"): patch
    for patch in (
        inbox_off, not_mandatory, acknowledge_first, watermark, reversed_relay, late_commits, slow_handlers,
        deadly_message, talkative, clock_ahead, clock_behind,
    )
}  # fmt: skip


def patched(command: Sequence[Any], patches: Sequence[str]) -> list[Any]:
    """The command of a Python module (``python -m module …``) with patches. Raises KeyError for an unknown one."""
    for name in patches:
        PATCHES[name]
    python, _, *rest = command
    return [python, "-m", "chaos.child", ",".join(patches), *rest]


def main() -> None:
    """Patch, then be the module."""
    patches, module, *arguments = sys.argv[1:]
    for name in patches.split(","):
        PATCHES[name]()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
