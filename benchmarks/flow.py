"""How fast what was taken moves on: from placed to payable under a steady stream, and out of a backlog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import load
from benchmarks.ground import Ground
from benchmarks.market import Market
from shared.kernel import clock
from shared.storage.inspect import last_position

SERVICE = "inventory"
"""Whose worker drains the backlog."""
CLIENTS = 64


@dataclass(frozen=True)
class Payable:
    """Milliseconds from OrderPlaced to OrderPaymentRequested, at `per_second` orders arriving for `seconds`.

    `accept_p99_ms`: until the client had its answer, counted from the moment its request fell due.
    """

    orders: int
    per_second: float
    seconds: float
    p50_ms: float
    p99_ms: float
    accept_p99_ms: float
    generator_cpu: float

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:.0f} ms, p99 {self.p99_ms:.0f} ms"


def payable(ground: Ground, market: Market, *, per_second: float, seconds: float) -> Payable:
    """Let orders arrive at fixed moments, whether or not the stack keeps up."""
    asked = market.orders(market.promises(int(per_second * seconds)))
    ground.calm()
    after = last_position(ground.stores["order"])
    sent = load.send(market.grounds.url, asked, CLIENTS, rate=per_second).expect(202)
    ground.calm()
    waits = [
        (requested - placed).total_seconds() * 1000 for placed, requested in ground.rows("order", _WAITS, after=after)
    ]
    assert len(waits) == len(asked), f"{len(waits)} of {len(asked)} orders became payable"
    return Payable(
        len(asked), per_second, sent.seconds, load.quantile(waits, 0.5), load.quantile(waits, 0.99),
        load.quantile(sent.latencies, 0.99) * 1000, sent.cpu_seconds,
    )  # fmt: skip


_WAITS = """
SELECT placed.created_at, requested.created_at
FROM event_log placed JOIN event_log requested ON requested.partition_key = placed.partition_key
WHERE placed.type = 'OrderPlaced' AND requested.type = 'OrderPaymentRequested' AND placed.pos > :after
"""


@dataclass(frozen=True)
class Drain:
    """Facts that a lone worker took from its queue, and how fast."""

    facts: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.facts / self.seconds if self.seconds else 0.0  # all in one batch


def drain(
    ground: Ground,
    market: Market,
    number: int,
    stop: Callable[[str], None],
    start: Callable[[str], None],
    names: list[str],
) -> Drain:
    """Let the orders of a busy hour pile up before one service, then let its worker, alone, take them.

    `stop` and `start` a service's workers; `names`: all services.
    """
    stop(SERVICE)
    market.place(number, clients=8)
    _until(lambda: ground.rows("order", "SELECT count(*) FROM outbox")[0][0] == 0)
    for name in names:
        if name != SERVICE:
            stop(name)
    (before,) = ground.rows(SERVICE, "SELECT coalesce(max(at), '-infinity') FROM inbox")[0]
    start(SERVICE)
    _until(lambda: ground.rows(SERVICE, "SELECT count(*) FROM inbox WHERE at > :before", before=before)[0][0] >= number)
    facts, seconds = ground.rows(SERVICE, _TAKEN, before=before)[0]
    for name in names:
        if name != SERVICE:
            start(name)
    ground.calm()
    return Drain(facts, float(seconds))


# A batch is marked when it begins, so the last one's facts were not yet handled at its mark.
_TAKEN = """
WITH taken AS (SELECT at FROM inbox WHERE at > :before), last AS (SELECT max(at) AS at FROM taken)
SELECT count(*) FILTER (WHERE taken.at < last.at), extract(epoch FROM max(taken.at) - min(taken.at)) FROM taken, last
"""


def _until(done: Callable[[], bool], seconds: float = 300.0) -> None:
    until = clock.monotonic() + seconds
    while not done():
        assert clock.monotonic() < until, "it did not come to that in time"
        clock.pause(0.1)
