"""The goods that a demonstration lists: every one of them must make it to the shelf."""

import json
from pathlib import Path

from services.catalog.tests.makers import approved, on_sale

GOODS = Path(__file__).parents[3] / "deploy" / "data" / "goods.json"


def test_all_goods_of_the_demonstration_reach_the_shelf(stage):
    shops = json.loads(GOODS.read_text(encoding="utf-8"))["shops"]
    for number, shop in enumerate(shops):
        stage.hear(approved(f"shop-{number}"))
        for product in shop["products"]:
            on_sale(stage, product, f"shop-{number}")
    listed = stage.caller().get("/v1/products?limit=100").json["items"]
    assert len(listed) == sum(len(shop["products"]) for shop in shops) >= 36
    for question in ("茶", "headphones", "连衣裙", "cotton", "保温杯"):
        assert stage.caller().get(f"/v1/search?q={question}").json["items"], question
