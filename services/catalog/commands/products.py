"""Drafting, listing and pricing products."""

from __future__ import annotations

from typing import Any

from services.catalog.domain import readiness, words
from services.catalog.domain.category import AttributeSet
from services.catalog.domain.product import (
    JUDGED,
    Decision,
    NoSuchProduct,
    Product,
    Sku,
    SkuRepeated,
    UnknownSku,
)
from services.catalog.domain.readiness import Item, ShopNotApproved
from services.catalog.store import categories, others
from services.catalog.store import products as store
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork


def draft_product(tx: UnitOfWork, seller_id: str, given: dict[str, Any]) -> Product:
    """A new draft in the shop's currency. Raises ShopNotApproved, UnknownCategory, AttributeInvalid,
    SkuRepeated, SkuTaken."""
    shop = others.find_shop(tx, seller_id)
    if shop is None or not shop.approved:
        raise ShopNotApproved(retry_after=1)  # the approval may still be on its way to us
    fields = _checked(given, categories.attributes_of(tx, given["category"]))
    product = Product(product_id=new_id(), seller_id=seller_id, currency=shop.currency, created_at=tx.now(), **fields)
    store.claim_skus(tx, product.product_id, product.sku_codes())
    return store.products.add(tx, product)


def change_product(
    tx: UnitOfWork, seller_id: str, product_id: str, expected: int | None, given: dict[str, Any]
) -> Product:
    """Change the given fields; an attribute or variant list replaces the old one.

    Raises what drafting raises, and NoSuchProduct, PreconditionFailed, WrongProductState, DelistFirst and,
    once the product was judged, ProhibitedWords.
    """
    product = _own(tx, seller_id, product_id)
    attributes = categories.attributes_of(tx, given.get("category", product.category))
    if "category" in given:  # what it has must make sense there
        given.setdefault("attributes", product.attributes)
        given.setdefault("variants", [vars(one) for one in product.skus])
    fields = _checked(given, attributes)
    facts = product.change(expected, fields, tx.now())
    if product.state in JUDGED and (found := words.prohibited({k: product.texts()[k] for k in _texts(fields)})):
        raise words.ProhibitedWords(found[0], field=found[0].split(":")[0])
    if "skus" in fields:
        store.claim_skus(tx, product_id, product.sku_codes())
    if product.state == "LISTED" and facts:
        store.index(tx, product, attributes)
    tx.emit(*facts)
    return product


def set_prices(
    tx: UnitOfWork, seller_id: str, product_id: str, expected: int | None, prices: list[dict[str, Any]]
) -> Product:
    """Raises NoSuchProduct, UnknownSku, SkuRepeated, PreconditionFailed, WrongProductState."""
    product = _own(tx, seller_id, product_id)
    known, seen = set(product.sku_codes()), set[str]()
    for number, one in enumerate(prices):
        if one["sku"] not in known:
            raise UnknownSku(field=f"prices.{number}.sku")
        if one["sku"] in seen:
            raise SkuRepeated(field=f"prices.{number}.sku")
        seen.add(one["sku"])
    tx.emit(*product.reprice(expected, {one["sku"]: one["price"] for one in prices}, tx.now()))
    return product


def checklist(source: Any, product: Product, shop_approved: bool) -> list[Item]:
    """What the product lacks. `source`: a transaction or a reading."""
    stocked = others.stock_of(source, product.seller_id, product.sku_codes())
    return readiness.checklist(
        product, categories.attributes_of(source, product.category), stocked.keys(), shop_approved
    )


def submit_product(tx: UnitOfWork, seller_id: str, product_id: str) -> Product:
    """Hand it in for review. Raises NoSuchProduct, NotReady, WrongProductState."""
    shop_approved = _may_sell(tx, seller_id)
    product = _own(tx, seller_id, product_id)
    fact = product.submit(words.prohibited(product.texts()))
    readiness.insist(checklist(tx, product, shop_approved), for_sale=False)
    tx.emit(fact)
    return product


def review_product(
    tx: UnitOfWork, operator_id: str, product_id: str, decision: Decision, reasons: list[str]
) -> Product:
    """Judge it; what is banned leaves the shelf at once. Raises NoSuchProduct, WrongProductState."""
    product = store.products.get(tx, product_id)
    tx.emit(*product.review(decision, reasons, operator_id))
    return product


def list_product(tx: UnitOfWork, seller_id: str, product_id: str) -> Product:
    """Put it on sale. Raises NoSuchProduct, NotReady, WrongProductState, DelistedByPlatform."""
    shop_approved = _may_sell(tx, seller_id)  # the shop's row first: a suspension waits for us, or we for it
    product = _own(tx, seller_id, product_id)
    fact = product.put_on_sale(tx.now())
    readiness.insist(checklist(tx, product, shop_approved), for_sale=True)
    store.index(tx, product, categories.attributes_of(tx, product.category))
    tx.emit(fact)
    return product


def delist_product(tx: UnitOfWork, seller_id: str | None, product_id: str) -> Product:
    """Take it off sale, as its seller or (None) as the platform. Raises NoSuchProduct, WrongProductState."""
    product = _own(tx, seller_id, product_id) if seller_id else store.products.get(tx, product_id)
    tx.emit(product.take_off_sale("seller" if seller_id else "operator"))
    return product


def _own(tx: UnitOfWork, seller_id: str, product_id: str) -> Product:
    product = store.products.get(tx, product_id)
    if product.seller_id != seller_id:
        raise NoSuchProduct()
    return product


def _may_sell(tx: UnitOfWork, seller_id: str) -> bool:
    shop = others.find_shop(tx, seller_id)
    return shop is not None and shop.approved


def _checked(given: dict[str, Any], attributes: AttributeSet) -> dict[str, Any]:
    """`given` as the product's fields, attributes in normal form. Raises AttributeInvalid, SkuRepeated."""
    fields = {name: value for name, value in given.items() if name != "variants"}
    if "attributes" in fields:
        fields["attributes"] = attributes.normal(fields["attributes"], varies=False, field="attributes")
    if "variants" in given:
        fields["skus"] = skus = [
            Sku(**one | {
                "attributes": attributes.normal(one["attributes"], varies=True, field=f"variants.{n}.attributes")
            })
            for n, one in enumerate(given["variants"])
        ]  # fmt: skip
        codes = [one.sku for one in skus]
        for number, code in enumerate(codes):
            if code in codes[:number]:
                raise SkuRepeated(field=f"variants.{number}.sku")
    return fields


def _texts(fields: dict[str, Any]) -> list[str]:
    return [f"{name}.{locale}" for name in ("titles", "descriptions") for locale in fields.get(name, {})]
