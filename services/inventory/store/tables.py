"""The tables of inventory."""

from __future__ import annotations

import sqlalchemy as sa

from services.inventory.domain.reservation import Reservation
from services.inventory.domain.returned import NoSuchReturn, Return
from services.inventory.domain.transfer import NoSuchTransfer, Transfer
from shared.storage.repository import Repository, aggregate_table
from shared.storage.types import BigId, Moment

metadata = sa.MetaData()

sku = sa.Table(
    "sku",
    metadata,
    sa.Column("sku", sa.String(64), primary_key=True),
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("product_id", sa.String(64), nullable=False, index=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("listed", sa.Boolean, nullable=False),
)
"""What catalogue said: whose SKU it is. Who names it first has it."""

warehouse = sa.Table(
    "warehouse",
    metadata,
    sa.Column("warehouse_id", sa.String(36), primary_key=True),
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("title", sa.String(120), nullable=False),
    sa.Column("region", sa.String(16), nullable=False),
    sa.Column("opened_at", Moment, nullable=False),
    sa.Index("warehouse_seller", "seller_id", "warehouse_id"),
)

stock = sa.Table(
    "stock",
    metadata,
    sa.Column("sku", sa.ForeignKey(sku.c.sku), primary_key=True),
    sa.Column("warehouse_id", sa.ForeignKey(warehouse.c.warehouse_id), primary_key=True),
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("on_hand", sa.BigInteger, nullable=False),
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("allocated", sa.BigInteger, nullable=False),
    sa.Column("backordered", sa.BigInteger, nullable=False),
    sa.Column("backorder_limit", sa.BigInteger, nullable=False),
    sa.Column("low_threshold", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("on_hand >= 0", name="stock_on_hand"),
    sa.CheckConstraint("held >= 0", name="stock_held"),
    sa.CheckConstraint("allocated >= 0", name="stock_allocated"),
    sa.CheckConstraint("backordered >= 0", name="stock_backordered"),
    sa.CheckConstraint("on_hand - held - allocated >= 0", name="stock_never_promised_twice"),
    sa.Index("stock_seller", "seller_id", "sku", "warehouse_id"),
)
"""Units of a SKU in a warehouse, see `domain.stock`. Back-orders are counted apart, so the last check has no
exception.
"""

movement = sa.Table(
    "stock_movement",
    metadata,
    sa.Column("no", BigId, primary_key=True, autoincrement=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("sku", sa.String(64), nullable=False),
    sa.Column("warehouse_id", sa.String(36), nullable=False),
    sa.Column("on_hand", sa.BigInteger, nullable=False),
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("allocated", sa.BigInteger, nullable=False),
    sa.Column("backordered", sa.BigInteger, nullable=False),
    sa.Column("reservation_id", sa.String(64), nullable=False),
    sa.Column("shipment_id", sa.String(64), nullable=False),
    sa.Column("reason", sa.String(16), nullable=False),
    sa.Column("reference", sa.String(64), nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("cause", sa.String(96), nullable=False),
    sa.Index("stock_movement_sku", "sku", "no"),
)
"""The ledger: how each number of `stock` came about. Append only; its sums are the numbers."""

waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("sku", sa.String(64), primary_key=True),
    sa.Column("reservation_id", sa.String(64), primary_key=True),
    sa.Column("qty", sa.BigInteger, nullable=False),
    sa.Column("since", Moment, nullable=False),
    sa.CheckConstraint("qty >= 0", name="waiting_qty"),
    sa.Index("waiting_turn", "sku", "since", "reservation_id"),
)
"""Who waits for a SKU to come in, first come first served: the index from stock to reservations."""

reservations = Repository(
    aggregate_table(
        "reservation",
        metadata,
        "reservation_id",
        sa.Column("order_no", sa.String(64), nullable=False),
        sa.Column("seller_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
    ),
    Reservation,
    key=lambda one: one.reservation_id,
    columns=lambda one: {"order_no": one.order_no, "seller_id": one.seller_id, "state": one.state},
)

returns = Repository(
    aggregate_table(
        "returned_parcel",
        metadata,
        "shipment_id",
        sa.Column("seller_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Index("returned_parcel_seller", "seller_id", "state", "shipment_id"),
    ),
    Return,
    key=lambda one: one.shipment_id,
    columns=lambda one: {"seller_id": one.seller_id, "state": one.state},
    missing=NoSuchReturn,
)

transfers = Repository(
    aggregate_table(
        "transfer",
        metadata,
        "transfer_id",
        sa.Column("seller_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Index("transfer_seller", "seller_id", "state", "transfer_id"),
    ),
    Transfer,
    key=lambda one: one.transfer_id,
    columns=lambda one: {"seller_id": one.seller_id, "state": one.state},
    missing=NoSuchTransfer,
)
