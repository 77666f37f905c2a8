"""What an operator (and the demo) wants to see at the end of a day: the ledger's balances and the stock that moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from shared.storage.database import Database


class Balance(NamedTuple):
    family: str
    owner: str
    currency: str
    amount: int


class Shelf(NamedTuple):
    sku: str
    warehouse_id: str
    on_hand: int
    held: int
    allocated: int


def balances(stores: Mapping[str, Database]) -> list[Balance]:
    """Every account of the ledger: credits positive, minor units."""
    with stores["payment"].read() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT family, owner, currency, sum(amount) FROM ledger_entry"
                " GROUP BY family, owner, currency ORDER BY family, owner"
            )
        )
        return [Balance(family, owner, currency, int(amount)) for family, owner, currency, amount in rows]


def moved_stock(stores: Mapping[str, Database]) -> list[Shelf]:
    """The shelves that an order touched."""
    with stores["inventory"].read() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT sku, warehouse_id, on_hand, held, allocated FROM stock WHERE (sku, warehouse_id) IN"
                " (SELECT sku, warehouse_id FROM stock_movement WHERE reservation_id <> '')"
                " ORDER BY sku, warehouse_id"
            )
        )
        return [Shelf(*row) for row in rows]
