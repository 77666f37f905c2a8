"""How many orders a second are taken, beside how often the floor can write as much: in turns, on the same machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from benchmarks import floor, load
from benchmarks.bench import Bench
from benchmarks.ground import Ground, less_idle, metered
from benchmarks.market import Market


@dataclass(frozen=True)
class Rate:
    """Requests a second of one kind; `p50` and `p99` in seconds; the load generator's own CPU seconds; `cpu_ms` of all
    others, a request."""

    requests: int
    per_second: float
    p50: float
    p99: float
    generator_cpu: float
    cpu_ms: float = 0.0

    @classmethod
    def of(cls, rounds: list[load.Outcome], cpu_seconds: float) -> Rate:
        """All rounds of a kind together."""
        latencies = [latency for one in rounds for latency in one.latencies]
        return cls(
            len(latencies),
            len(latencies) / sum(one.seconds for one in rounds),
            load.quantile(latencies, 0.5),
            load.quantile(latencies, 0.99),
            sum(one.cpu_seconds for one in rounds),
            cpu_seconds * 1000 / len(latencies),
        )


@dataclass(frozen=True)
class Pair:
    """Orders and the floor, with so many clients."""

    clients: int
    orders: Rate
    floor: Rate

    @property
    def ratio(self) -> float:
        return self.orders.per_second / self.floor.per_second

    def __str__(self) -> str:
        return f"{self.orders.per_second:.1f} orders/s, floor {self.floor.per_second:.1f}/s, ratio {self.ratio:.2f}"


def pair(
    bench: Bench, market: Market, clients: int, *, rounds: int, number: int, rest: Callable[[], None],
    idle: Mapping[str, float],
) -> Pair:  # fmt: skip
    """`rounds` times `number` orders and as many calls of the floor, in turns; `rest` between any two of them; `idle`:
    what the parts cost when nothing is asked."""
    orders, floors = _Rounds(bench, market, clients, idle), _Rounds(bench, market, clients, idle)
    for _ in range(rounds):
        asked = market.orders(market.promises(number))
        rest()
        orders.send(asked)
        rest()
        floors.send([_floor_request(market)] * number)
    return Pair(clients, orders.rate(), floors.rate())


class _Rounds:
    """Of one kind of request, with what they cost."""

    def __init__(self, bench: Bench, market: Market, clients: int, idle: Mapping[str, float]) -> None:
        self.bench, self.market, self.clients, self.idle = bench, market, clients, idle
        self.done: list[load.Outcome] = []
        self.cpu_seconds = 0.0

    def send(self, asked: list[bytes]) -> None:
        with metered(self.bench) as used:
            self.done.append(load.send(self.market.grounds.url, asked, self.clients).expect(202))
        self.cpu_seconds += sum(less_idle(used, self.idle).values())

    def rate(self) -> Rate:
        return Rate.of(self.done, self.cpu_seconds)


def count_rows(ground: Ground, market: Market) -> dict[str, tuple[int, int]]:
    """What placing one order of two lines writes; the order service's worker must stand still."""
    (placed,) = market.place(1, clients=1)
    writer = "SELECT xmin::text FROM order_group WHERE group_no = :group_no"
    return floor.census(ground.stores["order"], writer, group_no=placed.group_no)


def _floor_request(market: Market) -> bytes:
    """A body as long as an order's."""
    body = {"quote_token": "x" * 80, "expected_amount": 20_800}
    return load.request("POST", floor.PATH, market.host, msgspec.json.encode(body))
