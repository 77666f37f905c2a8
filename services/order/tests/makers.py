"""Things to test with: shops that sell, quotes, orders placed, and what the others say about them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from shared.contracts.account import SellerApproved
from shared.contracts.catalog import ProductListed, SkuOffer
from shared.contracts.inventory import Shortage, StockReservationFailed, StockReserved
from shared.contracts.lines import LineQty, PaidMethod, SkuLine, StockLine
from shared.contracts.order import OrderPlaced
from shared.contracts.payment import (
    PaymentConfirmed,
    PaymentExpired,
    PaymentInitiated,
    RefundCompleted,
    RiskAssessed,
    Split,
)
from shared.contracts.refunds import RefundRequested
from shared.contracts.shipping import (
    Delivered,
    DeliveryFailed,
    FreightRule,
    FreightTemplateChanged,
    PickingStarted,
    ReturnedToSender,
    ShipmentCancelled,
    ShipmentLost,
    ShipmentOverdue,
    ShipmentPlanned,
    Shipped,
)
from shared.kernel.clock import machine_now
from shared.testing.stage import Caller, Stage

ADDRESS = {
    "name": "李雷",
    "phone": "+86 138 0000 0000",
    "region": "CN-ZJ",
    "city": "杭州",
    "lines": ["文三路 1 号"],
}


def approved(seller_id: str, **terms: Any) -> SellerApproved:
    said: dict[str, Any] = {
        "seller_id": seller_id,
        "account_id": f"owner-{seller_id}",
        "shop_name": f"Shop {seller_id}",
        "commission_bp": 500,
        "review_orders": False,
        "auto_approve": True,
        "stock_policy": "all_or_nothing",
    }
    return SellerApproved(**said | terms)


def listed(product_id: str, seller_id: str, price: int = 10_000, weight_g: int = 400) -> ProductListed:
    return ProductListed(
        product_id=product_id,
        seller_id=seller_id,
        title=f"Goods {product_id}",
        titles={"en": f"Goods {product_id}"},
        category="things",
        tax_class="standard",
        currency="CNY",
        skus=(SkuOffer(sku=f"{product_id}-1", price=price, attributes={"colour": "red"}, weight_g=weight_g),),
        listed_at=machine_now(),
    )


def freight(seller_id: str) -> FreightTemplateChanged:
    rule = FreightRule(
        region_prefix="CN",
        first_weight_g=1000,
        first_fee=800,
        step_weight_g=500,
        step_fee=200,
        days_min=2,
        days_max=4,
    )
    return FreightTemplateChanged(seller_id=seller_id, currency="CNY", rules=(rule,), free_over=50_000)


def open_shops(stage: Stage, *seller_ids: str, **terms: Any) -> None:
    """Each shop sells one product, `p-<seller>`, SKU `p-<seller>-1`, for 100.00 CNY."""
    for seller_id in seller_ids:
        stage.hear(approved(seller_id, **terms), listed(f"p-{seller_id}", seller_id), freight(seller_id))


def buyer(stage: Stage) -> Caller:
    caller = stage.caller("buyer")
    stage.node.vault.create(caller.account_id)
    return caller


def ask_quote(caller: Caller, *skus: str, qty: int = 1, **wish: Any) -> Any:
    return caller.post("/v1/quotes", {"lines": [{"sku": sku, "qty": qty} for sku in skus], "delivery": ADDRESS} | wish)


def place(caller: Caller, *skus: str, **wish: Any) -> dict[str, Any]:
    """A placed group, as the API shows it."""
    token = ask_quote(caller, *skus, **wish).json["quote_token"]
    answer = caller.post("/v1/orders", {"quote_token": token})
    assert answer.status == 202, answer
    return dict(answer.json)


def reserved(placed: OrderPlaced) -> StockReserved:
    return StockReserved(
        reservation_id=f"r-{placed.order_no}",
        group_no=placed.group_no,
        order_no=placed.order_no,
        seller_id=placed.seller_id,
        purpose="sale",
        lines=tuple(
            StockLine(line_id=line.line_id, sku=line.sku, warehouse_id="w1", qty=line.qty) for line in placed.lines
        ),
        expires_at=placed.placed_at + timedelta(minutes=45),
    )


def short(placed: OrderPlaced) -> StockReservationFailed:
    return StockReservationFailed(
        reservation_id=f"r-{placed.order_no}",
        group_no=placed.group_no,
        order_no=placed.order_no,
        seller_id=placed.seller_id,
        purpose="sale",
        shortages=(Shortage(line_id="1", sku=placed.lines[0].sku, wanted=placed.lines[0].qty, available=0),),
    )


def risk(placed: OrderPlaced, decision: Literal["allow", "review", "deny"] = "allow") -> RiskAssessed:
    return RiskAssessed(
        group_no=placed.group_no,
        order_no=placed.order_no,
        score=5,
        decision=decision,
        rules_hit=(),
        model_version="1",
    )


def paid(*orders: OrderPlaced, method: PaidMethod = "online") -> PaymentConfirmed:
    return PaymentConfirmed(
        payment_id=f"pay-{orders[0].group_no}",
        group_no=orders[0].group_no,
        buyer_id=orders[0].buyer_id,
        method=method,
        channel="sandbox",
        amount=sum(order.payable for order in orders),
        currency="CNY",
        splits=tuple(Split(order_no=o.order_no, seller_id=o.seller_id, amount=o.payable) for o in orders),
        channel_txn="t1",
        paid_at=machine_now(),
    )


def unpaid(*orders: OrderPlaced) -> PaymentExpired:
    return PaymentExpired(
        payment_id=f"pay-{orders[0].group_no}",
        group_no=orders[0].group_no,
        order_nos=tuple(order.order_no for order in orders),
        closed_at_channel=True,
        asked_by_event_id="e",
    )


def _lines(placed: OrderPlaced) -> tuple[SkuLine, ...]:
    return tuple(SkuLine(line_id=line.line_id, sku=line.sku, qty=line.qty) for line in placed.lines)


def _shipment(placed: OrderPlaced, number: int) -> dict[str, Any]:
    return {
        "shipment_id": f"s{number}-{placed.order_no}",
        "group_no": placed.group_no,
        "order_no": placed.order_no,
        "seller_id": placed.seller_id,
    }


def planned(placed: OrderPlaced, number: int = 1, lines: tuple[SkuLine, ...] | None = None) -> ShipmentPlanned:
    return ShipmentPlanned(
        **_shipment(placed, number),
        buyer_id=placed.buyer_id,
        kind="sale",
        index=1,
        of=1,
        warehouse_id="w1",
        lines=lines or _lines(placed),
        carrier="sandbox",
        service="standard",
        ship_by=machine_now(),
        cod_amount=0,
        currency="CNY",
    )


def picking(placed: OrderPlaced, number: int = 1) -> PickingStarted:
    return PickingStarted(**_shipment(placed, number), warehouse_id="w1", by="picker")


def shipped(placed: OrderPlaced, number: int = 1, lines: tuple[SkuLine, ...] | None = None) -> Shipped:
    return Shipped(
        **_shipment(placed, number),
        buyer_id=placed.buyer_id,
        kind="sale",
        warehouse_id="w1",
        carrier="sandbox",
        tracking_no="T1",
        lines=lines or _lines(placed),
        shipped_at=machine_now(),
    )


def delivered(placed: OrderPlaced, number: int = 1, lines: tuple[SkuLine, ...] | None = None) -> Delivered:
    return Delivered(
        **_shipment(placed, number),
        buyer_id=placed.buyer_id,
        kind="sale",
        lines=lines or _lines(placed),
        delivered_at=machine_now(),
    )


def returned(placed: OrderPlaced, number: int = 1, lines: tuple[SkuLine, ...] | None = None) -> ReturnedToSender:
    return ReturnedToSender(
        **_shipment(placed, number),
        buyer_id=placed.buyer_id,
        kind="sale",
        warehouse_id="w1",
        lines=lines or _lines(placed),
        reason="undeliverable",
        cod=False,
        received_at=machine_now(),
    )


def lost(placed: OrderPlaced, number: int = 1, lines: tuple[SkuLine, ...] | None = None) -> ShipmentLost:
    return ShipmentLost(
        **_shipment(placed, number),
        buyer_id=placed.buyer_id,
        kind="sale",
        warehouse_id="w1",
        lines=lines or _lines(placed),
        declared_at=machine_now(),
        by="operator",
    )


def failed(placed: OrderPlaced, number: int = 1) -> DeliveryFailed:
    return DeliveryFailed(
        **_shipment(placed, number), buyer_id=placed.buyer_id, attempt=1, reason="nobody_home", at=machine_now()
    )


def overdue(placed: OrderPlaced, number: int = 1) -> ShipmentOverdue:
    return ShipmentOverdue(**_shipment(placed, number), buyer_id=placed.buyer_id, kind="sale", ship_by=machine_now())


def stopped(placed: OrderPlaced, *, gone: tuple[str, ...] = ()) -> ShipmentCancelled:
    return ShipmentCancelled(
        group_no=placed.group_no, order_no=placed.order_no, shipment_ids=(),
        lines=tuple(LineQty(line_id=line.line_id, qty=line.qty) for line in placed.lines),
        gone_shipment_ids=gone, cause_event_id="e",
    )  # fmt: skip


def opened(*orders: OrderPlaced) -> PaymentInitiated:
    return PaymentInitiated(
        payment_id=f"pay-{orders[0].group_no}", group_no=orders[0].group_no,
        order_nos=tuple(order.order_no for order in orders), buyer_id=orders[0].buyer_id, attempt_no=1, method="online",
        channel="sandbox", amount=sum(order.payable for order in orders), currency="CNY", display="qr",
        expires_at=machine_now() + timedelta(minutes=30),
    )  # fmt: skip


def refunded(wish: RefundRequested, *, last: bool = False) -> RefundCompleted:
    return RefundCompleted(
        refund_id=wish.refund_id, payment_id=f"pay-{wish.group_no}", group_no=wish.group_no, buyer_id=wish.buyer_id,
        amount=wish.amount, currency=wish.currency, to="original", order_fully_refunded=last, order_no=wish.order_no,
        lines=wish.lines, freight_amount=wish.freight_amount,
    )  # fmt: skip


def part(placed: OrderPlaced, qty: int) -> tuple[SkuLine, ...]:
    """`qty` units of the order's first line."""
    return (SkuLine(line_id="1", sku=placed.lines[0].sku, qty=qty),)
