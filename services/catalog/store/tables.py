"""The tables."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR

from shared.storage.repository import aggregate_table
from shared.storage.types import BigId, Moment

metadata = sa.MetaData()

category = aggregate_table(
    "category",
    metadata,
    "category_id",
    sa.Column("parent_id", sa.String(64), nullable=True, index=True),
    sa.Column("path", sa.String(400), nullable=False, unique=True),
)

product = aggregate_table(
    "product",
    metadata,
    "product_id",
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("category_id", sa.String(64), nullable=False),
    sa.Column("price_min", sa.BigInteger, nullable=False),
    sa.Column("price_max", sa.BigInteger, nullable=False),
    sa.Column("listed_at", Moment, nullable=True),
    sa.Index("product_newest", "state", "listed_at", "product_id"),
    sa.Index("product_price", "state", "price_min", "product_id"),
    sa.Index("product_category", "category_id", "state", "listed_at"),
    sa.Index("product_seller", "seller_id", "state", "product_id"),
)

sku = sa.Table(
    "sku",
    metadata,
    sa.Column("sku", sa.String(64), primary_key=True),
    sa.Column("product_id", sa.String(64), nullable=False, index=True),
)
"""Whose a SKU code is: the primary key makes it one product's, and it stays so when the variant is gone."""

product_attribute = sa.Table(
    "product_attribute",
    metadata,
    sa.Column("product_id", sa.String(64), primary_key=True),
    sa.Column("code", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(200), primary_key=True),
    sa.Index("product_attribute_value", "code", "value", "product_id"),
)
"""What buyers filter by: a product's own attributes and those of all its variants."""

product_search = sa.Table(
    "product_search",
    metadata,
    sa.Column("no", BigId, primary_key=True, autoincrement=True),
    sa.Column("product_id", sa.String(64), nullable=False, unique=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("document", TSVECTOR().with_variant(sa.Text(), "sqlite"), nullable=True),
    sa.Index("product_search_document", "document", postgresql_using="gin"),
)
"""Segmented text, one word a space. PostgreSQL searches `document`; SQLite an FTS5 table that triggers keep."""

FULL_TEXT_ON_SQLITE = (
    """CREATE VIRTUAL TABLE product_fts USING fts5
       (title, words, content='product_search', content_rowid='no', tokenize="unicode61 remove_diacritics 0")""",
    """CREATE TRIGGER product_search_added AFTER INSERT ON product_search BEGIN
         INSERT INTO product_fts (rowid, title, words) VALUES (new.no, new.title, new.words);
       END""",
    """CREATE TRIGGER product_search_gone AFTER DELETE ON product_search BEGIN
         INSERT INTO product_fts (product_fts, rowid, title, words)
         VALUES ('delete', old.no, old.title, old.words);
       END""",
    """CREATE TRIGGER product_search_changed AFTER UPDATE ON product_search BEGIN
         INSERT INTO product_fts (product_fts, rowid, title, words)
         VALUES ('delete', old.no, old.title, old.words);
         INSERT INTO product_fts (rowid, title, words) VALUES (new.no, new.title, new.words);
       END""",
)
for _statement in FULL_TEXT_ON_SQLITE:
    _ddl = sa.DDL(_statement)  # type: ignore[no-untyped-call]
    sa.event.listen(product_search, "after_create", _ddl.execute_if(dialect="sqlite"))

seller = sa.Table(
    "seller",
    metadata,
    sa.Column("seller_id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), nullable=False),
    sa.Column("shop_name", sa.String(200), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("approved", sa.Boolean, nullable=False),
)
"""What account said of shops."""

sku_stock = sa.Table(
    "sku_stock",
    metadata,
    sa.Column("sku", sa.String(64), primary_key=True),
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("sold_out", sa.Boolean, nullable=False),
)
"""What inventory said of SKUs: a row is a stock record."""

purchase = aggregate_table(
    "purchase", metadata, "key", sa.Column("buyer_id", sa.String(64), nullable=False, index=True)
)
"""Lines buyers have received: each the right to one review."""

review = sa.Table(
    "review",
    metadata,
    sa.Column("review_id", sa.String(64), primary_key=True),
    sa.Column("product_id", sa.String(64), nullable=False),
    sa.Column("buyer_id", sa.String(64), nullable=False),
    sa.Column("order_no", sa.String(64), nullable=False),
    sa.Column("line_id", sa.String(64), nullable=False),
    sa.Column("sku", sa.String(64), nullable=False),
    sa.Column("stars", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("posted_at", Moment, nullable=False),
    sa.UniqueConstraint("order_no", "line_id"),
    sa.CheckConstraint("stars BETWEEN 1 AND 5", name="review_stars"),
    sa.Index("review_product", "product_id", "review_id"),
)

rating = sa.Table(
    "rating",
    metadata,
    sa.Column("product_id", sa.String(64), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("stars", sa.Integer, nullable=False),
)
"""How many reviews a product has and how many stars they gave together."""
