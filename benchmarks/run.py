"""The order of measurements, and how much of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import accept, flow, footprint, growth, story
from benchmarks.accept import Pair
from benchmarks.bench import Bench
from benchmarks.conditions import Yardstick, conditions
from benchmarks.flow import Drain, Hot, Payable
from benchmarks.footprint import Footprint
from benchmarks.ground import Ground, less_idle, metered
from benchmarks.growth import Growth
from benchmarks.market import Market
from deploy.ops.invariants import Verdict, recompute


@dataclass(frozen=True)
class Size:
    """How much is measured. `completed`: orders carried through; `rounds` of `accepted` orders for each of `clients`;
    `steady`: seconds of the open loop; `backlog`: orders piled up; `hot`: orders of one SKU, and of any, in a round;
    `growth`: orders that are loaded before some of it is measured once more."""

    name: str
    warm: int
    idle: float
    completed: int
    clients: tuple[int, ...]
    rounds: int
    accepted: int
    steady: float
    backlog: int
    hot: int
    growth: int = 0

    @property
    def orders(self) -> int:
        """An upper bound of all orders placed, for the number of buyers."""
        taken = 2 * len(self.clients) * self.rounds * self.accepted + 1
        backlogs = 2 + (4 if self.growth else 0)
        streams = int(self.steady * MOST_PER_SECOND) + backlogs * self.backlog
        return self.warm + self.completed + taken + streams + 2 * HOT_ROUNDS * self.hot


HOT_ROUNDS = 3
FULL = Size("full", 40, 10, 200, (8, 32), 4, 250, 25, 2000, 250)
QUICK = Size("quick", 0, 2, 5, (8,), 1, 20, 2, 200, 20)
MOST_PER_SECOND = 150.0


@dataclass
class Results:
    """Everything that was measured. CPU in seconds by part of the stack, `idle` over its own ``wall``;
    `heard_per_order`: facts that an order's life makes services hear."""

    size: Size
    conditions: dict[str, Any] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    wall: float = 0.0
    heard_per_order: float = 0.0
    yardstick_ms: float = 0.0
    census: dict[str, tuple[int, int]] = field(default_factory=dict)
    accept: list[Pair] = field(default_factory=list)
    accept_with_events: list[Pair] = field(default_factory=list)
    payable: Payable | None = None
    hot: Hot | None = None
    drain: Drain | None = None
    footprint: Footprint = field(default_factory=Footprint)
    growth: Growth | None = None
    states: dict[str, int] = field(default_factory=dict)
    verdicts: Sequence[Verdict] = ()


def measure(size: Size, say: Callable[[str], None]) -> Results:
    """One run on a fresh stack, which is gone afterwards."""
    say("weighing the platform in one process")
    embedded_mib = footprint.embedded()
    say("starting the stack")
    with Bench() as bench:
        results = Results(size, conditions(bench, size))
        results.footprint.embedded_mib = embedded_mib
        say("opening the shop")
        market = Market(bench, orders=size.orders)
        ground = Ground(bench)
        try:
            _complete(bench, ground, market, results, say)
            _accept(bench, ground, market, results, say)
            _flow(bench, ground, market, results, say)
            counted = ground.rows(
                "order", "SELECT state, count(*) AS number FROM order_index GROUP BY state ORDER BY state"
            )
            results.states = {row.state: row.number for row in counted}
            results.verdicts = recompute(ground.stores)
            if size.growth:
                say(f"loading {size.growth} orders, and measuring before and after")
                results.growth = growth.grow(
                    bench, ground, market, size.growth, number=size.backlog // 2, backlog=size.backlog
                )
                say(f"  {results.growth}")
        finally:
            ground.close()
    return results


def _complete(bench: Bench, ground: Ground, market: Market, results: Results, say: Callable[[str], None]) -> None:
    """CPU per order, from quote to completed."""
    size = results.size
    if size.warm:
        say(f"warming up with {size.warm} orders")
        story.tell(ground, market, size.warm)
    say(f"idling for {size.idle:g} s")
    with metered(bench) as results.idle:
        time.sleep(size.idle)
    room = results.footprint
    room.stack_mib, before, heard = footprint.memory(bench.pids()), footprint.table_bytes(ground), _heard(ground)
    say(f"carrying {size.completed} orders from quote to completed")
    with Yardstick() as yardstick, metered(bench) as used:
        placed = story.tell(ground, market, size.completed)
    after = footprint.table_bytes(ground)
    room.bytes_per_order = {
        table: (after[table] - before[table]) / size.completed for table in after if table != "outbox"
    }
    room.outbox_bytes, room.outbox_rows = after["outbox"], footprint.outbox_rows(ground)
    results.heard_per_order = (_heard(ground) - heard) / size.completed
    results.wall, results.used = used["wall"], less_idle(used, results.idle)
    results.yardstick_ms = yardstick.mean_ms
    per_order = sum(results.used.values()) * 1000 / size.completed
    say(f"  {per_order:.0f} CPU ms each, {per_order / yardstick.mean_ms:.1f} yardsticks")
    best = results.conditions["yardstick_best_ms"]
    results.conditions["yardstick_best_ms"] = min(best, *yardstick.samples)
    wanted = [one.order_no for one in placed]
    done = ground.rows(
        "order",
        "SELECT count(*) FROM order_index WHERE state = 'COMPLETED' AND order_no = ANY(:wanted)",
        wanted=wanted,
    )[0][0]
    assert done == len(placed), f"{done} of {len(placed)} orders are COMPLETED"


def _heard(ground: Ground) -> int:
    """Facts taken by all services, each counted as often as it was heard."""
    return sum(ground.rows(store, "SELECT count(*) FROM inbox")[0][0] for store in ground.stores)


def _accept(bench: Bench, ground: Ground, market: Market, results: Results, say: Callable[[str], None]) -> None:
    """Orders a second beside the floor: first while order's worker stands still, so that nothing but the taking itself
    is compared, then with all that an order sets off going on at the same time."""
    size = results.size
    bench.stop_worker("order")
    results.census = accept.count_rows(ground, market)
    bench.start_floor(results.census)
    for pairs, rest, how in (
        (results.accept, lambda: None, "alone"),
        (results.accept_with_events, ground.calm, "with what they set off"),
    ):
        for clients in size.clients:
            say(f"taking orders from {clients} clients, {how}")
            one = accept.pair(
                bench, market, clients, rounds=size.rounds, number=size.accepted, rest=rest, idle=results.idle
            )
            pairs.append(one)
            say(f"  {one}")
        if pairs is results.accept:
            bench.start_worker("order")
        ground.calm()


def _flow(bench: Bench, ground: Ground, market: Market, results: Results, say: Callable[[str], None]) -> None:
    """How fast things move on."""
    size = results.size
    rate = min(MOST_PER_SECOND, max(pair.orders.per_second for pair in results.accept_with_events) / 2)
    say(f"a steady {rate:.0f} orders a second for {size.steady:g} s")
    results.payable = flow.payable(ground, market, per_second=rate, seconds=size.steady)
    say(f"  {results.payable}")
    say(f"{HOT_ROUNDS} times {size.hot} orders for one SKU, and for any")
    results.hot = flow.hot(ground, market, size.hot, HOT_ROUNDS)
    say(f"  {results.hot}")
    say(f"draining a backlog of {size.backlog} orders, beside a bare loop")
    results.drain = flow.drain(bench, ground, market, size.backlog, beside_bare=True)
