"""Products, their SKU codes, and what they are found by."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.catalog.domain import words
from services.catalog.domain.category import AttributeSet
from services.catalog.domain.product import NoSuchProduct, Product, SkuTaken
from services.catalog.store.tables import product, product_attribute, product_search, sku
from shared.storage.repository import Repository
from shared.storage.unit_of_work import UnitOfWork


def _columns(one: Product) -> dict[str, Any]:
    prices = [variant.price for variant in one.skus] or [0]
    return {
        "seller_id": one.seller_id, "state": one.state, "category_id": one.category, "price_min": min(prices),
        "price_max": max(prices), "listed_at": one.listed_at,
    }  # fmt: skip


products = Repository(product, Product, key=lambda p: p.product_id, columns=_columns, missing=NoSuchProduct)


def listed_of(tx: UnitOfWork, seller_id: str) -> list[Product]:
    """The seller's products on sale, locked. The caller has locked the seller's row, so none is added
    meanwhile."""
    keys = tx.execute(
        sa.select(product.c.product_id).where(product.c.seller_id == seller_id, product.c.state == "LISTED")
    ).scalars()
    return [one for one in products.lock(tx, list(keys)) if one.state == "LISTED"]


def claim_skus(tx: UnitOfWork, product_id: str, codes: list[str]) -> None:
    """Make the codes this product's; waits for others who claim one of them right now. Raises SkuTaken."""
    if not codes:
        return
    rows = [{"sku": code, "product_id": product_id} for code in sorted(codes)]
    tx.execute(tx.insert(sku).on_conflict_do_nothing(), rows)
    taken = tx.execute(
        sa.select(sku.c.sku).where(tx.among(sku.c.sku, sorted(codes)), sku.c.product_id != product_id)
    ).scalars()
    for code in taken:
        raise SkuTaken(field=f"variants.{codes.index(code)}.sku")


def index(tx: UnitOfWork, one: Product, attributes: AttributeSet) -> None:
    """Make the product be found by its words and attributes as they are now."""
    tx.execute(product_attribute.delete().where(product_attribute.c.product_id == one.product_id))
    found = {(code, value) for given in _all_attributes(one) for code, value in given.items()}
    if found:
        rows = [{"product_id": one.product_id, "code": code, "value": value} for code, value in sorted(found)]
        tx.execute(product_attribute.insert(), rows)
    readable = [word for given in _all_attributes(one) for word in attributes.readable(given)]
    title = words.title_words(one.titles.values())
    text = words.text_words([*readable, *one.descriptions.values(), *one.sku_codes()])
    row: dict[str, Any] = {"product_id": one.product_id, "title": title, "words": text}
    if not tx.node.database.is_sqlite:
        row["document"] = sa.func.setweight(sa.func.to_tsvector("simple", title), sa.literal_column("'A'")).op("||")(
            sa.func.setweight(sa.func.to_tsvector("simple", text), sa.literal_column("'D'"))
        )
    statement = tx.insert(product_search).values(row)
    changed = {name: statement.excluded[name] for name in row if name != "product_id"}
    tx.execute(statement.on_conflict_do_update(index_elements=[product_search.c.product_id], set_=changed))


def _all_attributes(one: Product) -> list[dict[str, str]]:
    return [one.attributes, *(variant.attributes for variant in one.skus)]
