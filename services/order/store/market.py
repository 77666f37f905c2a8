"""Copies of what others said, to quote without asking: offers, shops' terms, freight."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.order.domain.pricing import Freight, Offer, SellerTerms
from services.order.store.tables import freight_template, offer, seller
from shared.storage.hot import Hot
from shared.storage.unit_of_work import UnitOfWork


def market(tx: UnitOfWork, skus: list[str]) -> tuple[dict[str, Offer], dict[str, SellerTerms], dict[str, Freight]]:
    """What is on sale among `skus`, on whose terms, and for what freight (one look, so that they fit together)."""
    offers: dict[str, Offer] = {}
    terms: dict[str, SellerTerms] = {}
    freight: dict[str, Freight] = {}
    for *values, shop, template in _rows(tx, _MARKET, _MARKET_HOT, skus):
        found = Offer(*values)
        offers[found.sku] = found
        if found.seller_id not in terms:
            terms[found.seller_id] = _terms.decode(shop)
            if template is not None:
                freight[found.seller_id] = _freight.decode(template)
    return offers, terms, freight


def on_sale(tx: UnitOfWork, skus: list[str]) -> set[str]:
    """Those of `skus` that are on sale now, by shops that may sell."""
    return {str(sku) for (sku,) in _rows(tx, _ON_SALE, _ON_SALE_HOT, skus)}


def _rows(tx: UnitOfWork, plain: sa.Select[Any], hot: Hot, skus: list[str]) -> Sequence[Sequence[Any]]:
    if tx.node.database.is_sqlite:
        return tx.execute(plain.where(offer.c.sku.in_(skus))).all()
    return hot.rows(tx.connection, skus=skus)


def freight_of(tx: UnitOfWork, seller_id: str) -> Freight | None:
    """What a shop asks for sending, if it ever said."""
    body = tx.execute(sa.select(freight_template.c.body).where(freight_template.c.seller_id == seller_id)).scalar()
    return None if body is None else _freight.decode(body)


def keep_offers(tx: UnitOfWork, product_id: str, rows: list[dict[str, Any]]) -> None:
    """The whole new offer of a product; SKUs it no longer has go off sale."""
    tx.execute(offer.update().where(offer.c.product_id == product_id).values(listed=False))
    if rows:
        statement = tx.insert(offer)
        changed = {c.name: statement.excluded[c.name] for c in offer.c if c.name != "sku"}
        tx.execute(statement.on_conflict_do_update(index_elements=[offer.c.sku], set_=changed), rows)


def keep_price(tx: UnitOfWork, sku: str, price: int) -> None:
    tx.execute(offer.update().where(offer.c.sku == sku).values(price=price))


def delist(tx: UnitOfWork, product_id: str) -> None:
    tx.execute(offer.update().where(offer.c.product_id == product_id).values(listed=False))


def keep_seller(tx: UnitOfWork, terms: SellerTerms) -> None:
    row = {"seller_id": terms.seller_id, "active": True, "terms": msgspec.json.encode(terms)}
    tx.execute(tx.insert(seller).values(row).on_conflict_do_update(index_elements=[seller.c.seller_id], set_=row))


def suspend_seller(tx: UnitOfWork, seller_id: str) -> None:
    tx.execute(seller.update().where(seller.c.seller_id == seller_id).values(active=False))


def keep_freight(tx: UnitOfWork, freight: Freight) -> None:
    row = {"seller_id": freight.seller_id, "body": msgspec.json.encode(freight)}
    tx.execute(
        tx.insert(freight_template)
        .values(row)
        .on_conflict_do_update(index_elements=[freight_template.c.seller_id], set_=row)
    )


_terms = msgspec.json.Decoder(SellerTerms)
_freight = msgspec.json.Decoder(Freight)

_FIELDS = [field.name for field in dataclasses.fields(Offer)]
_ON_SALE = (
    sa.select(offer.c.sku).join(seller, seller.c.seller_id == offer.c.seller_id).where(offer.c.listed, seller.c.active)
)
_ON_SALE_HOT = Hot(
    "SELECT sku FROM offer JOIN seller USING (seller_id) WHERE sku = ANY(%(skus)s::varchar[]) AND listed AND active"
)
_MARKET = (
    sa.select(*(offer.c[name] for name in _FIELDS), seller.c.terms, freight_template.c.body)
    .join(seller, seller.c.seller_id == offer.c.seller_id)
    .outerjoin(freight_template, freight_template.c.seller_id == offer.c.seller_id)
    .where(offer.c.listed, seller.c.active)
)
_MARKET_HOT = Hot(
    f"SELECT {', '.join(_FIELDS)}, terms, body"  # noqa: S608  (names of our own)
    " FROM offer JOIN seller USING (seller_id) LEFT JOIN freight_template USING (seller_id)"
    " WHERE sku = ANY(%(skus)s::varchar[]) AND listed AND active"
)
