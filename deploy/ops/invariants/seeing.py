"""What the checks read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.storage.database import Database

Stores = Mapping[str, Database]
TERMINAL = ("COMPLETED", "CANCELLED", "CLOSED")
ON_THE_WAY = ("PLANNED", "PICKING", "PACKED", "SHIPPED", "RETURNING")
ALL = "1 = 1"


@dataclass(frozen=True)
class Scope:
    """What is to be looked at: `touched` are numbers of groups, SKUs, ids of payouts, transfers and so on."""

    touched: frozenset[str]


class Snapshot:
    """What the checks read, loaded once: everything, or what has to do with the things in the scope."""

    def __init__(self, stores: Stores, scope: Scope | None = None) -> None:
        self.stores, self.scope = stores, scope
        self.names: dict[str, list[str]] = {"touched": sorted(scope.touched) if scope else []}
        self.groups = list(self.documents("order", "order_group", "group_no", "touched"))
        self.orders = [(group, order) for group in self.groups for order in group["orders"]]
        self._name("groups", (group["group_no"] for group in self.groups))
        self._name("orders", (order["order_no"] for _, order in self.orders))
        self.payments = list(self.documents("payment", "payment", "group_no", "groups"))
        self.payouts = list(self.documents("payment", "payout", "payout_id", "touched"))
        self._name("accounts", (one["payment_id"] for one in self.payments), self.names["touched"])
        self.reservations = {one["order_no"]: one for one in self._reservations()}
        self.shipments = self.rows(
            "shipping",
            f"SELECT shipment_id, order_no, state FROM shipment WHERE {self.only('order_no', 'orders')}",  # noqa: S608
        )
        self._name("shipments", (shipment_id for shipment_id, _, _ in self.shipments))
        self.returns = list(self.documents("inventory", "returned_parcel", "shipment_id", "shipments"))
        self.transfers = list(self.documents("inventory", "transfer", "transfer_id", "touched"))
        self._name("transfers", (one["transfer_id"] for one in self.transfers))
        self._name(
            "skus",
            self.names["touched"],
            (line["sku"] for _, order in self.orders for line in order["lines"]),
            (line["sku"] for one in self.transfers for line in one["lines"]),
        )
        self.timers = {name: self._timers(name) for name in stores}

    def only(self, column: str, kind: str) -> str:
        """A condition in SQL: that the column names one of those, of a kind, that are looked at."""
        return f"{column} IN :{kind}" if self.scope else ALL

    def rows(self, store: str, statement: str) -> list[Any]:
        """The rows of a query on one store, which may contain conditions of `only`."""
        text = sa.text(statement)
        if self.scope:
            named = {kind: names for kind, names in self.names.items() if f":{kind}" in statement}
            lists: list[sa.BindParameter[Any]] = [
                sa.bindparam(*one, type_=sa.String, expanding=True) for one in named.items()
            ]
            text = text.bindparams(*lists)
        with self.stores[store].read() as connection:
            return list(connection.execute(text))

    def documents(self, store: str, table: str, column: str, kind: str) -> Iterator[dict[str, Any]]:
        """The bodies of a table of aggregates."""
        for (body,) in self.rows(store, f"SELECT body FROM {table} WHERE {self.only(column, kind)}"):  # noqa: S608
            yield msgspec.json.decode(bytes(body))

    def _name(self, kind: str, *names: Iterable[str]) -> None:
        self.names[kind] = sorted({one for several in names for one in several}) if self.scope else []

    def _reservations(self) -> Iterator[dict[str, Any]]:
        """Found by what was said of them, for which there is an index."""
        said = "SELECT agg_id FROM event_log WHERE agg_type = 'reservation' AND partition_key IN :groups"
        only = f"reservation_id IN ({said})" if self.scope else ALL
        for (body,) in self.rows("inventory", f"SELECT body FROM reservation WHERE {only}"):  # noqa: S608
            yield msgspec.json.decode(bytes(body))

    def _timers(self, store: str) -> set[str]:
        return {aggregate for (aggregate,) in self.rows(store, "SELECT aggregate FROM timer")}
