"""A run as a table for people and as a document for machines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import msgspec

from benchmarks import story
from benchmarks.accept import Pair
from benchmarks.run import Results

GROUPS = (("web", "web"), ("live", "web"), ("worker", "worker"))


def document(results: Results) -> bytes:
    """The JSON of a run; the keys at the top are the ones to compare by."""
    payable, hot, drain = results.payable, results.hot, results.drain
    if payable is None or hot is None or drain is None:
        raise ValueError("the run did not get to its end")
    best = _best(results.accept)
    told = {
        "accept_per_s": best.orders.per_second,
        "floor_per_s": best.floor.per_second,
        "accept_ratio": best.ratio,
        "cpu_ms_per_completed_order": _per_order(results),
        "cpu_yardsticks_per_completed_order": _per_order(results) / results.yardstick_ms,
        "bare_cpu_ms_per_completed_order": _bare(results),
        "cpu_over_bare": _per_order(results) / _bare(results),
        "yardstick_ms": results.yardstick_ms,
        "payable_p50_ms": payable.p50_ms,
        "payable_p99_ms": payable.p99_ms,
        "drain_facts_per_s": drain.per_second,
        "drain_ratio": drain.ratio,
        "hot_sku_ratio": hot.ratio,
        "accept_with_events_per_s": _best(results.accept_with_events).orders.per_second,
        "stack_idle_mib": sum(results.footprint.stack_mib.values()),
        "embedded_idle_mib": results.footprint.embedded_mib,
        "bytes_per_completed_order": results.footprint.bytes_per_order,
        "outbox_bytes_at_rest": results.footprint.outbox_bytes,
        "outbox_rows_at_rest": results.footprint.outbox_rows,
        "growth_orders": results.growth.orders if results.growth else 0,
        "growth_rate_ratio": results.growth.rate_ratio if results.growth else None,
        "growth_p99_ratio": results.growth.p99_ratio if results.growth else None,
        "accept": [_pair(pair) for pair in results.accept],
        "accept_with_events": [_pair(pair) for pair in results.accept_with_events],
        "rows_per_order": {table: rows for table, (rows, _) in results.census.items()},
        "cpu_ms_by_part": {part: seconds * 1000 / results.size.completed for part, seconds in results.used.items()},
        "idle_cpu_ms_per_s": {
            part: seconds * 1000 / results.idle["wall"] for part, seconds in results.idle.items() if part != "wall"
        },
        "payable": asdict(payable),
        "hot": asdict(hot),
        "drain": asdict(drain),
        "footprint": asdict(results.footprint),
        "growth": asdict(results.growth) if results.growth else None,
        "states": results.states,
        "invariants": {verdict.number: len(verdict.breaches) for verdict in results.verdicts},
        "conditions": results.conditions,
    }
    return msgspec.json.format(msgspec.json.encode(_rounded(told)), indent=2) + b"\n"


def lines(results: Results) -> Iterator[str]:
    """The table."""
    yield ""
    yield from _accept_lines(results)
    yield ""
    yield from _cpu_lines(results)
    yield ""
    yield from _flow_lines(results)
    yield f"Orders at the end: {', '.join(f'{count} {state}' for state, count in results.states.items())}"
    yield ""
    yield from map(str, results.verdicts)
    told = results.conditions
    yield (
        f"{told['machine']['cpus']} CPUs, load {told['machine']['load_before'][0]} before;"
        f" the yardstick cost {results.yardstick_ms:.1f} ms as CPU was counted, {told['yardstick_best_ms']:.1f} ms at"
        f" best: {results.yardstick_ms / told['yardstick_best_ms']:.2f} times as dear"
    )


def _accept_lines(results: Results) -> Iterator[str]:
    columns = ("orders/s", "floor/s", "ratio", "p50 ms", "p99 ms", "client CPU s")
    yield f"{'Orders accepted':<34}" + "".join(f"{name:>13}" for name in columns)
    titled = [(f"{pair.clients} clients", pair) for pair in results.accept]
    titled += [(f"{pair.clients} clients, events flowing", pair) for pair in results.accept_with_events]
    for title, pair in titled:
        orders = pair.orders
        values = (
            orders.per_second, pair.floor.per_second, pair.ratio, orders.p50 * 1000, orders.p99 * 1000,
            orders.generator_cpu,
        )  # fmt: skip
        yield f"  {title:<32}" + "".join(f"{value:>13.2f}" for value in values)
    rows = ", ".join(f"{table} {count}" for table, (count, _) in results.census.items())
    yield f"  the floor writes as many rows as an order: {rows}"


def _cpu_lines(results: Results) -> Iterator[str]:
    """CPU per completed order by service and by kind of process."""
    number = results.size.completed
    columns = ("web", "worker", "postgres", "itself")
    yield f"{'CPU ms per completed order':<34}" + "".join(f"{name:>10}" for name in (*columns, "sum"))
    for name, cells in sorted(_by_service(results.used).items(), key=lambda item: -sum(item[1].values())):
        values = [cells.get(column, 0.0) * 1000 / number for column in columns]
        shown = "".join(
            f"{value:>10.1f}" if column in cells else " " * 10 for column, value in zip(columns, values, strict=True)
        )
        yield f"  {name:<32}{shown}{sum(values):>10.1f}"
    yield f"  {'all':<32}{'':40}{_per_order(results):>10.1f}"
    idle = sum(seconds for part, seconds in results.idle.items() if part != "wall") / results.idle["wall"]
    yield f"  idle: {idle * 100:.1f} % of one core, taken off; {number} orders in {results.wall:.0f} s"


def _flow_lines(results: Results) -> Iterator[str]:
    if one := results.payable:
        yield f"{one.per_second:.0f} orders/s arriving for {one.seconds:.0f} s, whatever the answers:"
        yield f"  placed to payable   p50 {one.p50_ms:.0f} ms, p99 {one.p99_ms:.0f} ms"
        yield f"  the client's answer p99 {one.accept_p99_ms:.0f} ms (generator {one.generator_cpu:.2f} CPU s)"
    if hot := results.hot:
        yield f"Becoming payable: {hot} ({hot.orders} each)"
    if drained := results.drain:
        yield f"A lone worker drains {drained.per_second:.0f} facts/s ({drained.facts} in {drained.seconds:.1f} s)"
        yield f"  a bare loop that stores as much: {drained.bare.per_second:.0f}; ratio {drained.ratio:.2f}"
        floor, bare, heard = _best(results.accept).floor.cpu_ms, drained.bare.cpu_ms, results.heard_per_order
        yield f"A completed order takes {_per_order(results) / _bare(results):.2f} times the CPU of its bare parts:"
        yield f"  {story.REQUESTS:.2f} requests of the floor, {floor:.1f} ms each"
        yield f"  {heard:.1f} facts of the bare loop, {bare:.2f} ms each"
    yield f"Room: {results.footprint}"
    if growth := results.growth:
        yield f"Growth: {growth}"


def _by_service(used: dict[str, float]) -> dict[str, dict[str, float]]:
    """``{service: {web, worker, postgres}}``; a server that serves all has one cell ``itself``."""
    table: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    kinds = dict(GROUPS)
    for part, seconds in used.items():
        service, _, role = part.partition(".")
        if role in kinds:
            table[service][kinds[role]] += seconds
        elif part.startswith("postgres ") and part != "postgres itself":
            name = part.removeprefix("postgres ")
            table["order" if name == "orders" else name]["postgres"] += seconds
        else:
            table[part]["itself"] += seconds
    return table


def _bare(results: Results) -> float:
    """CPU milliseconds of as many requests of the floor and as many facts of the bare loop as an order's life has."""
    assert results.drain is not None
    heard = results.heard_per_order * results.drain.bare.cpu_ms
    return story.REQUESTS * _best(results.accept).floor.cpu_ms + heard


def _per_order(results: Results) -> float:
    return sum(results.used.values()) * 1000 / results.size.completed


def _best(pairs: list[Pair]) -> Pair:
    return max(pairs, key=lambda pair: pair.orders.per_second)


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "clients": pair.clients, "ratio": pair.ratio, "orders": asdict(pair.orders), "floor": asdict(pair.floor),
    }  # fmt: skip


def _rounded(told: Any) -> Any:
    """Four significant digits are more than enough."""
    if isinstance(told, dict):
        return {name: _rounded(value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [_rounded(value) for value in told]
    if isinstance(told, float) and told and math.isfinite(told):
        return round(told, max(0, 3 - math.floor(math.log10(abs(told)))))
    return told
