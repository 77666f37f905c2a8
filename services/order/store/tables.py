"""The order service's tables."""

from __future__ import annotations

import sqlalchemy as sa

from shared.storage.repository import aggregate_table
from shared.storage.types import BigId, Body, Moment

metadata = sa.MetaData()

order_group = aggregate_table("order_group", metadata, "group_no", sa.Column("buyer_id", sa.String(64), nullable=False))

order_index = sa.Table(
    "order_index",
    metadata,
    sa.Column("order_no", sa.String(32), primary_key=True),
    sa.Column("group_no", sa.String(32), nullable=False),
    sa.Column("buyer_id", sa.String(64), nullable=False),
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("placed_at", Moment, nullable=False),
    sa.Index("order_index_buyer", "buyer_id", "placed_at", "order_no"),
    sa.Index("order_index_seller", "seller_id", "placed_at", "order_no"),
)
"""One row an order, for lists: who, which shop, in which state (which is in no index: it changes often)."""

history = sa.Table(
    "order_history",
    metadata,
    sa.Column("no", BigId, primary_key=True, autoincrement=True),
    sa.Column("group_no", sa.String(32), nullable=False),
    sa.Column("order_no", sa.String(32), nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("trigger", sa.String(48), nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("listed", sa.Boolean, nullable=False),
    sa.Column("causation_id", sa.String(96), nullable=False),
    sa.Index("order_history_order", "order_no", "no"),
)
"""The timeline: what the order heard of or was told to do, and the state after it."""

quote_table = aggregate_table(
    "quote",
    metadata,
    "quote_id",
    sa.Column("expires_at", Moment, nullable=False),
    sa.Index("quote_expires", "expires_at"),
)

offer = sa.Table(
    "offer",
    metadata,
    sa.Column("sku", sa.String(64), primary_key=True),
    sa.Column("product_id", sa.String(64), nullable=False),
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("title", sa.String(300), nullable=False),
    sa.Column("price", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("weight_g", sa.Integer, nullable=False),
    sa.Column("return_terms", sa.String(32), nullable=False),
    sa.Column("listed", sa.Boolean, nullable=False),
    sa.Index("offer_product", "product_id"),
)

seller = sa.Table(
    "seller",
    metadata,
    sa.Column("seller_id", sa.String(64), primary_key=True),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("terms", Body, nullable=False),
)

freight_template = sa.Table(
    "freight_template",
    metadata,
    sa.Column("seller_id", sa.String(64), primary_key=True),
    sa.Column("body", Body, nullable=False),
)
