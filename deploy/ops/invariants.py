"""The promises about money, stock and events, recomputed from the stores alone: V1 to V9.

They hold at any moment for the parts that one transaction guards (V1 to V4, V6, V9), and at quiescence for what
travels by events (V5, V7, V8). Each check answers the breaches it found, naming order, SKU or posting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.storage.database import Database

Stores = Mapping[str, Database]
SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """`breaches` is empty when the invariant holds; `checked` is how many things were looked at."""

    number: str
    promise: str
    checked: int
    breaches: list[str]

    def __str__(self) -> str:
        if not self.breaches:
            return f"{self.number} ok      {self.promise} ({self.checked} checked)"
        more = f" and {len(self.breaches) - SHOWN} more" if len(self.breaches) > SHOWN else ""
        return f"{self.number} BROKEN  {self.promise}: {'; '.join(self.breaches[:SHOWN])}{more}"


class Snapshot:
    """What the checks read, loaded once."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.groups = list(self.documents("order", "order_group"))
        self.orders = [(group, order) for group in self.groups for order in group["orders"]]
        self.payments = list(self.documents("payment", "payment"))
        self.payouts = list(self.documents("payment", "payout"))
        self.reservations = {one["order_no"]: one for one in self.documents("inventory", "reservation")}
        self.returns = list(self.documents("inventory", "returned_parcel"))
        self.transfers = list(self.documents("inventory", "transfer"))
        self.timers = {name: self._timers(name) for name in stores}

    def rows(self, store: str, statement: str) -> list[Any]:
        """The rows of a query on one store."""
        with self.stores[store].read() as connection:
            return list(connection.execute(sa.text(statement)))

    def documents(self, store: str, table: str) -> Iterator[dict[str, Any]]:
        """The bodies of a table of aggregates."""
        for (body,) in self.rows(store, f"SELECT body FROM {table}"):  # noqa: S608  (names of our own)
            yield msgspec.json.decode(bytes(body))

    def _timers(self, store: str) -> set[str]:
        return {aggregate for (aggregate,) in self.rows(store, "SELECT aggregate FROM timer")}


Check = Callable[[Snapshot], tuple[int, list[str]]]
TERMINAL = ("COMPLETED", "CANCELLED", "CLOSED")


def stock_is_never_promised_twice(see: Snapshot) -> tuple[int, list[str]]:
    """on_hand, and on_hand less allocated less held, are never below zero; the ledger's sums are the numbers.

    No more of a parcel is put back on the shelf than had left with it, and that is what its inspection found fit.
    What left for another warehouse is on its way, received there or missing, and never counted twice.
    """
    rows = see.rows("inventory", "SELECT sku, warehouse_id, on_hand, held, allocated, backordered FROM stock")
    sums = {
        (row[0], row[1]): tuple(map(int, row[2:]))
        for row in see.rows(
            "inventory",
            "SELECT sku, warehouse_id, sum(on_hand), sum(held), sum(allocated), sum(backordered)"
            " FROM stock_movement GROUP BY sku, warehouse_id",
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
    back, left = (
        {
            (shipment_id, sku, warehouse): int(units)
            for shipment_id, sku, warehouse, units in see.rows(
                "inventory",
                "SELECT shipment_id, sku, warehouse_id, sum(on_hand) FROM stock_movement"  # noqa: S608  (our own words)
                f" WHERE kind = '{kind}' GROUP BY shipment_id, sku, warehouse_id",
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
    moved = {
        tuple(key): int(units)
        for *key, units in see.rows(
            "inventory",
            "SELECT reference, sku, warehouse_id, kind, sum(on_hand) FROM stock_movement"
            " WHERE kind IN ('transfer_out', 'transfer_in') GROUP BY reference, sku, warehouse_id, kind",
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


def money_is_somewhere(see: Snapshot) -> tuple[int, list[str]]:
    """Captured = what splits keep + refunded + refund in flight + suspense; every posting sums to zero.

    A payout is out of its shop's balance until it failed, and out of the house once it is completed.
    """
    bad = [
        f"posting {key} is out by {total}"
        for key, total in see.rows(
            "payment", "SELECT posting_key, sum(amount) FROM ledger_entry GROUP BY posting_key HAVING sum(amount) <> 0"
        )
    ]
    booked: dict[str, dict[str, int]] = {}
    for payment_id, family, total in see.rows(
        "payment",
        "SELECT p.payment_id, e.family, sum(e.amount) FROM ledger_entry e"
        " JOIN ledger_posting p ON p.key = e.posting_key GROUP BY p.payment_id, e.family",
    ):
        booked.setdefault(payment_id, {})[family] = int(total)
    for payment in see.payments:
        number, accounts = payment["payment_id"], booked.get(payment["payment_id"], {})
        captured = sum(capture["amount"] for capture in payment["captures"])
        refunded = sum(one["amount"] for one in payment["refunds"] if one["state"] == "COMPLETED")
        outside = -sum(accounts.get(family, 0) for family in ("channel", "cash", "bank"))
        if not payment["cod"] and outside != captured - refunded:
            bad.append(f"{number}: captured {captured}, refunded {refunded}, the ledger holds {outside}")
        inside = sum(accounts.get(family, 0) for family in ("escrow", "suspense", "refunds", "seller", "commission"))
        if inside != outside:
            bad.append(f"{number}: {outside} came in, {inside} is accounted for")
    for payout in see.payouts:
        amount, accounts = payout["amount"], booked.get(payout["payout_id"], {})
        taken = 0 if payout["state"] == "FAILED" else amount
        gone = amount if payout["state"] == "COMPLETED" else 0
        if tuple(accounts.get(family, 0) for family in ("seller", "payouts", "channel")) != (
            -taken,
            taken - gone,
            gone,
        ):
            bad.append(f"payout {payout['payout_id']} of {amount} is {payout['state']}, the ledger holds {accounts}")
    return len(see.payments) + len(see.payouts), bad


def refunds_stay_below_what_came(see: Snapshot) -> tuple[int, list[str]]:
    """Refunds never exceed what was captured, per split and per line."""
    bad = []
    for payment in see.payments:
        for split in payment["splits"]:
            if split["refunding"] + split["refunded"] > split["captured"]:
                bad.append(f"{split['order_no']}: {split['refunded']}+{split['refunding']} of {split['captured']}")
    for _, order in see.orders:
        if order["refunded_amount"] > order["paid_amount"]:
            bad.append(f"{order['order_no']}: {order['refunded_amount']} back of {order['paid_amount']}")
    return len(see.payments), bad


def nothing_waits_for_nothing(see: Snapshot) -> tuple[int, list[str]]:
    """Every order, payment, refund and payout that is not over has a deadline to come, or a named pause."""
    bad = []
    by_order: dict[str, list[str]] = {}
    for shipment_id, order_no, state in see.rows("shipping", "SELECT shipment_id, order_no, state FROM shipment"):
        if state in ("PLANNED", "PICKING", "PACKED", "SHIPPED", "RETURNING"):
            by_order.setdefault(order_no, []).append(shipment_id)
    for group, order in see.orders:
        if order["state"] in TERMINAL or order["pauses"]:
            continue
        own = {order["order_no"], group["group_no"]} & see.timers["order"]
        shipping = {order["order_no"], *by_order.get(order["order_no"], [])} & see.timers["shipping"]
        if not own and not shipping:
            bad.append(f"{order['order_no']} is {order['state']} and waits for nothing")
    for payment in see.payments:
        for refund in payment["refunds"]:
            if refund["state"] in ("INITIATED", "FAILED") and not _refund_is_on_its_way(see, refund):
                bad.append(f"refund {refund['refund_id']} is {refund['state']} and waits for nothing")
    under_way = see.timers["payment"] | {key for (key,) in see.rows("payment", "SELECT key FROM intent")}
    for payout in see.payouts:
        if payout["state"] == "REQUESTED" and not any(payout["payout_id"] in key for key in under_way):
            bad.append(f"payout {payout['payout_id']} waits for nothing")
    return len(see.orders) + len(see.payments) + len(see.payouts), bad


def _refund_is_on_its_way(see: Snapshot, refund: dict[str, Any]) -> bool:
    if refund["next_at"]:
        return True
    keys = {key for (key,) in see.rows("payment", "SELECT key FROM intent")}
    return any(refund["refund_id"] in key for key in keys | see.timers["payment"])


ONCE = (
    ("order", "OrderPlaced"),
    ("order", "OrderConfirmed"),
    ("order", "OrderCompleted"),
    ("order", "OrderCancelled"),
    ("payment", "PaymentConfirmed"),
    ("payment", "FundsHeld"),
    ("shipping", "ShipmentPlanned"),
    ("shipping", "Shipped"),
    ("shipping", "Delivered"),
    ("inventory", "StockReserved"),
)


def told_once(see: Snapshot) -> tuple[int, list[str]]:
    """One OrderPlaced for each order, one PaymentConfirmed for each payment, one Shipped for each shipment …"""
    bad, count = [], 0
    for store, fact in ONCE:
        for about, times in see.rows(
            store,
            f"SELECT agg_id, count(*) FROM event_log WHERE type = '{fact}' GROUP BY agg_id",  # noqa: S608
        ):
            count += 1
            if times > 1:
                bad.append(f"{fact} of {about} was told {times} times")
    return count, bad


def the_services_agree(see: Snapshot) -> tuple[int, list[str]]:
    """Cancelled: no stock held, no money kept. Confirmed to received: stock allocated or gone. Back: to inspect."""
    inspected = {one["shipment_id"] for one in see.returns}
    bad = [
        f"{shipment['order_no']}: {shipment['shipment_id']} came back and is not to be inspected"
        for shipment in see.documents("shipping", "shipment")
        if shipment["state"] == "RETURNED_TO_SENDER" and shipment["kind"] == "sale"
        if shipment["shipment_id"] not in inspected
    ]
    splits = {split["order_no"]: (payment, split) for payment in see.payments for split in payment["splits"]}
    for _, order in see.orders:
        number, state = order["order_no"], order["state"]
        reservation = see.reservations.get(number)
        holds = reservation is not None and any(part["held"] or part["allocated"] for part in reservation["parts"])
        if state == "CANCELLED" and holds:
            bad.append(f"{number} is cancelled and holds stock")
        if state == "CANCELLED" and number in splits:
            _, split = splits[number]
            if split["captured"] > split["refunding"] + split["refunded"]:
                bad.append(f"{number} is cancelled and keeps {split['captured']}")
        if state in ("CONFIRMED", "FULFILLING", "SHIPPED", "DELIVERED", "RECEIVED") and (
            reservation is None or reservation["state"] not in ("ALLOCATED", "CONSUMED", "BACKORDERED")
        ):
            bad.append(f"{number} is {state} without stock")
    return len(see.orders), bad


def nothing_is_stuck(see: Snapshot) -> tuple[int, list[str]]:
    """Sequences have no gap, every outbox is empty, no message is dead or kept back."""
    bad, count = [], 0
    for store in see.stores:
        for kind, about, most, how_many in see.rows(
            store,
            "SELECT agg_type, agg_id, max(agg_seq), count(*) FROM event_log GROUP BY agg_type, agg_id"
            " HAVING max(agg_seq) <> count(*) OR min(agg_seq) <> 1",
        ):
            bad.append(f"{store} {kind}/{about}: {how_many} facts, the last is number {most}")
        count += int(see.rows(store, "SELECT count(*) FROM event_log")[0][0])
        waiting = int(see.rows(store, "SELECT count(*) FROM outbox")[0][0])
        kept = see.rows(store, "SELECT status, count(*) FROM inbox_retry GROUP BY status")
        bad += [f"{store}: {waiting} facts not published"] if waiting else []
        bad += [f"{store}: {how_many} messages {status}" for status, how_many in kept]
    return count, bad


def no_money_leaves_that_was_not_here(see: Snapshot) -> tuple[int, list[str]]:
    """Released never exceeds captured less refunded; no escrow account is below zero."""
    bad, count = [], 0
    for order_no, balance in see.rows(
        "payment", "SELECT owner, sum(amount) FROM ledger_entry WHERE family = 'escrow' GROUP BY owner"
    ):
        count += 1
        if balance < 0:
            bad.append(f"escrow of {order_no} is at {balance}")
    for payment in see.payments:
        for split in payment["splits"]:
            released = split["commission"] + split["net"] - split["debited"]
            if released > split["captured"] - split["refunded"]:
                bad.append(f"{split['order_no']}: {released} released of {split['captured'] - split['refunded']}")
    return count, bad


CHECKS: tuple[tuple[str, str, Check], ...] = (
    ("V1", "stock is never promised twice", stock_is_never_promised_twice),
    ("V2", "every order line adds up", lines_add_up),
    ("V3", "every cent that came is somewhere", money_is_somewhere),
    ("V4", "refunds stay below what came", refunds_stay_below_what_came),
    ("V5", "nothing waits for nothing", nothing_waits_for_nothing),
    ("V6", "what happens once is told once", told_once),
    ("V7", "the services agree", the_services_agree),
    ("V8", "no gap, nothing stuck, nothing dead", nothing_is_stuck),
    ("V9", "no money leaves that was not here", no_money_leaves_that_was_not_here),
)


def recompute(stores: Stores) -> list[Verdict]:
    """All verdicts, from the stores as they are now."""
    see = Snapshot(stores)
    verdicts = []
    for number, promise, check in CHECKS:
        checked, breaches = check(see)
        verdicts.append(Verdict(number, promise, checked, breaches))
    return verdicts
