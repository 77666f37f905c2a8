"""Where freight terms, dispatches and shipments are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from services.shipping.domain import Dispatch, FreightTemplate, Shipment
from services.shipping.domain.freight import NoFreightTemplate
from services.shipping.domain.shipment import NoSuchShipment
from shared.kernel import clock
from shared.storage.repository import Repository, aggregate_table
from shared.storage.rows import Insert
from shared.storage.types import Moment
from shared.storage.unit_of_work import UnitOfWork

metadata = sa.MetaData()

templates = Repository(
    aggregate_table("freight_template", metadata, "seller_id"),
    FreightTemplate,
    key=lambda template: template.seller_id,
    missing=NoFreightTemplate,
)

dispatches = Repository(
    aggregate_table("dispatch", metadata, "order_no"), Dispatch, key=lambda dispatch: dispatch.order_no
)

shipment_table = aggregate_table(
    "shipment",
    metadata,
    "shipment_id",
    sa.Column("order_no", sa.String(64), nullable=False),
    sa.Column("seller_id", sa.String(64), nullable=False),
    sa.Column("buyer_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("attention", sa.String(24), nullable=False),
    sa.Index("shipment_order", "order_no"),
    sa.Index("shipment_seller", "seller_id", "state", "shipment_id"),
    sa.Index("shipment_buyer", "buyer_id", "shipment_id"),
    sa.Index("shipment_attention", "attention", "shipment_id", postgresql_where=sa.text("attention <> ''")),
)
shipments = Repository(
    shipment_table,
    Shipment,
    key=lambda shipment: shipment.shipment_id,
    columns=lambda shipment: {
        name: getattr(shipment, name) for name in ("order_no", "seller_id", "buyer_id", "state", "attention")
    },
    missing=NoSuchShipment,
)

warehouse = sa.Table(
    "warehouse",
    metadata,
    sa.Column("warehouse_id", sa.String(64), primary_key=True),
    sa.Column("region", sa.String(64), nullable=False),
)
"""Where inventory says its warehouses are: there parcels are collected."""

carrier_callback = sa.Table(
    "carrier_callback",
    metadata,
    sa.Column("carrier", sa.String(32), primary_key=True),
    sa.Column("event_id", sa.String(128), primary_key=True),
    sa.Column("reference", sa.String(100), nullable=False),
    sa.Column("received_at", Moment, nullable=False),
)
"""Callbacks that had their effect, written in the same transaction."""
_CALLBACK = Insert(carrier_callback, keep_first=True, told="event_id")


def lock_orders(tx: UnitOfWork, order_nos: Iterable[str]) -> None:
    """Lock these orders' dispatches, then all their shipments: always in this order, each sorted."""
    found = dispatches.lock(tx, sorted(set(order_nos)))
    shipments.lock(tx, sorted(no for dispatch in found for no in dispatch.shipment_ids))


def shipments_of(tx: UnitOfWork, dispatch: Dispatch) -> list[Shipment]:
    """The order's shipments, locked, in their order."""
    return sorted(shipments.lock(tx, sorted(dispatch.shipment_ids)), key=lambda shipment: shipment.index)


def keep_warehouse(tx: UnitOfWork, warehouse_id: str, region: str) -> None:
    """Note where a warehouse is."""
    tx.execute(
        tx.insert(warehouse)
        .values(warehouse_id=warehouse_id, region=region)
        .on_conflict_do_update(index_elements=[warehouse.c.warehouse_id], set_={"region": region})
    )


def warehouse_region(tx: UnitOfWork, warehouse_id: str) -> str | None:
    """Where a warehouse is, if inventory has told us yet."""
    region: str | None = tx.execute(
        sa.select(warehouse.c.region).where(warehouse.c.warehouse_id == warehouse_id)
    ).scalar()
    return region


def new_callbacks(tx: UnitOfWork, carrier: str, references: Mapping[str, str]) -> set[str]:
    """Mark callbacks (event id -> reference) as heard; the ids of those that were not before.

    A copy under way at the same time waits here, and of two bundles with the same callbacks one.
    """
    now = clock.machine_now()
    return _CALLBACK.write_new(
        tx,
        [
            {"carrier": carrier, "event_id": event_id, "reference": reference, "received_at": now}
            for event_id, reference in sorted(references.items())
        ],
    )
