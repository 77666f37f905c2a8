"""Shops, goods and buyers for the catalogue's tests."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from services.catalog import commands
from services.catalog.app import service
from services.catalog.domain.category import Attribute
from shared.contracts.account import SellerApproved, SellerSuspended
from shared.contracts.inventory import StockAdjusted, StockDepleted, StockReplenished
from shared.contracts.lines import ProductLine
from shared.contracts.order import ReceiptConfirmed
from shared.testing.stage import Answer, Caller, Stage

CATEGORIES = Path(__file__).parents[1] / "data" / "categories.json"
SHOP = "seller-1"


def make_stage(database_url, tmp_path, **settings) -> Stage:
    """A catalogue with the categories every platform starts with, and one approved shop."""
    stage = Stage(service, database_url, tmp_path, **settings)

    def grow(tx: Any) -> None:
        for one in json.loads(CATEGORIES.read_text()):
            attributes = msgspec.convert(one.pop("attributes"), list[Attribute])
            commands.categories.add_category(tx, **one, attributes=attributes)

    stage.node.run(grow)
    stage.hear(approved())
    return stage


def approved(seller_id: str = SHOP, **more: Any) -> SellerApproved:
    return SellerApproved(
        seller_id=seller_id, account_id=f"owner-of-{seller_id}", shop_name="山茶小铺", commission_bp=500,
        review_orders=False, auto_approve=True, stock_policy="all_or_nothing", **more,
    )  # fmt: skip


def suspended(seller_id: str = SHOP) -> SellerSuspended:
    return SellerSuspended(seller_id=seller_id, account_id=f"owner-of-{seller_id}", reason="fakes")


def stocked(sku: str, available: int = 10, seller_id: str = SHOP) -> StockAdjusted:
    return StockAdjusted(
        sku=sku, seller_id=seller_id, warehouse_id="w", delta=available, on_hand=available, available=available,
        reason="received", by="somebody",
    )  # fmt: skip


def depleted(sku: str, seller_id: str = SHOP) -> StockDepleted:
    return StockDepleted(sku=sku, seller_id=seller_id)


def replenished(sku: str, seller_id: str = SHOP) -> StockReplenished:
    return StockReplenished(sku=sku, seller_id=seller_id, available=3)


def received(stage: Stage, buyer_id: str, product_id: str, *skus: str, order_no: str = "G1-1") -> ReceiptConfirmed:
    lines = [ProductLine(line_id=str(n), sku=sku, product_id=product_id, qty=1) for n, sku in enumerate(skus, 1)]
    now = stage.now()
    return ReceiptConfirmed(
        group_no="G1", order_no=order_no, seller_id=SHOP, buyer_id=buyer_id, by="buyer", received_at=now,
        after_sale_until=now + timedelta(days=15), review_until=now + timedelta(days=7), lines=tuple(lines),
    )  # fmt: skip


def seller(stage: Stage, seller_id: str = SHOP) -> Caller:
    return stage.caller("buyer", "seller", account_id=f"owner-of-{seller_id}", seller_id=seller_id)


def operator(stage: Stage) -> Caller:
    return stage.caller("operator")


def shirt(code: str = "TEE", **more: Any) -> dict[str, Any]:
    """A draft of a T-shirt in two sizes."""
    product = {
        "category": "womens",
        "titles": {"zh-CN": "纯棉短袖T恤", "en": "Cotton T-shirt"},
        "descriptions": {"zh-CN": "柔软透气的新疆长绒棉。", "en": "Soft long-staple cotton from Xinjiang."},
        "attributes": {"fabric": "cotton", "season": "summer"},
        "variants": [
            {"sku": f"{code}-S", "price": 9900, "attributes": {"colour": "white", "size": "s"}, "weight_g": 180},
            {"sku": f"{code}-M", "price": 10900, "attributes": {"colour": "white", "size": "m"}, "weight_g": 190},
        ],
    }
    return product | more


def mug(code: str = "MUG", **more: Any) -> dict[str, Any]:
    product = {
        "category": "tableware",
        "titles": {"zh-CN": "手工陶瓷马克杯", "en": "Hand-thrown ceramic mug"},
        "descriptions": {"zh-CN": "景德镇手工拉坯,可用洗碗机。", "en": "Thrown by hand in Jingdezhen."},
        "attributes": {"material": "ceramic", "dishwasher_safe": True},
        "variants": [{"sku": code, "price": 4500, "attributes": {"capacity_ml": 350}, "weight_g": 320}],
    }
    return product | more


def draft(stage: Stage, body: dict[str, Any] | None = None, seller_id: str = SHOP) -> str:
    answer: Answer = seller(stage, seller_id).post("/v1/products", body or shirt())
    assert answer.status == 201, answer
    return str(answer.json["product_id"])


def approve(stage: Stage, product_id: str, seller_id: str = SHOP) -> None:
    assert seller(stage, seller_id).post(f"/v1/products/{product_id}/submit").status == 200
    assert operator(stage).post(f"/v1/products/{product_id}/review", {"decision": "approved"}).status == 200


def on_sale(stage: Stage, body: dict[str, Any] | None = None, seller_id: str = SHOP) -> str:
    """A product that went all the way to the shelf."""
    body = body or shirt()
    product_id = draft(stage, body, seller_id)
    approve(stage, product_id, seller_id)
    stage.hear(*(stocked(one["sku"], seller_id=seller_id) for one in body["variants"]))
    answer = seller(stage, seller_id).post(f"/v1/products/{product_id}/list")
    assert answer.status == 200, answer
    return product_id
