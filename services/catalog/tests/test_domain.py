"""What is true of products, attributes, readiness and words."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.catalog.domain import words
from services.catalog.domain.category import Attribute, AttributeInvalid, AttributeSet, CategoryTooDeep, under
from services.catalog.domain.product import MOVES, Product, Sku, State, WrongProductState
from services.catalog.domain.readiness import NotReady, checklist, insist
from services.catalog.domain.review import AlreadyReviewed, NoSuchPurchase, Purchase, ReviewWindowClosed
from shared.contracts.catalog import PriceChanged, ProductDelisted, ProductReviewed, ProductUpdated

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
STATES: tuple[State, ...] = ("DRAFT", "UNDER_REVIEW", "APPROVED", "LISTED", "DELISTED", "REJECTED", "BANNED")


def make_product(**more) -> Product:
    given: dict[str, Any] = {
        "product_id": "p", "seller_id": "s", "category": "womens", "titles": {"en": "Shirt"}, "currency": "CNY",
        "created_at": NOW, "descriptions": {"en": "A shirt"}, "skus": [Sku("A", 100), Sku("B", 200, {"size": "m"})],
    }  # fmt: skip
    return Product(**given | more)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("move", ["submit", "approved", "rejected", "banned", "list", "delist"])
def test_a_product_moves_only_as_the_table_says(state, move):
    product = make_product(state=state)
    deeds: dict[str, Callable[[], object]] = {
        "submit": lambda: product.submit([]),
        "list": lambda: product.put_on_sale(NOW),
        "delist": lambda: product.take_off_sale("seller"),
    }
    deed = deeds.get(move) or (lambda: product.review(move, ["x"], "op"))
    if (state, move) in MOVES:
        deed()
        assert (product.state, product.version) == (MOVES[state, move], 2)
    else:
        with pytest.raises(WrongProductState):
            deed()
        assert (product.state, product.version) == (state, 1)


def test_a_ban_takes_what_is_on_sale_off_the_shelf():
    facts = make_product(state="LISTED").review("banned", ["ivory"], "op")
    assert [type(fact) for fact in facts] == [ProductReviewed, ProductDelisted]
    assert make_product(state="DRAFT").review("banned", ["ivory"], "op")[1:] == []


def test_a_change_of_what_is_known_is_told_in_full():
    product = make_product(state="LISTED", listed_at=NOW)
    facts = product.change(None, {"skus": [Sku("A", 150), Sku("B", 200, {"size": "m"})]}, NOW)
    price, update = facts
    assert isinstance(price, PriceChanged)
    assert isinstance(update, ProductUpdated)
    assert (price.sku, price.old, price.new) == ("A", 100, 150)
    assert (update.changed, update.listed, len(update.skus), update.product_version) == (("skus",), True, 2, 2)


def test_a_change_of_a_draft_is_nobodys_business():
    product = make_product()
    assert product.change(None, {"titles": {"en": "Better shirt"}}, NOW) == []
    assert product.version == 2
    assert product.change(None, {"titles": {"en": "Better shirt"}}, NOW) == []
    assert product.version == 2


def test_prices_nobody_was_told_are_not_told_to_have_changed():
    assert make_product(state="APPROVED").reprice(None, {"A": 1}, NOW) == []
    assert len(make_product(state="DELISTED", listed_at=NOW).reprice(None, {"A": 1, "B": 200}, NOW)) == 1


def attributes():
    return AttributeSet.of(
        [
            under(None, "clothing", names={}, attributes=[
                Attribute("fabric", {}, "choice", {"cotton": {"zh-CN": "纯棉", "en": "Cotton"}}, required=True),
                Attribute("size", {}, "text", required=True, varies=True),
                Attribute("weight", {}, "integer"),
                Attribute("washable", {}, "boolean"),
            ])
        ]
    )  # fmt: skip


def test_attributes_are_kept_in_one_form():
    given = {"fabric": "cotton", "weight": 12, "washable": True}
    assert attributes().normal(given, varies=False, field="attributes") == {
        "fabric": "cotton", "weight": "12", "washable": "true",
    }  # fmt: skip
    assert attributes().readable({"fabric": "cotton"}) == ["纯棉", "Cotton", "cotton"]


@pytest.mark.parametrize(
    "wrong",
    [{"fabric": "gold"}, {"fabric": 1}, {"weight": "heavy"}, {"weight": True}, {"weight": 1.5}, {"washable": 1},
     {"size": "m"}, {"power": 3}, {"fabric": None}, {"fabric": ["cotton"]}],
)  # fmt: skip
def test_attributes_of_the_wrong_kind_are_refused(wrong):
    with pytest.raises(AttributeInvalid) as refusal:
        attributes().normal(wrong, varies=False, field="attributes")
    assert refusal.value.field == f"attributes.{next(iter(wrong))}"


def test_a_category_tree_has_an_end():
    parent = None
    for level in "abcde":
        parent = under(parent, level, names={})
    assert parent is not None
    assert parent.path == "/a/b/c/d/e"
    with pytest.raises(CategoryTooDeep):
        under(parent, "f", names={})


def test_the_checklist_names_what_is_missing():
    bare = make_product(descriptions={}, skus=[Sku("A", 0), Sku("B", 5)])
    lacking = {one.code: one.lacking for one in checklist(bare, attributes(), {"B"}, shop_approved=False)}
    assert lacking == {
        "shop": ("approval",),
        "title": (),
        "description": ("descriptions",),
        "variants": (),
        "variants_differ": ("variants",),
        "price": ("A",),
        "attributes": ("fabric", "A: size", "B: size"),
        "stock": ("A",),
    }


def test_stock_is_needed_for_sale_but_not_for_review():
    product = make_product(attributes={"fabric": "cotton"}, skus=[Sku("A", 1, {"size": "m"})])
    items = checklist(product, attributes(), set(), shop_approved=True)
    insist(items, for_sale=False)
    with pytest.raises(NotReady) as refusal:
        insist(items, for_sale=True)
    assert refusal.value.more["missing"] == [{"code": "stock", "lacking": ["A"]}]


@pytest.mark.parametrize(
    "text", ["Genuine IVORY combs", "象 牙 筷子", "高\uff0d仿 手表", "ＲＥＰＬＩＣＡ watch", "two pistols"]
)
def test_prohibited_words_are_seen_through_disguise(text):
    assert words.prohibited({"titles.x": text})


@pytest.mark.parametrize("text", ["Ivory-coloured? No: cream", "纯棉T恤", "replicate", "手枪"[:1]])
def test_other_words_are_let_be(text):
    assert [hint for hint in words.prohibited({"t": text}) if "ivory" not in hint] == []


def test_chinese_and_english_are_cut_alike_in_titles_and_questions():
    title = words.title_words(["纯棉短袖T恤 Cotton T-shirt 500ml"]).split()
    for question in ("T恤", "t恤", "纯棉", "cotton", "T-Shirt", "500ml", "恤"):
        assert set(words.query_words(question)) <= set(title), question
    assert words.query_words("!!! ，。") == []


def purchase() -> Purchase:
    return Purchase("G1-1", "1", "G1", "buyer", "s", "p", "A", NOW + timedelta(days=7))


def test_a_review_is_for_the_buyer_once_and_in_time():
    with pytest.raises(NoSuchPurchase):
        purchase().review("somebody else", "r", 5, NOW)
    with pytest.raises(ReviewWindowClosed):
        purchase().review("buyer", "r", 5, NOW + timedelta(days=7, seconds=1))
    mine = purchase()
    assert mine.review("buyer", "r", 5, NOW + timedelta(days=7)).stars == 5
    with pytest.raises(AlreadyReviewed):
        mine.review("buyer", "r2", 1, NOW)
