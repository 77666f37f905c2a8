"""Whether what is old makes what is new slow: the same work before and after so many other orders are in the stores."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import copies, flow, load
from benchmarks.bench import Bench
from benchmarks.ground import Ground
from benchmarks.market import Market, Placed
from shared.kernel import clock

WAITING_SHARE = 20
"""One of so many copies waits for its payment, the others are completed."""
CLIENTS = 8
READS = 1000
ORDERS_READ = 50


@dataclass(frozen=True)
class Pace:
    """Orders taken a second, facts a lone worker drains a second, and the p99 of reading one order and its timeline
    when `reads_per_s` requests of each arrive at fixed moments."""

    accept_per_s: float
    drain_per_s: float
    order_p99_ms: float
    timeline_p99_ms: float
    reads_per_s: float


RATES = ("accept_per_s", "drain_per_s")
WAITS = ("order_p99_ms", "timeline_p99_ms")


@dataclass(frozen=True)
class Growth:
    """`orders` were loaded in so many `seconds`, and take so many `bytes` of disk in all stores."""

    orders: int
    seconds: float
    bytes: int
    before: Pace
    after: Pace

    def ratio(self, figure: str) -> float:
        """What became of a figure of `Pace`."""
        return float(getattr(self.after, figure) / getattr(self.before, figure))

    @property
    def rate_ratio(self) -> float:
        """Of the rate that suffered more."""
        return min(map(self.ratio, RATES))

    @property
    def p99_ratio(self) -> float:
        """Of the wait that grew more."""
        return max(map(self.ratio, WAITS))

    def __str__(self) -> str:
        told = ", ".join(map(self._told, (*RATES, *WAITS)))
        return f"{self.orders} more orders, {self.bytes / 2**30:.1f} GiB loaded in {self.seconds:.0f} s: {told}"

    def _told(self, figure: str) -> str:
        before, after = getattr(self.before, figure), getattr(self.after, figure)
        return f"{figure} {before:.1f} -> {after:.1f} ({self.ratio(figure):.2f})"


def grow(bench: Bench, ground: Ground, market: Market, orders: int, *, number: int, backlog: int) -> Growth:
    """Measure with `number` orders taken and `backlog` drained, load, measure again."""
    before = _pace(bench, ground, market, number, backlog)
    begun, held = clock.monotonic(), _disk(ground)
    (completed,) = ground.rows("order", "SELECT group_no FROM order_index WHERE state = 'COMPLETED' LIMIT 1")[0]
    (waiting,) = market.place(1)
    ground.calm()
    copies.fill(bench, completed, 0, orders)
    copies.fill(bench, waiting.group_no, orders, max(1, orders // WAITING_SHARE))
    took, room = clock.monotonic() - begun, _disk(ground) - held
    ground.calm()
    after = _pace(bench, ground, market, number, backlog, before.reads_per_s)
    return Growth(orders, took, room, before, after)


def _pace(bench: Bench, ground: Ground, market: Market, number: int, backlog: int, reads_per_s: float = 0.0) -> Pace:
    """Half of what can be read, where `reads_per_s` is not given."""
    asked = market.orders(market.promises(number))
    ground.calm()
    taken = load.send(market.grounds.url, asked, CLIENTS).expect(202)
    ground.calm()
    drained = flow.drain(bench, ground, market, backlog)
    placed = market.place(ORDERS_READ)
    ground.calm()
    steady = reads_per_s or _read(market, placed, "/timeline", 0.0).per_second / 2
    order, timeline = (_read(market, placed, part, steady) for part in ("", "/timeline"))
    return Pace(taken.per_second, drained.per_second, _p99_ms(order), _p99_ms(timeline), steady)


def _read(market: Market, placed: list[Placed], part: str, rate: float) -> load.Outcome:
    """`rate` requests a second; as many as can be answered, if 0."""
    asked = [market.get(one.buyer, f"/v1/orders/{one.order_no}{part}") for one in placed]
    return load.send(market.grounds.url, asked * (READS // len(asked)), CLIENTS, rate=rate).expect(200)


def _p99_ms(outcome: load.Outcome) -> float:
    return load.quantile(outcome.latencies, 0.99) * 1000


def _disk(ground: Ground) -> int:
    """Bytes of all stores."""
    return sum(int(ground.rows(name, "SELECT pg_database_size(current_database())")[0][0]) for name in ground.stores)
