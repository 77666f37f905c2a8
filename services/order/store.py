"""Where groups, quotes and the copies of others' offers are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from services.order.domain.group import Change, Order, OrderGroup
from services.order.domain.pricing import Freight, Offer, Quote, SellerTerms
from shared.kernel.errors import NotFound, TooEarly
from shared.storage.repository import Repository, _Kept, aggregate_table
from shared.storage.types import BigId, Body, Moment
from shared.storage.unit_of_work import Cause, UnitOfWork
from shared.web.auth import OPERATOR, Principal

metadata = sa.MetaData()


class NoSuchOrder(NotFound):
    """There is no such order, or it is not yours."""


class NoSuchQuote(NotFound):
    """There is no such quote, or it is not yours."""


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
    sa.Index("order_index_buyer", "buyer_id", "order_no"),
    sa.Index("order_index_seller", "seller_id", "state", "order_no"),
)
"""One row an order, for lists: who, which shop, in which state."""

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

quote_table = aggregate_table("quote", metadata, "quote_id", sa.Column("expires_at", Moment, nullable=False))

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


class Groups(Repository[OrderGroup]):
    """Keeping a group also writes its timeline, its deadlines and its place in the lists."""

    def write(self, tx: UnitOfWork, kept: dict[str, _Kept[OrderGroup]]) -> None:
        notes: list[dict[str, Any]] = []
        index: list[dict[str, Any]] = []
        changes: list[Change] = []
        for group in (entry.thing for _, entry in sorted(kept.items())):
            notes += [
                {
                    "group_no": group.group_no,
                    "order_no": note.order_no,
                    "at": tx.now(),
                    "trigger": note.trigger,
                    "state": note.state,
                    "listed": note.listed,
                    "causation_id": _cause(note.cause, tx).causation_id,
                }
                for note in group.notes
            ]
            index += [
                {
                    "order_no": order.order_no,
                    "group_no": group.group_no,
                    "buyer_id": group.buyer_id,
                    "seller_id": order.seller_id,
                    "state": str(order.state),
                    "placed_at": order.placed_at,
                }
                for order in group.orders
                if order.order_no in group.moved
            ]
            changes += group.changes
            group.notes.clear()
            group.changes.clear()
            group.moved.clear()
        super().write(tx, kept)
        self._set_timers(tx, changes)
        if notes:
            tx.execute(history.insert(), notes)
        if index:
            statement = tx.insert(order_index)
            tx.execute(
                statement.on_conflict_do_update(
                    index_elements=[order_index.c.order_no],
                    set_={"state": statement.excluded.state},
                    where=order_index.c.state != statement.excluded.state,
                ),
                index,
            )

    @staticmethod
    def _set_timers(tx: UnitOfWork, changes: list[Change]) -> None:
        """Each in the flow of what set it: a batch holds facts of many flows."""
        last = tx.cause
        for number, name, moment, cause in changes:
            tx.cause = _cause(cause, tx)
            if moment is None:
                tx.cancel_timer(number, name)
            else:
                tx.set_timer(number, name, moment)
        tx.cause = last


def _cause(noted: object, tx: UnitOfWork) -> Cause:
    return noted if isinstance(noted, Cause) else tx.cause


groups = Groups(
    order_group,
    OrderGroup,
    key=lambda group: group.group_no,
    columns=lambda group: {"buyer_id": group.buyer_id},
    missing=NoSuchOrder,
)

quotes = Repository(
    quote_table,
    Quote,
    key=lambda quote: quote.quote_id,
    columns=lambda quote: {"expires_at": quote.expires_at},
    missing=NoSuchQuote,
)


def group_number_of(number: str) -> str:
    """The group that an order number (or a group's own) belongs to."""
    return number.partition("-")[0]


def own_order(group: OrderGroup, who: Principal, order_no: str) -> Order:
    """Raises NoSuchOrder unless `who` is its buyer, its seller or an operator."""
    for order in group.orders:
        if order.order_no == order_no and (
            who.account_id == group.buyer_id or (who.seller_id == order.seller_id) or who.has(OPERATOR)
        ):
            return order
    raise NoSuchOrder()


def lock_by_number(tx: UnitOfWork, numbers: Iterable[str]) -> None:
    """Lock the groups of order or group numbers, in one sorted order: the only lock of this service."""
    groups.lock(tx, sorted({group_number_of(number) for number in numbers}))


def heard_of(tx: UnitOfWork, group_no: str) -> OrderGroup:
    """The group a fact speaks of. Raises TooEarly when it is not here (yet)."""
    group = groups.find(tx, group_no)
    if group is None:
        raise TooEarly(f"no group {group_no}")
    group.cause = tx.cause
    return group


# --- copies of what the others said ---------------------------------------------------------------------------------


def market(tx: UnitOfWork, skus: list[str]) -> tuple[dict[str, Offer], dict[str, SellerTerms], dict[str, Freight]]:
    """What is on sale among `skus`, on whose terms, and for what freight (one look, so that they fit together)."""
    offers: dict[str, Offer] = {}
    terms: dict[str, SellerTerms] = {}
    freight: dict[str, Freight] = {}
    for row in tx.execute(_MARKET.where(tx.among(offer.c.sku, skus))).all():
        values: tuple[Any, ...] = tuple(row)
        found = offers[row.sku] = Offer(*values[:-2])
        if found.seller_id not in terms:
            terms[found.seller_id] = _terms.decode(row.terms)
            if row.body is not None:
                freight[found.seller_id] = _freight.decode(row.body)
    return offers, terms, freight


def on_sale(tx: UnitOfWork, skus: list[str]) -> set[str]:
    """Those of `skus` that are on sale now, by shops that may sell."""
    return set(tx.execute(_ON_SALE.where(tx.among(offer.c.sku, skus))).scalars())


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

_ON_SALE = (
    sa.select(offer.c.sku).join(seller, seller.c.seller_id == offer.c.seller_id).where(offer.c.listed, seller.c.active)
)
_MARKET = (
    sa.select(*(offer.c[field.name] for field in dataclasses.fields(Offer)), seller.c.terms, freight_template.c.body)
    .join(seller, seller.c.seller_id == offer.c.seller_id)
    .outerjoin(freight_template, freight_template.c.seller_id == offer.c.seller_id)
    .where(offer.c.listed, seller.c.active)
)
