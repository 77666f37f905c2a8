"""Finding things on the shelf."""

import pytest

from services.catalog.tests.makers import (
    approved,
    depleted,
    draft,
    mug,
    on_sale,
    operator,
    replenished,
    seller,
    shirt,
    stocked,
)


def codes(stage, path):
    """First SKU of each product in a list."""
    answer = stage.caller().get(path)
    assert answer.status == 200, answer
    return [
        stage.caller().get(f"/v1/products/{one['product_id']}").json["variants"][0]["sku"]
        for one in answer.json["items"]
    ]


@pytest.fixture
def shelf(both):
    """Two shirts and two mugs on sale, of two shops; a draft that nobody sees."""
    both.hear(approved("seller-2"))
    on_sale(both, shirt("TEE"))
    on_sale(both, mug("MUG"))
    linen = {"fabric": "linen"}
    titles = {"zh-CN": "亚麻连衣裙", "en": "Linen dress"}
    variants = [{"sku": "DRESS", "price": 25_000, "attributes": {"colour": "red", "size": "l"}}]
    texts = {"zh-CN": "轻盈飘逸。", "en": "Light as air."}
    on_sale(both, shirt(titles=titles, descriptions=texts, attributes=linen, variants=variants), "seller-2")
    variants = [{"sku": "TEAPOT", "price": 18_000, "attributes": {"capacity_ml": 800}}]
    on_sale(both, mug(titles={"zh-CN": "紫砂茶壶 500ml", "en": "Yixing teapot"}, variants=variants), "seller-2")
    draft(both, shirt("SECRET"))
    return both


SHELF: tuple[tuple[str, list[str]], ...] = (
    ("", ["TEAPOT", "DRESS", "MUG", "TEE-S"]),
    ("sort=price_asc", ["MUG", "TEE-S", "TEAPOT", "DRESS"]),
    ("sort=price_desc", ["DRESS", "TEAPOT", "TEE-S", "MUG"]),
    ("category=clothing", ["DRESS", "TEE-S"]),
    ("category=womens", ["DRESS", "TEE-S"]),
    ("category=mens", []),
    ("category=nowhere", []),
    ("seller_id=seller-2", ["TEAPOT", "DRESS"]),
    ("price_from=10000&price_to=20000", ["TEAPOT", "TEE-S"]),
    ("attributes=fabric:cotton", ["TEE-S"]),
    ("attributes=fabric:cotton|linen", ["DRESS", "TEE-S"]),
    ("attributes=fabric:cotton|linen,size:m", ["TEE-S"]),
    ("attributes=size:xxl", []),
    ("attributes=dishwasher_safe:true", ["TEAPOT", "MUG"]),
)


def test_the_shelf_is_sorted_and_filtered(shelf):
    for query, found in SHELF:
        assert codes(shelf, f"/v1/products?{query}") == found, query


QUESTIONS: tuple[tuple[str, list[str]], ...] = (
    ("T恤", ["TEE-S"]),
    ("t恤", ["TEE-S"]),
    ("纯棉", ["TEE-S"]),
    ("COTTON", ["TEE-S"]),
    ("t-shirt", ["TEE-S"]),
    ("shir", ["TEE-S"]),
    ("连衣裙", ["DRESS"]),
    ("裙", ["DRESS"]),
    ("茶壶", ["TEAPOT"]),
    ("500ML", ["TEAPOT"]),
    ("teapot yixing", ["TEAPOT"]),
    ("teapot cotton", []),
    ("红色", ["DRESS"]),
    ("景德镇", ["MUG", "TEAPOT"]),
    ("不存在的东西", []),
    ("' OR 1=1 --", []),
    ('"NEAR( * ^ :', []),
    ("%25_", []),
)


def test_search_finds_chinese_and_english(shelf):
    for question, found in QUESTIONS:
        assert sorted(codes(shelf, f"/v1/search?q={question}")) == sorted(found), question


def test_a_word_in_the_title_counts_more_than_one_in_the_text(both):
    on_sale(both, mug("TEXT", descriptions={"zh-CN": "也可以当茶壶用,茶壶,茶壶。"}))
    on_sale(both, mug("TITLE", titles={"zh-CN": "紫砂茶壶"}))
    on_sale(both, mug("TEXT2", descriptions={"zh-CN": "配茶壶。"}))
    assert codes(both, "/v1/search?q=茶壶")[0] == "TITLE"


def test_search_takes_the_same_filters(shelf):
    assert codes(shelf, "/v1/search?q=景德镇&seller_id=seller-2") == ["TEAPOT"]
    assert codes(shelf, "/v1/search?q=景德镇&price_to=5000&category=home") == ["MUG"]


def test_pages_follow_each_other_without_gap_or_repeat(shelf):
    for sort in ("newest", "price_asc", "price_desc"):
        whole, seen = walk(shelf, sort)
        assert seen == whole, sort
        assert len(seen) == 4


def walk(shelf, sort):
    whole = [one["product_id"] for one in shelf.caller().get(f"/v1/products?sort={sort}").json["items"]]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = shelf.caller().get(f"/v1/products?sort={sort}&limit=1{cursor and '&cursor=' + cursor}").json
        seen += [one["product_id"] for one in answer["items"]]
        cursor = answer["next"] and answer["next"].replace("+", "%2B")
    return whole, seen


def test_search_pages_follow_each_other(shelf):
    first = shelf.caller().get("/v1/search?q=景德镇&limit=1").json
    second = shelf.caller().get(f"/v1/search?q=景德镇&limit=1&cursor={first['next']}").json
    assert len({one["product_id"] for one in first["items"] + second["items"]}) == 2
    assert second["next"] is None


REFUSED = (
    ("/v1/products?cursor=nonsense", 400, "bad_cursor"),
    ("/v1/products?cursor=x~y", 400, "bad_cursor"),
    ("/v1/products?sort=price_asc&cursor=x~y", 400, "bad_cursor"),
    ("/v1/search?q=a&cursor=-1", 400, "bad_cursor"),
    ("/v1/products?attributes=colour", 422, "bad_filter"),
    ("/v1/products?limit=101", 422, "invalid"),
    ("/v1/products?sort=random", 422, "invalid"),
    ("/v1/products?state=DRAFT", 403, "forbidden"),
    ("/v1/products?colour=red", 422, "invalid"),
    ("/v1/search", 422, "invalid"),
    ("/v1/products/%00", 400, "bad_request"),
    ("/v1/products/none", 404, "no_such_product"),
    ("/v1/categories/none", 404, "no_such_category"),
)


def test_a_bad_question_is_refused_by_name(both):
    for path, status, code in REFUSED:
        answer = both.caller().get(path)
        assert (answer.status, answer.json["code"]) == (status, code), path


def test_a_seller_sees_their_own_drafts_and_nobody_elses(shelf):
    assert len(seller(shelf).get("/v1/products?state=DRAFT").json["items"]) == 1
    assert seller(shelf, "seller-2").get("/v1/products?state=DRAFT").json["items"] == []
    assert seller(shelf, "seller-2").get("/v1/products?state=DRAFT&seller_id=seller-1").json["items"] == []
    assert shelf.caller("operator").get("/v1/products?state=DRAFT&limit=1").json["next"] is None


def test_what_is_sold_out_is_shown_so(both):
    product = on_sale(both)
    url = f"/v1/products/{product}"

    def shown():
        answer = both.caller().get(url).json
        assert both.caller().get("/v1/products").json["items"][0]["sold_out"] == answer["sold_out"]
        return answer["sold_out"], [one["sold_out"] for one in answer["variants"]]

    assert shown() == (False, [False, False])
    both.hear(depleted("TEE-S"))
    assert shown() == (False, [True, False])
    both.hear(depleted("TEE-M"))
    assert shown() == (True, [True, True])
    both.hear(replenished("TEE-S"), depleted("TEE-S"), replenished("TEE-S"))
    assert shown() == (False, [False, True])
    both.hear(stocked("TEE-M", 0), stocked("TEE-M", 5))
    assert shown() == (False, [False, False])
    both.hear(stocked("TEE-M", 0))  # what came in is for those who wait, and more may be ordered before it is there
    assert shown() == (False, [False, False])


def test_an_underscore_in_a_category_is_a_letter_like_others(stage):
    staff = operator(stage)
    for parent in ("a_b", "axb"):
        staff.post("/v1/categories", {"category_id": parent, "names": {"en": parent}})
        child = {"category_id": f"{parent}-child", "parent_id": parent, "names": {"en": "child"}}
        staff.post("/v1/categories", child)
        variants = [{"sku": f"{parent}-sku", "price": 100}]
        on_sale(stage, mug(category=f"{parent}-child", attributes={}, variants=variants))
    assert codes(stage, "/v1/products?category=a_b") == ["a_b-sku"]
