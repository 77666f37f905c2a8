"""A shop to tell stories in: two sellers with goods on sale and stock in warehouses, and a buyer with an address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.story.people import Buyer, Courier, Grounds, Operator, Seller

GOODS = Path(__file__).parents[1] / "data" / "goods.json"
ADDRESS = {
    "name": "韩梅梅",
    "phone": "+86 138 1234 5678",
    "country": "CN",
    "region": "CN-ZJ",
    "city": "杭州",
    "district": "西湖区",
    "lines": ["文三路 478 号", "3 单元 1201"],
    "postcode": "310012",
}
FREIGHT = (
    {
        "region_prefix": "CN", "first_weight_g": 1000, "first_fee": 800, "step_weight_g": 500, "step_fee": 200,
        "days_min": 2, "days_max": 4,
    },
    {
        "region_prefix": "*", "first_weight_g": 500, "first_fee": 6000, "step_weight_g": 500, "step_fee": 2500,
        "days_min": 7, "days_max": 20,
    },
)  # fmt: skip


def operator(grounds: Grounds) -> Operator:
    person = Operator(grounds)
    person.sign_in(*grounds.operator)
    return person


def open_shop(grounds: Grounds, staff: Operator, name: str, **settings: Any) -> Seller:
    """A seller with an approved shop and freight terms."""
    seller = Seller(grounds)
    seller.register(name)
    seller.apply_for_shop(name, **settings)
    staff.approve_shop(seller.seller_id)
    seller.renew()
    grounds.settle()
    seller.set_freight(*FREIGHT, free_over=50_000)
    return seller


def list_goods(
    staff: Operator, seller: Seller, goods: list[dict[str, Any]], stock: dict[str, int]
) -> dict[str, dict[str, Any]]:
    """Put `goods` on sale with `stock` units of every SKU in each warehouse. Answers product by its first SKU."""
    grounds = seller.grounds
    made = [seller.create_product(product) for product in goods]
    grounds.settle()
    skus = [variant["sku"] for product in goods for variant in product["variants"]]
    for warehouse_id, qty in stock.items():
        for some in (skus[i : i + 200] for i in range(0, len(skus), 200)):
            seller.receive_stock(warehouse_id, dict.fromkeys(some, qty))
    grounds.settle()
    for product in made:
        staff.approve_product(product["product_id"])
        seller.put_on_sale(product["product_id"])
    grounds.settle()
    return {product["variants"][0]["sku"]: made_one for product, made_one in zip(goods, made, strict=True)}


def new_buyer(grounds: Grounds, name: str = "韩梅梅") -> Buyer:
    buyer = Buyer(grounds)
    buyer.register(name)
    buyer.live_at(ADDRESS)
    return buyer


def all_goods() -> list[dict[str, Any]]:
    """The shipped goods, shop by shop: ``[{shop_name, products: […]}, …]``."""
    shops: list[dict[str, Any]] = json.loads(GOODS.read_text())["shops"]
    return shops


def simple_product(sku: str, price: int = 10_000, weight_g: int = 400) -> dict[str, Any]:
    """One product with one SKU, for stories that are not about the catalogue."""
    return {
        "category": "home",
        "titles": {"en": f"Thing {sku}", "zh-CN": f"物件 {sku}"},
        "descriptions": {"en": "A thing of good use, well made.", "zh-CN": "一件好用的东西。"},
        "variants": [{"sku": sku, "price": price, "weight_g": weight_g, "attributes": {}}],
    }


__all__ = [
    "ADDRESS",
    "Courier",
    "all_goods",
    "list_goods",
    "new_buyer",
    "open_shop",
    "operator",
    "simple_product",
]
