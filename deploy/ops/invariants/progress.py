"""V5 to V8: everything that began goes on, once, in every service alike."""

from __future__ import annotations

from typing import Any

from deploy.ops.invariants.seeing import ON_THE_WAY, TERMINAL, Snapshot


def nothing_waits_for_nothing(see: Snapshot) -> tuple[int, list[str]]:
    """Every order, payment, refund and payout that is not over has a deadline to come, or a named pause."""
    bad = []
    by_order: dict[str, list[str]] = {}
    for shipment_id, order_no, state in see.shipments:
        if state in ON_THE_WAY:
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
            f"SELECT agg_id, count(*) FROM event_log WHERE type = '{fact}'"  # noqa: S608
            f" AND {see.only('partition_key', 'groups')} GROUP BY agg_id",
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
        for shipment in see.documents("shipping", "shipment", "order_no", "orders")
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
    said = "event_log"
    if see.scope:
        said = (
            f"(SELECT DISTINCT agg_type, agg_id FROM event_log WHERE {see.only('partition_key', 'touched')}) recent"  # noqa: S608
            " JOIN event_log USING (agg_type, agg_id)"
        )
    bad, count = [], 0
    for store in see.stores:
        for kind, about, most, how_many in see.rows(
            store,
            f"SELECT agg_type, agg_id, max(agg_seq), count(*) FROM {said} GROUP BY agg_type, agg_id"  # noqa: S608
            " HAVING max(agg_seq) <> count(*) OR min(agg_seq) <> 1",
        ):
            bad.append(f"{store} {kind}/{about}: {how_many} facts, the last is number {most}")
        count += int(see.rows(store, f"SELECT count(*) FROM {said}")[0][0])  # noqa: S608
        waiting = int(see.rows(store, "SELECT count(*) FROM outbox")[0][0])
        kept = see.rows(store, "SELECT status, count(*) FROM inbox_retry GROUP BY status")
        bad += [f"{store}: {waiting} facts not published"] if waiting else []
        bad += [f"{store}: {how_many} messages {status}" for status, how_many in kept]
    return count, bad
