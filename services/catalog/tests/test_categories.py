"""The tree of categories, and who may change it."""

import json

import pytest
import sqlalchemy as sa

from services.catalog.store.tables import category
from services.catalog.tests.makers import draft, operator, seller, shirt

SHOES = {"category_id": "boots", "parent_id": "shoes", "names": {"zh-CN": "靴子", "en": "Boots"}}


def test_everybody_sees_the_tree(both):
    items = both.caller().get("/v1/categories").json["items"]
    order = [one["category_id"] for one in items]
    assert order.index("clothing") < order.index("womens") < order.index("mens") < order.index("home")
    womens = both.caller().get("/v1/categories/womens").json
    assert {one["code"] for one in womens["all_attributes"]} == {"colour", "fabric", "season", "size"}
    assert [one["code"] for one in womens["attributes"]] == ["size"]


def test_an_operator_grows_and_prunes_it(both):
    staff = operator(both)
    height = {"code": "height", "names": {"en": "Height"}, "kind": "integer", "required": True, "unit": "cm"}
    made = staff.post("/v1/categories", SHOES | {"attributes": [height]})
    assert (made.status, made.json["path"]) == (201, "/clothing/shoes/boots")
    assert staff.post("/v1/categories", SHOES).json["code"] == "category_taken"
    assert staff.delete("/v1/categories/shoes").json["code"] == "category_in_use"
    changed = staff.patch("/v1/categories/boots", {"names": {"en": "Tall boots"}}, If_Match='"1"')
    assert (changed.json["version"], changed.json["attributes"][0]["code"]) == (2, "height")
    assert staff.patch("/v1/categories/boots", {"names": {"en": "Other"}}, If_Match='"1"').status == 412
    assert staff.delete("/v1/categories/boots").status == 204
    assert both.caller().get("/v1/categories/boots").status == 404


def test_a_category_that_was_kept_in_other_words_can_be_removed(stage):
    """As those are that came with the platform: a migration wrote them."""
    with stage.node.database.begin() as connection:
        mens = category.c.category_id == "mens"
        body = json.loads(connection.execute(sa.select(category.c.body).where(mens)).scalar_one())
        connection.execute(category.update().where(mens).values(body=json.dumps(body).encode()))
    assert operator(stage).delete("/v1/categories/mens").status == 204
    assert stage.caller().get("/v1/categories/mens").status == 404


def test_a_category_with_products_stays(stage):
    draft(stage)
    assert operator(stage).delete("/v1/categories/womens").json["code"] == "category_in_use"


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"parent_id": "nowhere"}, "unknown_category", "parent_id"),
        ({"category_id": "Big Boots"}, "invalid", "category_id"),
        ({"names": {}}, "invalid", "names"),
        ({"attributes": [{"code": "x", "names": {"en": "X"}, "kind": "choice"}]}, "invalid", "attributes.0.choices"),
        ({"path": "/"}, "invalid", "path"),
    ],
)
def test_a_bad_category_names_its_field(stage, wrong, code, field):
    answer = operator(stage).post("/v1/categories", SHOES | wrong)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (422, code, field)


def test_sellers_do_not_change_it(stage):
    assert seller(stage).post("/v1/categories", SHOES).status == 403
    assert seller(stage).delete("/v1/categories/womens").status == 403


def test_a_new_rule_counts_from_the_next_listing(stage):
    product = draft(stage, shirt())
    gender = {"code": "gender", "names": {"en": "Gender"}, "required": True}
    operator(stage).patch("/v1/categories/womens", {"attributes": [gender]})
    answer = seller(stage).post(f"/v1/products/{product}/submit")
    assert answer.json["missing"][0] == {"code": "attributes", "lacking": ["gender"]}
