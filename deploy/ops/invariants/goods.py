"""V1 and V2: goods on shelves and in orders."""

from __future__ import annotations

from collections import Counter

from deploy.ops.invariants.seeing import Snapshot


def stock_is_never_promised_twice(see: Snapshot) -> tuple[int, list[str]]:
    """on_hand, and on_hand less allocated less held, are never below zero; the ledger's sums are the numbers.

    No more of a parcel is put back on the shelf than had left with it, and that is what its inspection found fit.
    What left for another warehouse is on its way, received there or missing, and never counted twice.
    """
    only = see.only("sku", "skus")
    rows = see.rows(
        "inventory",
        f"SELECT sku, warehouse_id, on_hand, held, allocated, backordered FROM stock WHERE {only}",  # noqa: S608
    )
    sums = {
        (row[0], row[1]): tuple(map(int, row[2:]))
        for row in see.rows(
            "inventory",
            "SELECT sku, warehouse_id, sum(on_hand), sum(held), sum(allocated), sum(backordered)"  # noqa: S608
            f" FROM stock_movement WHERE {only} GROUP BY sku, warehouse_id",
        )
    }
    bad = []
    for sku, warehouse, *numbers in rows:
        on_hand, held, allocated, _ = numbers
        if min(on_hand, held, allocated, on_hand - held - allocated) < 0:
            bad.append(f"{sku}@{warehouse}: {on_hand} on hand, {held} held, {allocated} allocated")
        if sums.get((sku, warehouse), (0, 0, 0, 0)) != tuple(numbers):
            bad.append(f"{sku}@{warehouse}: the ledger says {sums.get((sku, warehouse))}")
    bad += _put_back_wrongly(see)
    bad += _transferred_wrongly(see)
    return len(rows), bad


def _put_back_wrongly(see: Snapshot) -> list[str]:
    fit: Counter[tuple[str, str, str]] = Counter()
    for one in see.returns:
        for line in one["findings"]:
            if line["disposition"] == "resellable":
                fit[one["shipment_id"], line["sku"], one["warehouse_id"]] += line["qty_accepted"]
    only = f"{see.only('sku', 'skus')} AND {see.only('shipment_id', 'shipments')}"
    back, left = (
        {
            (shipment_id, sku, warehouse): int(units)
            for shipment_id, sku, warehouse, units in see.rows(
                "inventory",
                "SELECT shipment_id, sku, warehouse_id, sum(on_hand) FROM stock_movement"  # noqa: S608
                f" WHERE kind = '{kind}' AND {only} GROUP BY shipment_id, sku, warehouse_id",
            )
        }
        for kind in ("restock", "deduct")
    )
    return [
        f"{key[1]}@{key[2]}: of {key[0]} {back.get(key, 0)} units are put back,"
        f" {fit[key]} were found fit, {-left.get(key, 0)} had left"
        for key in back.keys() | {key for key, units in fit.items() if units}
        if not back.get(key, 0) == fit[key] <= -left.get(key, 0)
    ]


def _transferred_wrongly(see: Snapshot) -> list[str]:
    only = f"{see.only('sku', 'skus')} AND {see.only('reference', 'transfers')}"
    moved = {
        tuple(key): int(units)
        for *key, units in see.rows(
            "inventory",
            "SELECT reference, sku, warehouse_id, kind, sum(on_hand) FROM stock_movement"  # noqa: S608
            f" WHERE kind IN ('transfer_out', 'transfer_in') AND {only} GROUP BY reference, sku, warehouse_id, kind",
        )
    }
    due = {}
    for one in see.transfers:
        for line in one["lines"]:
            due[one["transfer_id"], line["sku"], one["from_warehouse_id"], "transfer_out"] = -line["qty"]
            if line["received"]:
                due[one["transfer_id"], line["sku"], one["to_warehouse_id"], "transfer_in"] = line["received"]
    return [
        f"{key[1]}@{key[2]}: {key[3]} of {moved.get(key, 0)} units for {key[0]}, which says {due.get(key, 0)}"
        for key in moved.keys() | due.keys()
        if moved.get(key, 0) != due.get(key, 0)
    ]


def lines_add_up(see: Snapshot) -> tuple[int, list[str]]:
    """Every unit of an order line is in exactly one condition."""
    bad, count = [], 0
    for _, order in see.orders:
        for line in order["lines"]:
            count += 1
            to_ship = line["qty"] - line["cancelled"] - line["shipped"]
            arrived = line["delivered"] + line["returned"] + line["lost"]
            if to_ship < 0 or arrived > line["shipped"] or line["refunded"] > line["qty"]:
                bad.append(f"{order['order_no']} line {line['line_id']}")
    return count, bad
