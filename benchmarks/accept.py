"""How many orders a second are taken, beside how often the floor can write as much: in turns, on the same machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from benchmarks import floor, load
from benchmarks.ground import Ground
from benchmarks.market import Market


@dataclass(frozen=True)
class Rate:
    """Requests a second of one kind; `p50` and `p99` in seconds; the load generator's own CPU seconds."""

    requests: int
    per_second: float
    p50: float
    p99: float
    generator_cpu: float

    @classmethod
    def of(cls, rounds: list[load.Outcome]) -> Rate:
        """All rounds of a kind together."""
        latencies = [latency for one in rounds for latency in one.latencies]
        return cls(
            len(latencies),
            len(latencies) / sum(one.seconds for one in rounds),
            load.quantile(latencies, 0.5),
            load.quantile(latencies, 0.99),
            sum(one.cpu_seconds for one in rounds),
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


def pair(market: Market, clients: int, *, rounds: int, number: int, rest: Callable[[], None]) -> Pair:
    """`rounds` times `number` orders and as many calls of the floor, in turns; `rest` between any two of them."""
    orders, floors = [], []
    for _ in range(rounds):
        asked = market.orders(market.promises(number))
        rest()
        orders.append(load.send(market.grounds.url, asked, clients).expect(202))
        rest()
        floors.append(load.send(market.grounds.url, [_floor_request(market)] * number, clients).expect(202))
    return Pair(clients, Rate.of(orders), Rate.of(floors))


def count_rows(ground: Ground, market: Market) -> dict[str, tuple[int, int]]:
    """What placing one order of two lines writes; the order service's worker must stand still."""
    (placed,) = market.place(1, clients=1)
    writer = "SELECT xmin::text FROM order_group WHERE group_no = :group_no"
    return floor.census(ground.stores["order"], writer, group_no=placed.group_no)


def _floor_request(market: Market) -> bytes:
    """A body as long as an order's."""
    body = {"quote_token": "x" * 80, "expected_amount": 20_800}
    return load.request("POST", floor.PATH, market.host, msgspec.json.encode(body))
