"""Rebuilds a projection: tables that hold nothing but what others said, whose handlers write the last word again.

It is rebuilt beside the old one, in a sandbox, from all that the publishers' logs hold; then compared by checksum, and
put in its place if wished. While it is swapped the service's handlers wait; what they hear afterwards they handle as
always, also what the rebuilt tables know already: for a projection that is harmless, since the last word stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from deploy import fleet
from deploy.ops.replay.logs import OVERLAP, Stores, read
from deploy.replay.sandbox import Sandbox
from shared.contracts.account import SellerApproved, SellerSuspended
from shared.contracts.catalog import PriceChanged, ProductDelisted, ProductListed, ProductUpdated
from shared.contracts.event import Fact, decode_envelope
from shared.contracts.inventory import WarehouseOpened
from shared.contracts.shipping import FreightTemplateChanged
from shared.kernel.errors import NotFound
from shared.messaging.subscriptions import Subscriptions
from shared.runtime.service import Service
from shared.storage import copies, inspect, trust
from shared.storage.copies import Tables
from shared.storage.unit_of_work import Node

BATCH = 200


class NoSuchProjection(NotFound):
    """There is no projection of this name; the list names them all."""


@dataclass(frozen=True)
class Projection:
    """`tables` of a service that only the handlers of `facts` write."""

    service: str
    tables: tuple[str, ...]
    facts: tuple[type[Fact], ...]

    def on(self, service: Service) -> Subscriptions:
        """The part of the service's event door that writes it."""
        part = Subscriptions(service.on.consumer)
        part.handlers = {fact: service.on.handlers[fact] for fact in self.facts}
        part.before_batch = service.on.before_batch
        return part

    def of(self, service: Service) -> list[sa.Table]:
        return [service.metadata.tables[name] for name in self.tables]


PROJECTIONS: Mapping[str, Projection] = {
    "order.market": Projection(
        "order",
        ("offer", "seller", "freight_template"),
        (
            ProductListed, ProductUpdated, ProductDelisted, PriceChanged, SellerApproved, SellerSuspended,
            FreightTemplateChanged,
        ),
    ),
    "payment.terms": Projection("payment", ("seller_terms",), (SellerApproved,)),
    "shipping.warehouses": Projection("shipping", ("warehouse",), (WarehouseOpened,)),
}  # fmt: skip


@dataclass(frozen=True)
class Rebuilt:
    """`facts` were heard; `before` and `after` are the checksums of the old and of the rebuilt tables; `on_their_way`
    facts the service itself has not handled yet, which explain a difference; `problems` could not be handled."""

    facts: int
    before: str
    after: str
    different: tuple[str, ...]
    on_their_way: int
    problems: tuple[str, ...]
    swapped: bool


def rebuild(node: Node, name: str, stores: Stores, *, swap: bool = False, actor: str = "", why: str = "") -> Rebuilt:
    """See the module. Not swapped if a fact could not be handled. `actor` and `why` stand in the audit trail of a swap.

    Raises NoSuchProjection.
    """
    if name not in PROJECTIONS:
        raise NoSuchProjection(projection=name)
    projection = PROJECTIONS[name]
    service = fleet.member(projection.service).service
    beside = _Beside(projection, service, stores)
    try:
        beside.catch_up()
        with node.transaction() as tx:
            connection = tx.connection
            if swap:
                _hold(connection, projection)
            beside.catch_up()
            old = copies.copy_on(connection, projection.of(service))
            new = copies.copy(beside.sandbox.store, projection.of(service))
            problems = tuple(beside.sandbox.kept())
            swapped = swap and not problems
            if swapped:
                copies.put(connection, projection.of(service), new)
                trust.note_change(tx, actor, "replay.rebuild", name, "", why)
        heard = inspect.heard(node.database, service.on.consumer, list(beside.heard))
        return Rebuilt(
            len(beside.heard), copies.checksum(old), copies.checksum(new), _differing(old, new),
            len(beside.heard) - len(heard), problems, swapped,
        )  # fmt: skip
    finally:
        beside.sandbox.close()


class _Beside:
    """The new tables, and how far each log has been read into them."""

    def __init__(self, projection: Projection, service: Service, stores: Stores) -> None:
        part = projection.on(service)
        self.sandbox = Sandbox(service, on=part)
        self.keys, self.stores = part.bindings(), stores
        self.heard: dict[str, None] = {}
        self._after: dict[str, int] = {}

    def catch_up(self) -> None:
        """Hear what is new, and what may have been committed late; its inbox drops the rest."""
        batch: list[bytes] = []
        again = {name: max(0, pos - OVERLAP) for name, pos in self._after.items()}
        for one in read(self.stores, self.keys, again):
            self._after[one.publisher] = max(self._after.get(one.publisher, 0), one.fact.pos)
            if one.fact.event_id in self.heard:
                continue
            self.heard[one.fact.event_id] = None
            batch.append(one.fact.body)
            if len(batch) == BATCH:
                self._hear(batch)
                batch = []
        self._hear(batch)
        self.sandbox.retry()

    def _hear(self, batch: list[bytes]) -> None:
        if batch:
            self.sandbox.hear(*batch, at=decode_envelope(batch[-1]).time)


def _hold(connection: sa.Connection, projection: Projection) -> None:
    """Handlers wait from here to the end of the transaction; on SQLite they do already, as it has one writer."""
    if connection.dialect.name == "postgresql":
        tables = ", ".join(f'"{name}"' for name in projection.tables)
        connection.execute(sa.text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))


def _differing(old: Tables, new: Tables) -> tuple[str, ...]:
    return tuple(name for name in old if copies.checksum({name: old[name]}) != copies.checksum({name: new[name]}))
