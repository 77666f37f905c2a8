"""Many at once, on PostgreSQL, where they really run side by side."""

import threading

import pytest

from services.catalog.tests.makers import (
    approve,
    approved,
    draft,
    make_stage,
    on_sale,
    operator,
    received,
    seller,
    shirt,
    stocked,
    suspended,
)
from shared.contracts.catalog import ProductDelisted, ProductListed, ReviewPosted


@pytest.fixture
def stage(postgres_url, tmp_path):
    one = make_stage(postgres_url, tmp_path, pool_size=10)
    yield one
    one.close()


def at_once(*deeds):
    """The deeds in threads that start together; their results in order."""
    barrier, results = threading.Barrier(len(deeds)), [None] * len(deeds)

    def run(n):
        barrier.wait()
        results[n] = deeds[n]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_reviews_of_one_line_at_once_are_one(stage):
    product, buyer = on_sale(stage), stage.caller("buyer")
    stage.hear(received(stage, buyer.account_id, product, "TEE-S"))
    body = {"order_no": "G1-1", "line_id": "1", "stars": 4}
    answers = at_once(*[lambda: buyer.post("/v1/reviews", body).status] * 3)
    assert sorted(answers) == [201, 409, 409]
    assert len(stage.said(ReviewPosted)) == 1
    assert stage.caller().get(f"/v1/products/{product}").json["rating"] == {"count": 1, "average": 4.0}


def test_two_shops_that_claim_one_sku_at_once(stage):
    stage.hear(approved("seller-2"))
    variants = list(reversed(shirt()["variants"]))
    answers = at_once(
        lambda: seller(stage).post("/v1/products", shirt()).status,
        lambda: seller(stage, "seller-2").post("/v1/products", shirt(variants=variants)).status,
    )
    assert sorted(answers) == [201, 409]


@pytest.mark.parametrize("_", range(3))
def test_nothing_of_a_suspended_shop_stays_on_the_shelf(stage, _):
    products = []
    for n in range(3):
        products.append(draft(stage, shirt(f"T{n}")))
        approve(stage, products[-1])
        stage.hear(stocked(f"T{n}-S"), stocked(f"T{n}-M"))
    mine = seller(stage)
    at_once(
        lambda: stage.hear(suspended()),
        *(lambda one=one: mine.post(f"/v1/products/{one}/list").status for one in products),
    )
    assert stage.kept() == []
    assert stage.caller().get("/v1/products").json["items"] == []
    assert len(stage.said(ProductListed)) == len(stage.said(ProductDelisted))


def test_a_category_is_not_removed_under_a_new_product(stage):
    operator(stage).post("/v1/categories", {"category_id": "hats", "parent_id": "clothing", "names": {"en": "Hats"}})
    body = {"category": "hats", "titles": {"en": "Hat"}}
    made, removed = at_once(
        lambda: seller(stage).post("/v1/products", body).status,
        lambda: operator(stage).delete("/v1/categories/hats").status,
    )
    assert (made, removed) in [(201, 409), (422, 204)]


def test_two_who_edit_at_once_do_not_overwrite_each_other(stage):
    product = draft(stage)
    mine, url = seller(stage), f"/v1/products/{product}"
    answers = at_once(
        *(lambda n=n: mine.patch(url, {"titles": {"en": f"Title {n}"}}, If_Match='"1"').status for n in range(3))
    )
    assert sorted(answers) == [200, 412, 412]


def test_a_product_listed_twice_at_once_is_listed_once(stage):
    product = draft(stage)
    approve(stage, product)
    stage.hear(stocked("TEE-S"), stocked("TEE-M"))
    answers = at_once(*[lambda: seller(stage).post(f"/v1/products/{product}/list").status] * 2)
    assert sorted(answers) == [200, 409]
    assert len(stage.said(ProductListed)) == 1
