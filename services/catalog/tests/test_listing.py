"""From a draft to the shelf, and off it again."""

from typing import Any

from services.catalog.tests.makers import (
    SHOP,
    approve,
    approved,
    draft,
    mug,
    on_sale,
    operator,
    replenished,
    seller,
    shirt,
    stocked,
    suspended,
)
from shared.contracts.catalog import (
    PriceChanged,
    ProductDelisted,
    ProductListed,
    ProductReviewed,
    ProductSubmitted,
    ProductUpdated,
)


def test_a_shirt_goes_from_draft_to_shelf(both):
    mine = seller(both)
    made = mine.post("/v1/products", shirt())
    assert (made.status, made.json["state"], made.json["currency"]) == (201, "DRAFT", "CNY")
    url = f"/v1/products/{made.json['product_id']}"
    assert both.caller().get(url).status == 404
    assert mine.post(f"{url}/submit").json["state"] == "UNDER_REVIEW"
    [submitted] = both.said(ProductSubmitted)
    assert [offer.sku for offer in submitted.skus] == ["TEE-S", "TEE-M"]
    queue = operator(both).get("/v1/products?state=UNDER_REVIEW").json["items"]
    assert [one["product_id"] for one in queue] == [made.json["product_id"]]
    assert operator(both).post(f"{url}/review", {"decision": "approved"}).json["state"] == "APPROVED"
    early = mine.post(f"{url}/list")
    assert (early.status, early.json["code"]) == (409, "not_ready")
    assert early.json["missing"] == [{"code": "stock", "lacking": ["TEE-S", "TEE-M"]}]
    both.hear(stocked("TEE-S"), replenished("TEE-M"))
    assert mine.get(f"{url}/checklist").json["ready_for_sale"] is True
    assert mine.post(f"{url}/list").json["state"] == "LISTED"
    [listed] = both.said(ProductListed)
    assert (listed.title, listed.titles["en"], listed.category) == ("纯棉短袖T恤", "Cotton T-shirt", "womens")
    assert (listed.skus[0].price, listed.skus[0].weight_g) == (9900, 180)
    public = both.caller().get(url).json
    assert (public["shop_name"], public["sold_out"]) == ("山茶小铺", False)
    assert "hints" not in public
    assert "version" not in public
    assert mine.post(f"{url}/delist").json["state"] == "DELISTED"
    assert both.said(ProductDelisted)[0].reason == "seller"
    assert both.caller().get(url).status == 404
    assert mine.post(f"{url}/list").json["state"] == "LISTED"


BAD_DRAFTS: tuple[tuple[dict[str, Any], str, str | None], ...] = (
    ({"category": "weapons"}, "unknown_category", "category"),
    ({"attributes": {"fabric": "gold"}}, "attribute_invalid", "attributes.fabric"),
    ({"attributes": {"size": "m"}}, "attribute_invalid", "attributes.size"),
    ({"titles": {}}, "invalid", "titles"),
    ({"titles": {"zh-CN": " "}}, "invalid", None),
    ({"titles": {"klingon": "x"}}, "invalid", None),
    ({"variants": [{"sku": "A B", "price": 1}]}, "invalid", "variants.0.sku"),
    ({"variants": [{"sku": "A", "price": -1}]}, "invalid", "variants.0.price"),
    ({"variants": [{"sku": "A", "price": "1"}]}, "invalid", "variants.0.price"),
    ({"variants": [{"sku": "A", "price": 1}, {"sku": "A", "price": 2}]}, "sku_repeated", "variants.1.sku"),
    ({"state": "LISTED"}, "invalid", "state"),
    ({"seller_id": "other"}, "invalid", "seller_id"),
    ({"currency": "USD"}, "invalid", "currency"),
)


def test_a_bad_draft_names_its_field_and_changes_nothing(stage):
    for wrong, code, field in BAD_DRAFTS:
        answer = seller(stage).post("/v1/products", shirt() | wrong)
        assert (answer.status, answer.json["code"]) == (422, code), wrong
        assert field in (None, answer.json["field"]), wrong
    assert seller(stage).get("/v1/products?state=DRAFT").json["items"] == []
    assert stage.said() == []


def test_what_is_incomplete_is_not_reviewed(stage):
    product = draft(stage, {"category": "womens", "titles": {"zh-CN": "T恤"}})
    answer = seller(stage).post(f"/v1/products/{product}/submit")
    assert {one["code"] for one in answer.json["missing"]} == {"description", "variants", "attributes"}
    assert seller(stage).get(f"/v1/products/{product}").json["state"] == "DRAFT"
    assert stage.said() == []


def test_a_sku_code_is_one_products(both):
    draft(both)
    both.hear(approved("seller-2"))
    other = seller(both, "seller-2").post("/v1/products", shirt())
    assert (other.status, other.json["code"], other.json["field"]) == (409, "sku_taken", "variants.1.sku")
    mine = draft(both, mug())
    taken = seller(both).patch(f"/v1/products/{mine}", {"variants": [{"sku": "TEE-S", "price": 1}]})
    assert taken.json["code"] == "sku_taken"


def test_only_an_approved_shop_drafts_and_lists(both):
    stranger = seller(both, "seller-2").post("/v1/products", shirt())
    assert (stranger.status, stranger.json["code"]) == (409, "shop_not_approved")
    assert stranger.headers["Retry-After"] == "1"
    product = on_sale(both)
    both.hear(suspended())
    [gone] = both.said(ProductDelisted)
    assert (gone.product_id, gone.reason, gone.skus) == (product, "seller_suspended", ("TEE-S", "TEE-M"))
    refused = seller(both).post(f"/v1/products/{product}/list")
    assert refused.json["missing"] == [{"code": "shop", "lacking": ["approval"]}]
    both.hear(approved())
    assert seller(both).post(f"/v1/products/{product}/list").status == 200


def test_other_peoples_products_do_not_exist(stage):
    product = draft(stage)
    stage.hear(approved("seller-2"))
    other = seller(stage, "seller-2")
    url = f"/v1/products/{product}"
    answers = [
        other.get(url), other.get(f"{url}/checklist"), other.patch(url, {"titles": {"en": "Mine"}}),
        other.put(f"{url}/prices", {"prices": [{"sku": "TEE-S", "price": 1}]}), other.post(f"{url}/submit"),
        other.post(f"{url}/list"), other.post(f"{url}/delist"),
    ]  # fmt: skip
    assert {(one.status, one.json["code"]) for one in answers} == {(404, "no_such_product")}
    assert other.post(f"{url}/review", {"decision": "approved"}).status == 403
    assert stage.caller("buyer").post("/v1/products", shirt()).status == 403


def test_a_rejected_product_may_come_again(stage):
    product = draft(stage)
    mine, url = seller(stage), f"/v1/products/{product}"
    mine.post(f"{url}/submit")
    assert operator(stage).post(f"{url}/review", {"decision": "rejected"}).json["field"] == "reasons"
    operator(stage).post(f"{url}/review", {"decision": "rejected", "reasons": ["blurred picture"]})
    assert mine.get(url).json["reasons"] == ["blurred picture"]
    assert mine.patch(url, {"descriptions": {"zh-CN": "更好的描述"}}).status == 200
    assert mine.post(f"{url}/submit").json["reasons"] == []
    assert [fact.decision for fact in stage.said(ProductReviewed)] == ["rejected"]


def test_the_reviewer_is_told_of_prohibited_words(stage):
    product = draft(stage, mug(titles={"zh-CN": "高仿 名牌 杯", "en": "Replica mug"}))
    answer = seller(stage).post(f"/v1/products/{product}/submit")
    assert answer.json["hints"] == ["titles.zh-CN: 高仿", "titles.en: replica"]
    operator(stage).post(f"/v1/products/{product}/review", {"decision": "banned", "reasons": ["fake"]})
    url = f"/v1/products/{product}"
    assert seller(stage).patch(url, {"titles": {"en": "Mug"}}).json["code"] == "wrong_product_state"
    assert seller(stage).post(f"{url}/submit").status == 409


def test_prohibited_words_do_not_slip_in_after_the_review(stage):
    product = on_sale(stage)
    answer = seller(stage).patch(f"/v1/products/{product}", {"titles": {"en": "Replica shirt"}})
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "prohibited_words", "titles.en")
    assert stage.said(ProductUpdated) == []


def test_what_the_platform_takes_off_sale_needs_a_new_review(stage):
    product = on_sale(stage)
    url = f"/v1/products/{product}"
    assert operator(stage).post(f"{url}/delist").status == 200
    assert stage.said(ProductDelisted)[0].reason == "operator"
    assert seller(stage).post(f"{url}/list").json["code"] == "delisted_by_platform"
    approve(stage, product)
    assert seller(stage).post(f"{url}/list").status == 200


def test_a_ban_takes_it_off_the_shelf_at_once(both):
    product = on_sale(both)
    operator(both).post(f"/v1/products/{product}/review", {"decision": "banned", "reasons": ["ivory"]})
    assert [fact.reason for fact in both.said(ProductDelisted)] == ["banned"]
    assert both.caller().get(f"/v1/products/{product}").status == 404


def test_prices_change_from_now_on(both):
    product = on_sale(both)
    url = f"/v1/products/{product}"
    answer = seller(both).put(f"{url}/prices", {"prices": [{"sku": "TEE-S", "price": 8800}]})
    assert [one["price"] for one in answer.json["variants"]] == [8800, 10900]
    [fact] = both.said(PriceChanged)
    assert (fact.sku, fact.old, fact.new, fact.currency) == ("TEE-S", 9900, 8800, "CNY")
    assert both.caller().get("/v1/products?price_to=9000").json["items"][0]["price_from"] == 8800
    for wrong, code in (
        ([{"sku": "NONE", "price": 1}], "unknown_sku"),
        ([{"sku": "TEE-S", "price": 1}, {"sku": "TEE-S", "price": 2}], "sku_repeated"),
        ([{"sku": "TEE-S", "price": 0}], "invalid"),
    ):
        assert seller(both).put(f"{url}/prices", {"prices": wrong}).json["code"] == code
    assert len(both.said(PriceChanged)) == 1


def test_an_edit_of_what_is_on_sale_is_told_and_found(both):
    product = on_sale(both)
    url = f"/v1/products/{product}"
    version = seller(both).get(url).headers["ETag"]
    changed = seller(both).patch(url, {"titles": {"zh-CN": "亚麻衬衫", "en": "Linen shirt"}}, If_Match=version)
    assert changed.status == 200
    assert seller(both).patch(url, {"titles": {"en": "Old idea"}}, If_Match=version).status == 412
    [fact] = both.said(ProductUpdated)
    assert (fact.listed, fact.changed, fact.title, len(fact.skus)) == (True, ("titles",), "亚麻衬衫", 2)
    assert len(both.caller().get("/v1/search?q=亚麻").json["items"]) == 1
    assert both.caller().get("/v1/search?q=短袖").json["items"] == []


def test_variants_come_and_go_only_off_sale(both):
    product = on_sale(both)
    url, mine = f"/v1/products/{product}", seller(both)
    more = shirt()["variants"] + [{"sku": "TEE-L", "price": 1, "attributes": {"colour": "white", "size": "l"}}]
    assert mine.patch(url, {"variants": more}).json["code"] == "delist_first"
    mine.post(f"{url}/delist")
    assert mine.patch(url, {"variants": more}).status == 200
    [fact] = both.said(ProductUpdated)
    assert ([one.sku for one in fact.skus], fact.listed) == (["TEE-S", "TEE-M", "TEE-L"], False)
    assert mine.post(f"{url}/list").json["missing"] == [{"code": "stock", "lacking": ["TEE-L"]}]
    both.hear(stocked("TEE-L"))
    assert mine.post(f"{url}/list").status == 200


def test_a_move_to_another_category_checks_the_attributes_again(stage):
    product = draft(stage)
    answer = seller(stage).patch(f"/v1/products/{product}", {"category": "tableware"})
    assert (answer.status, answer.json["field"]) == (422, "attributes.fabric")
    whole = mug("CUP")
    assert seller(stage).patch(f"/v1/products/{product}", whole).status == 200


def test_stock_of_another_shop_is_no_stock_of_mine(stage):
    product = draft(stage)
    approve(stage, product)
    stage.hear(stocked("TEE-S", seller_id="seller-9"), stocked("TEE-M"))
    answer = seller(stage).post(f"/v1/products/{product}/list")
    assert answer.json["missing"] == [{"code": "stock", "lacking": ["TEE-S"]}]


def test_a_lost_answer_makes_no_second_product(stage):
    first = seller(stage).post("/v1/products", shirt(), Idempotency_Key="k")
    again = seller(stage).post("/v1/products", shirt(), Idempotency_Key="k")
    assert again.json == first.json
    assert first.json["seller_id"] == SHOP
