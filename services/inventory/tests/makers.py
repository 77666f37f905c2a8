"""A shop to try inventory on: its products, its orders, and one place that checks the books."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.inventory import store
from services.inventory.app import service
from shared.contracts.catalog import ProductSubmitted, SkuOffer
from shared.contracts.event import Sealed
from shared.contracts.lines import SkuLine
from shared.contracts.order import (
    ConfirmedLine,
    OrderCancelled,
    OrderClosed,
    OrderConfirmed,
    OrderHeldForReview,
    OrderLinesCancelled,
    OrderPaymentRequested,
    OrderPlaced,
    OrderShare,
    PlacedLine,
)
from shared.contracts.payment import PaymentInitiated
from shared.contracts.shipping import ReturnedToSender, Shipped
from shared.testing.stage import Answer, Caller, Stage

SHOP, OTHER_SHOP, BUYER = "shop-1", "shop-2", "buyer-1"
_numbers = count(1)
opened: list[Stage] = []


def stage(url: str, folder: Path, **settings: Any) -> Stage:
    """An inventory alone, into which the shop has put products A, B and C, and another shop its X."""
    made = Stage(service, url, folder, **settings)
    opened.append(made)
    made.hear(submitted("A", "B", "C"), submitted("X", seller_id=OTHER_SHOP))
    return made


def seller(on: Stage, shop: str = SHOP) -> Caller:
    return on.caller("seller", seller_id=shop)


def warehouse(on: Stage, title: str = "Main", shop: str = SHOP) -> str:
    answer = seller(on, shop).post("/v1/warehouses", {"title": title, "region": "CN-ZJ"})
    assert answer.status == 201, answer
    return str(answer.json["warehouse_id"])


def put_in(on: Stage, warehouse_id: str, **qty: int) -> None:
    """Stock of each named SKU."""
    lines = [{"sku": sku, "qty": units} for sku, units in qty.items()]
    answer = seller(on).post("/v1/stock-receipts", {"warehouse_id": warehouse_id, "lines": lines})
    assert answer.status == 201, answer


def terms(on: Stage, sku: str, warehouse_id: str, *, low: int = 0, backorders: int = 0) -> None:
    body = {"low_threshold": low, "backorder_limit": backorders}
    answer = seller(on).put(f"/v1/stock/{sku}/warehouses/{warehouse_id}", body)
    assert answer.status == 200, answer


def stocked(url: str, folder: Path, **qty: int) -> tuple[Stage, str]:
    """A stage with one warehouse that has these."""
    on = stage(url, folder)
    warehouse_id = warehouse(on)
    put_in(on, warehouse_id, **qty)
    return on, warehouse_id


# --- what others say ----------------------------------------------------------------------------------------


def new_order_no() -> str:
    return f"G{next(_numbers):016}-1"


def submitted(*skus: str, seller_id: str = SHOP, product_id: str = "") -> ProductSubmitted:
    return ProductSubmitted(
        product_id=product_id or f"p-{seller_id}",
        seller_id=seller_id,
        title="A thing",
        currency="CNY",
        skus=tuple(SkuOffer(sku=sku, price=100) for sku in skus),
    )


def placed(
    on: Stage | None = None,
    *,
    order_no: str = "",
    seller_id: str = SHOP,
    at: datetime | None = None,
    lines: dict[str, tuple[str, int]] | None = None,
    **qty: int,
) -> OrderPlaced:
    """An order of the named SKUs; `lines` names line ids too: ``{"l1": ("A", 2)}``."""
    order_no = order_no or new_order_no()
    wanted = lines or {f"l-{sku}": (sku, units) for sku, units in qty.items()}
    moment = at or (on.now() if on else datetime.fromisoformat("2026-03-14T15:00:00+00:00"))
    return OrderPlaced(
        group_no=order_no[:17],
        order_no=order_no,
        seller_id=seller_id,
        buyer_id=BUYER,
        index=1,
        of=1,
        group_orders=(order_no,),
        group_payable=100,
        goods_amount=100,
        freight=0,
        discount=0,
        payable=100,
        currency="CNY",
        payment_method="online",
        region="CN-ZJ",
        stock_policy="all_or_nothing",
        channel="web",
        placed_at=moment,
        lines=tuple(
            PlacedLine(
                line_id=line_id,
                product_id="p",
                sku=sku,
                title="A thing",
                qty=units,
                unit_price=100,
                discount=0,
                amount=100 * units,
            )
            for line_id, (sku, units) in wanted.items()
        ),
    )


def confirmed(order: OrderPlaced) -> OrderConfirmed:
    return OrderConfirmed(
        group_no=order.group_no,
        order_no=order.order_no,
        seller_id=order.seller_id,
        buyer_id=BUYER,
        lines=tuple(
            ConfirmedLine(line_id=line.line_id, product_id="p", sku=line.sku, title="A thing", qty=line.qty)
            for line in order.lines
        ),
        delivery=Sealed("v1.key.c2VjcmV0"),
        region="CN-ZJ",
        payment_method="online",
        paid_amount=100,
        cod_amount=0,
        currency="CNY",
        ship_by=order.placed_at + timedelta(days=2),
    )


def _about(order: OrderPlaced) -> dict[str, Any]:
    return {
        "group_no": order.group_no,
        "order_no": order.order_no,
        "seller_id": order.seller_id,
        "buyer_id": BUYER,
    }


def cancelled(order: OrderPlaced) -> OrderCancelled:
    return OrderCancelled(**_about(order), reason="buyer", was_paid=False, lines=sku_lines(order))


def closed(order: OrderPlaced) -> OrderClosed:
    return OrderClosed(**_about(order), reason="fully_refunded", lines=sku_lines(order))


def lines_cancelled(order: OrderPlaced, **qty: int) -> OrderLinesCancelled:
    """So many units of the lines of these SKUs."""
    lines = tuple(
        SkuLine(line_id=line.line_id, sku=line.sku, qty=qty[line.sku]) for line in order.lines if line.sku in qty
    )
    return OrderLinesCancelled(**_about(order), lines=lines, reason="buyer")


def shipped(order: OrderPlaced, warehouse_id: str, shipment_id: str = "", kind: Any = "sale", **qty: int) -> Shipped:
    """So many units of these SKUs; all lines if none are named."""
    lines = tuple(
        SkuLine(line_id=line.line_id, sku=line.sku, qty=qty.get(line.sku, line.qty))
        for line in order.lines
        if not qty or line.sku in qty
    )
    return Shipped(
        **_about(order),
        shipment_id=shipment_id or f"s-{next(_numbers)}",
        kind=kind,
        warehouse_id=warehouse_id,
        carrier="sf",
        tracking_no="SF1",
        lines=lines,
        shipped_at=order.placed_at,
    )


def came_back(parcel: Shipped) -> ReturnedToSender:
    return ReturnedToSender(
        shipment_id=parcel.shipment_id,
        group_no=parcel.group_no,
        order_no=parcel.order_no,
        seller_id=parcel.seller_id,
        buyer_id=BUYER,
        kind=parcel.kind,
        warehouse_id=parcel.warehouse_id,
        lines=parcel.lines,
        reason="refused",
        cod=False,
        received_at=parcel.shipped_at + timedelta(days=3),
    )


def finding(line_id: str, accepted: int = 0, rejected: int = 0, disposition: str = "resellable") -> dict[str, Any]:
    return {"line_id": line_id, "qty_accepted": accepted, "qty_rejected": rejected, "disposition": disposition}


def inspect(who: Caller, shipment_id: str, *findings: dict[str, Any], **headers: str) -> Answer:
    return who.post(f"/v1/returns/{shipment_id}/inspection", {"lines": list(findings)}, **headers)


def send(who: Caller, start: str, end: str, key: str = "", /, **qty: int) -> Answer:
    """So many units of each named SKU, from warehouse to warehouse."""
    lines = [{"sku": sku, "qty": units} for sku, units in qty.items()]
    body = {"from_warehouse_id": start, "to_warehouse_id": end, "lines": lines}
    return who.post("/v1/transfers", body, **_key(key))


def receive(who: Caller, transfer_id: str, key: str = "", /, **units: int) -> Answer:
    body = {"lines": [{"sku": sku, "received": received} for sku, received in units.items()]}
    return who.post(f"/v1/transfers/{transfer_id}/receipt", body, **_key(key))


def _key(key: str) -> dict[str, str]:
    return {"Idempotency_Key": key} if key else {}


def payment_requested(*orders: OrderPlaced, pay_by: datetime) -> OrderPaymentRequested:
    return OrderPaymentRequested(
        group_no=orders[0].group_no,
        buyer_id=BUYER,
        payable_total=100,
        currency="CNY",
        pay_by=pay_by,
        methods=("online",),
        orders=tuple(OrderShare(order_no=one.order_no, seller_id=one.seller_id, payable=100) for one in orders),
    )


def payment_initiated(*orders: OrderPlaced, expires_at: datetime) -> PaymentInitiated:
    return PaymentInitiated(
        payment_id="pay-1",
        group_no=orders[0].group_no,
        order_nos=tuple(one.order_no for one in orders),
        buyer_id=BUYER,
        attempt_no=1,
        method="online",
        channel="fake",
        amount=100,
        currency="CNY",
        display="qr",
        expires_at=expires_at,
    )


def held_for_review(order: OrderPlaced, review_by: datetime) -> OrderHeldForReview:
    return OrderHeldForReview(**_about(order), reasons=("risk",), review_by=review_by)


def sku_lines(order: OrderPlaced) -> tuple[SkuLine, ...]:
    return tuple(SkuLine(line_id=line.line_id, sku=line.sku, qty=line.qty) for line in order.lines)


# --- the books ----------------------------------------------------------------------------------------------


def numbers(on: Stage, sku: str, warehouse_id: str) -> tuple[int, int, int, int]:
    """on_hand, held, allocated, backordered."""
    table = store.stock
    with on.node.database.read() as connection:
        row = connection.execute(
            sa.select(table.c.on_hand, table.c.held, table.c.allocated, table.c.backordered).where(
                table.c.sku == sku, table.c.warehouse_id == warehouse_id
            )
        ).one()
    return (row[0], row[1], row[2], row[3])


def state(on: Stage, order: OrderPlaced) -> str:
    answer = on.caller("operator").get(f"/v1/reservations/{order.order_no}")
    assert answer.status == 200, answer
    return str(answer.json["state"])


def check_books(on: Stage) -> None:
    """Nothing is below zero or promised twice; ledger, shelves and reservations tell the same story."""
    kinds = ("on_hand", "held", "allocated", "backordered")
    with on.node.database.read() as connection:
        rows = {
            (row["sku"], row["warehouse_id"]): Counter({kind: row[kind] for kind in kinds})
            for row in connection.execute(sa.select(store.stock)).mappings()
        }
        ledger: dict[tuple[str, str], Counter[str]] = {}
        for row in connection.execute(sa.select(store.movement)).mappings():
            sums = ledger.setdefault((row["sku"], row["warehouse_id"]), Counter())
            for kind in kinds:
                sums[kind] += row[kind]
        moved: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
        sent: dict[tuple[str, str, str], Counter[str]] = {}
        for row in connection.execute(sa.select(store.movement)).mappings():
            if row["kind"].startswith("transfer"):
                moved.setdefault((row["reference"], row["sku"]), Counter())[row["kind"], row["warehouse_id"]] += row[
                    "on_hand"
                ]
            if row["shipment_id"]:
                key = row["shipment_id"], row["sku"], row["warehouse_id"]
                sent.setdefault(key, Counter())[row["kind"]] += row["on_hand"]
        inspected = [
            store.returns.decode(body)
            for body in connection.execute(sa.select(store.returns.table.c.body)).scalars().all()
        ]
        transfers = [
            store.transfers.decode(body)
            for body in connection.execute(sa.select(store.transfers.table.c.body)).scalars().all()
        ]
        waits = {(row.sku, row.reservation_id): row.qty for row in connection.execute(sa.select(store.waiting))}
        bodies = connection.execute(sa.select(store.reservations.table.c.body)).scalars().all()
    for transfer in transfers:
        for goods in transfer.lines:
            legs = moved.pop((transfer.transfer_id, goods.sku))
            assert legs.pop(("transfer_out", transfer.from_warehouse_id)) == -goods.qty, transfer
            assert legs.pop(("transfer_in", transfer.to_warehouse_id), 0) == (goods.received or 0), transfer
            assert not legs, transfer
            assert 0 <= goods.missing <= goods.qty, transfer
            assert (goods.received is None) == (transfer.state == "IN_TRANSIT"), transfer
    assert not moved, "nothing is moved without a transfer"
    fit: Counter[tuple[str, str, str]] = Counter()
    for back in inspected:
        for line in back.findings:
            if line.disposition == "resellable":
                fit[back.shipment_id, line.sku, back.warehouse_id] += line.qty_accepted
    for parcel, units in sent.items():
        assert 0 <= units["restock"] == fit[parcel] <= -units["deduct"], (parcel, units, fit[parcel])
    promised: dict[tuple[str, str], Counter[str]] = {}
    waited: Counter[tuple[str, str]] = Counter()
    for body in bodies:
        one = store.reservations.decode(body)
        for part in one.parts:
            sums = promised.setdefault((part.sku, part.warehouse_id), Counter())
            sums["held"] += part.held
            sums["allocated"] += part.allocated
            sums["backordered"] += part.backordered
            if part.backordered:
                waited[part.sku, one.reservation_id] += part.backordered
            assert min(part.held, part.allocated, part.backordered, part.shipped) >= 0, one
            assert not part.held or one.state == "HELD", one
            assert not part.allocated or one.state in ("ALLOCATED", "BACKORDERED"), one
    for where, units in rows.items():
        assert min(units[kind] for kind in kinds) >= 0, (where, units)
        assert units["on_hand"] - units["allocated"] - units["held"] >= 0, (where, units)
        assert all(units[kind] == ledger.get(where, Counter())[kind] for kind in kinds), (
            where,
            row,
            ledger.get(where),
        )
        mine = promised.get(where, Counter())
        assert all(units[kind] == mine[kind] for kind in kinds[1:]), (where, units, mine)
    assert set(promised) <= set(rows)
    assert waits == dict(waited)
