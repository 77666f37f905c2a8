"""Products on the shelf: one, many, searched for. Buyers see what is listed; sellers also what is theirs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from services.catalog.domain import words
from services.catalog.domain.product import NoSuchProduct, Product
from services.catalog.domain.readiness import ONLY_FOR_SALE, Item
from services.catalog.store import others
from services.catalog.store.products import products
from services.catalog.store.tables import (
    category,
    product,
    product_attribute,
    product_search,
    rating,
    seller,
    sku_stock,
)
from shared.kernel.errors import BadRequest, Forbidden, Invalid
from shared.web.auth import Principal
from shared.web.door import Reading

MOST_HITS = 1_000
"""How far one may page through what a search found."""


class BadCursor(BadRequest):
    """This cursor is none of ours; take `next` of an earlier page."""


class BadFilter(Invalid):
    """An attribute filter reads code:value|value,code:value."""


def may_see(who: Principal | None, one: Product) -> bool:
    """Whether `who` sees it though it is not on sale."""
    return who is not None and (who.has("operator") or (who.seller_id is not None and who.seller_id == one.seller_id))


def one_product(reading: Reading, who: Principal | None, product_id: str) -> dict[str, Any]:
    """Raises NoSuchProduct, also for what is not on sale and not the caller's."""
    found = products.peek(reading.connection, product_id)
    insider = may_see(who, found)
    if found.state != "LISTED" and not insider:
        raise NoSuchProduct()
    return full_view(reading, found, insider=insider)


def full_view(source: Any, found: Product, *, insider: bool) -> dict[str, Any]:
    """The whole product. `insider`: with what only its seller and operators see. `source`: transaction or
    reading."""
    stock = others.stock_of(source, found.seller_id, found.sku_codes())
    row = source.execute(
        sa.select(seller.c.shop_name, rating.c.count, rating.c.stars)
        .select_from(seller)
        .outerjoin(rating, rating.c.product_id == found.product_id)
        .where(seller.c.seller_id == found.seller_id)
    ).one_or_none()
    view = _summary(found, stock, *(row or ("", None, None))) | {
        "descriptions": found.descriptions,
        "attributes": found.attributes,
        "tax_class": found.tax_class,
        "return_terms": found.return_terms,
        "variants": [vars(one) | {"sold_out": stock.get(one.sku, True)} for one in found.skus],
    }
    if insider:
        view |= {
            name: getattr(found, name) for name in ("created_at", "hints", "reasons", "delisted_because", "version")
        }
    return view


def browse(reading: Reading, who: Principal | None, query: dict[str, Any]) -> dict[str, Any]:
    """A page of products in the wanted order. Raises Forbidden, BadCursor, BadFilter."""
    statement = _filtered(reading, query, *_whose(who, query))
    column, descending = {
        "newest": (product.c.listed_at if "state" not in query else product.c.product_id, True),
        "price_asc": (product.c.price_min, False),
        "price_desc": (product.c.price_min, True),
    }[query["sort"]]
    order = (column.desc(), product.c.product_id.desc()) if descending else (column, product.c.product_id)
    if query["cursor"]:
        after = sa.tuple_(column, product.c.product_id)
        value, product_id = _read_cursor(query["cursor"], column)
        mark = sa.tuple_(sa.literal(value, column.type), sa.literal(product_id))
        statement = statement.where(after < mark if descending else after > mark)
    rows = reading.execute(statement.add_columns(column.label("mark")).order_by(*order).limit(query["limit"] + 1)).all()
    more = len(rows) > query["limit"]
    rows = rows[: query["limit"]]
    next_cursor = _cursor(rows[-1].mark, rows[-1].product_id) if more else None
    return {"items": _summaries(reading, rows), "next": next_cursor}


def search(reading: Reading, query: dict[str, Any]) -> dict[str, Any]:
    """A page of listed products that have all words of `q`, the best match first. Raises BadCursor,
    BadFilter."""
    wanted = words.query_words(query["q"])
    if not wanted:
        return {"items": [], "next": None}
    offset = _read_offset(query["cursor"])
    statement = _filtered(reading, query, "LISTED", None)
    statement = statement.join(product_search, product_search.c.product_id == product.c.product_id)
    if reading.node.database.is_sqlite:
        index = sa.table("product_fts", sa.column("rowid"), sa.column("product_fts"))
        text = " AND ".join(f'"{word}"*' for word in wanted)
        statement = statement.join(index, index.c.rowid == product_search.c.no).where(
            index.c.product_fts.op("MATCH")(text)
        )
        rank: Any = sa.func.bm25(sa.literal_column("product_fts"), 8.0, 1.0)
    else:
        text = " & ".join(f"'{word}':*" for word in wanted)
        tsquery = sa.func.to_tsquery("simple", text)
        statement = statement.where(product_search.c.document.op("@@")(tsquery))
        rank = -sa.func.ts_rank(product_search.c.document, tsquery)
    limit = query["limit"]
    rows = reading.execute(statement.order_by(rank, product.c.product_id.desc()).offset(offset).limit(limit + 1)).all()
    more = len(rows) > limit and offset + limit < MOST_HITS
    return {"items": _summaries(reading, rows[:limit]), "next": str(offset + limit) if more else None}


def checklist_view(items: list[Item]) -> dict[str, Any]:
    return {
        "ready_for_review": all(one.ok for one in items if one.code not in ONLY_FOR_SALE),
        "ready_for_sale": all(one.ok for one in items),
        "items": [{"code": one.code, "ok": one.ok, "lacking": one.lacking} for one in items],
    }


def own_product(reading: Reading, who: Principal, product_id: str) -> tuple[Product, bool]:
    """`(product, whether its shop may sell)` for its seller and operators. Raises NoSuchProduct."""
    found = products.peek(reading.connection, product_id)
    if not may_see(who, found):
        raise NoSuchProduct()
    approved = reading.execute(sa.select(seller.c.approved).where(seller.c.seller_id == found.seller_id)).scalar()
    return found, bool(approved)


def _whose(who: Principal | None, query: dict[str, Any]) -> tuple[str, str | None]:
    """`(state, only this seller's)`: other states than LISTED are for operators, and for sellers among
    their own."""
    state = query.get("state", "LISTED")
    if state == "LISTED" or (who and who.has("operator")):
        return state, None
    if who is None or who.seller_id is None:
        raise Forbidden(field="state")
    return state, who.seller_id


def _filtered(reading: Reading, query: dict[str, Any], state: str, only_seller: str | None) -> sa.Select[Any]:
    columns = product.c
    statement = (
        sa.select(columns.product_id, columns.body, seller.c.shop_name, rating.c.count.label("reviews"), rating.c.stars)
        .outerjoin(seller, seller.c.seller_id == columns.seller_id)
        .outerjoin(rating, rating.c.product_id == columns.product_id)
        .where(columns.state == state)
    )
    for seller_id in filter(None, (only_seller, query.get("seller_id"))):
        statement = statement.where(columns.seller_id == seller_id)
    if "category" in query:
        # The path is read first: only a literal can be escaped, and "_" is a letter in our codes.
        path = reading.execute(sa.select(category.c.path).where(category.c.category_id == query["category"])).scalar()
        under = sa.select(category.c.category_id).where(
            sa.or_(category.c.path == path, category.c.path.startswith(f"{path}/", autoescape=True))
        )
        statement = statement.where(columns.category_id.in_(under))
    if "price_from" in query:
        statement = statement.where(columns.price_max >= query["price_from"])
    if "price_to" in query:
        statement = statement.where(columns.price_min <= query["price_to"])
    for code, values in _read_filter(query.get("attributes", "")):
        having = sa.select(product_attribute.c.product_id).where(
            product_attribute.c.product_id == columns.product_id,
            product_attribute.c.code == code,
            product_attribute.c.value.in_(values),
        )
        statement = statement.where(having.exists())
    return statement


def _read_filter(text: str) -> list[tuple[str, list[str]]]:
    found = []
    for part in filter(None, text.split(",")):
        code, colon, values = part.partition(":")
        if not colon or not code or not values:
            raise BadFilter(field="attributes")
        found.append((code, values.split("|")))
    return found


def _summaries(reading: Reading, rows: Any) -> list[dict[str, Any]]:
    found = [(products.decode(row.body), row) for row in rows]
    codes = [code for one, _ in found for code in one.sku_codes()]
    stock = {}
    if codes:
        columns = sku_stock.c
        for one in reading.execute(
            sa.select(columns.sku, columns.seller_id, columns.sold_out).where(columns.sku.in_(codes))
        ):
            stock[one.sku, one.seller_id] = one.sold_out
    return [
        _summary(
            one, {code: stock.get((code, one.seller_id), True) for code in one.sku_codes()}, row.shop_name, row.reviews,
            row.stars,
        )
        for one, row in found
    ]  # fmt: skip


def _summary(
    one: Product, stock: dict[str, bool], shop_name: str | None, count: int | None, stars: int | None
) -> dict[str, Any]:
    prices = [variant.price for variant in one.skus] or [0]
    return {
        "product_id": one.product_id,
        "seller_id": one.seller_id,
        "shop_name": shop_name or "",
        "titles": one.titles,
        "category": one.category,
        "currency": one.currency,
        "price_from": min(prices),
        "price_to": max(prices),
        "sold_out": all(stock.get(code, True) for code in one.sku_codes()),
        "rating": rating_view(count, stars),
        "listed_at": one.listed_at,
        "state": one.state,
    }


def rating_view(count: int | None, stars: int | None) -> dict[str, Any]:
    return {"count": count or 0, "average": round(stars / count, 2) if count and stars else None}


def _cursor(value: Any, product_id: str) -> str:
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"{text}~{product_id}"


def _read_cursor(text: str, column: Any) -> tuple[Any, str]:
    value, tilde, product_id = text.rpartition("~")
    try:
        if not tilde:
            raise ValueError(text)
        kind = column.type.python_type if column is not product.c.listed_at else datetime
        return msgspec.convert(value, kind, strict=False), product_id
    except (ValueError, msgspec.ValidationError) as error:
        raise BadCursor(field="cursor") from error


def _read_offset(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise BadCursor(field="cursor")
    return int(text)
