"""How fast what was taken moves on: from placed to payable under a steady stream, and out of a backlog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import load
from benchmarks.bare import Bare, Census
from benchmarks.bench import Bench
from benchmarks.floor import census
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
class Hot:
    """Orders of one line a second that became payable: all for one SKU, and for any of all."""

    orders: int
    hot_per_second: float
    spread_per_second: float

    @property
    def ratio(self) -> float:
        return self.hot_per_second / self.spread_per_second

    def __str__(self) -> str:
        return f"{self.hot_per_second:.0f} orders/s of one SKU, {self.spread_per_second:.0f} of any: {self.ratio:.2f}"


def hot(ground: Ground, market: Market, number: int, rounds: int, clients: int = 8) -> Hot:
    """`rounds` times `number` orders for one SKU and as many for any, in turns."""
    seconds = {True: 0.0, False: 0.0}
    for _ in range(rounds):
        for one in seconds:
            asked = market.orders(market.promises(number, market.skus[:1] if one else (), lines_each=1))
            ground.calm()
            after = last_position(ground.stores["order"])
            load.send(market.grounds.url, asked, clients).expect(202)
            ground.calm()
            (took,) = ground.rows("order", _TOOK, after=after)[0]
            seconds[one] += float(took)
    orders = number * rounds
    return Hot(orders, orders / seconds[True], orders / seconds[False])


_TOOK = """
SELECT extract(epoch FROM max(created_at) FILTER (WHERE type = 'OrderPaymentRequested')
                        - min(created_at) FILTER (WHERE type = 'OrderPlaced'))
FROM event_log WHERE pos > :after
"""


@dataclass(frozen=True)
class Drain:
    """Facts that a lone worker took, and how fast; `bare`: a loop that only stores as much."""

    facts: int
    seconds: float
    bare: Bare = Bare(0.0, 0.0)

    @property
    def per_second(self) -> float:
        return self.facts / self.seconds if self.seconds else 0.0  # all in one batch

    @property
    def ratio(self) -> float:
        return self.per_second / self.bare.per_second if self.bare.per_second else 0.0


def drain(bench: Bench, ground: Ground, market: Market, number: int, *, beside_bare: bool = False) -> Drain:
    """Let the orders of a busy hour pile up before one service, then let its worker, alone, take them; if wanted, after
    the bare loop took the same messages from a queue of its own and wrote as many rows for each."""
    counted = _written(bench, ground, market) if beside_bare else {}
    after = last_position(ground.stores["order"])
    bench.stop_worker(SERVICE)
    market.place(number, clients=8)
    _until(lambda: ground.rows("order", "SELECT count(*) FROM outbox")[0][0] == 0)
    others = [name for name in bench.services if name != SERVICE]
    for name in others:
        bench.stop_worker(name)
    beside = Bare(0.0, 0.0)
    if beside_bare:
        beside = bench.bare(counted, [bytes(body) for (body,) in ground.rows("order", _PLACED, after=after)])
    (before,) = ground.rows(SERVICE, "SELECT coalesce(max(at), '-infinity') FROM inbox")[0]
    bench.start_worker(SERVICE)
    _until(lambda: ground.rows(SERVICE, "SELECT count(*) FROM inbox WHERE at > :before", before=before)[0][0] >= number)
    facts, seconds = ground.rows(SERVICE, _TAKEN, before=before)[0]
    for name in others:
        bench.start_worker(name)
    ground.calm()
    return Drain(facts, float(seconds), beside)


def _written(bench: Bench, ground: Ground, market: Market) -> Census:
    """What handling one OrderPlaced writes: risk is not weighed meanwhile, so that no later fact writes it anew."""
    bench.stop_worker("payment")
    after = last_position(ground.stores["order"])
    market.place(1)
    (event_id,) = ground.rows("order", "SELECT event_id FROM event_log WHERE type = 'OrderPlaced' AND pos > :after",
                              after=after)[0]  # fmt: skip
    heard = "SELECT xmin::text FROM inbox WHERE event_id = :event_id"
    _until(lambda: bool(ground.rows(SERVICE, heard, event_id=event_id)))
    counted = census(ground.stores[SERVICE], heard, event_id=event_id)
    bench.start_worker("payment")
    ground.calm()
    return counted


_PLACED = "SELECT body FROM event_log WHERE type = 'OrderPlaced' AND pos > :after ORDER BY pos"


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
