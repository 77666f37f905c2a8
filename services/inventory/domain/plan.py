"""Which warehouses serve an order: one that has it all, else a few, else a promise of goods to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.inventory.domain.stock import Stock
from shared.contracts.inventory import Shortage


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An order's line, as far as stock is concerned."""

    line_id: str
    sku: str
    qty: int


@dataclass(kw_only=True)
class Take:
    """Units of a line that a warehouse gives: `qty` at once, `backordered` when they come in."""

    line_id: str
    sku: str
    warehouse_id: str
    qty: int = 0
    backordered: int = 0


@dataclass(frozen=True)
class Plan:
    """Whole or not at all: with any shortage there are no takes."""

    takes: tuple[Take, ...] = ()
    shortages: tuple[Shortage, ...] = ()


def plan(wanted: Sequence[Wanted], stock: Mapping[str, Iterable[Stock]]) -> Plan:
    """Choose for all lines together, `stock` being the seller's by SKU. Changes nothing."""
    left = {line.line_id: line.qty for line in wanted}
    takes: dict[tuple[str, str], Take] = {}

    def take(line: Wanted, warehouse_id: str, units: dict[str, int], *, waits: bool) -> None:
        qty = min(left[line.line_id], units.get(line.sku, 0))
        if not qty:
            return
        units[line.sku] -= qty
        left[line.line_id] -= qty
        part = takes.setdefault(
            (line.line_id, warehouse_id), Take(line_id=line.line_id, sku=line.sku, warehouse_id=warehouse_id)
        )
        if waits:
            part.backordered += qty
        else:
            part.qty += qty

    here: dict[str, dict[str, int]] = {}
    room: dict[str, dict[str, int]] = {}
    for sku, rows in stock.items():
        for row in rows:
            here.setdefault(row.warehouse_id, {})[sku] = row.available
            room.setdefault(row.warehouse_id, {})[sku] = row.room
    chosen = _warehouses(Counter(dict.fromkeys(stock, 0)), wanted, here)
    for warehouse_id in chosen:
        for line in wanted:
            take(line, warehouse_id, here[warehouse_id], waits=False)
    # A promise is best kept where the rest of the order comes from: the parcels may be joined.
    for warehouse_id in [*chosen, *sorted(set(room) - set(chosen))]:
        for line in wanted:
            take(line, warehouse_id, room[warehouse_id], waits=True)
    if any(left.values()):
        return Plan(
            shortages=tuple(
                Shortage(
                    line_id=line.line_id,
                    sku=line.sku,
                    wanted=line.qty,
                    available=line.qty - left[line.line_id],
                )
                for line in wanted
                if left[line.line_id]
            )
        )
    return Plan(takes=tuple(takes.values()))


def _warehouses(need: Counter[str], wanted: Sequence[Wanted], here: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Warehouses to take from, in turn: always the one that serves most of what is still needed.

    One that has everything serves most, so it comes first and alone; of several such the fullest.
    """
    for line in wanted:
        need[line.sku] += line.qty
    chosen: list[str] = []
    others = sorted(here)
    while others and any(need.values()):
        served = {
            warehouse_id: sum(min(units, need[sku]) for sku, units in here[warehouse_id].items())
            for warehouse_id in others
        }
        best = max(others, key=lambda w: (served[w], sum(here[w].values())))
        if not served[best]:
            break
        chosen.append(best)
        others.remove(best)
        for sku, units in here[best].items():
            need[sku] -= min(units, need[sku])
    return chosen
