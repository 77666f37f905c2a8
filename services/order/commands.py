"""What people ask of us: a quote, an order, and what may be done with it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Container, Iterable
from datetime import datetime
from typing import Any

from services.order import store
from services.order.domain import policy, pricing
from services.order.domain.group import Order, OrderGroup, Wisher
from services.order.domain.pricing import Quote
from shared.kernel.errors import Conflict, Invalid, PreconditionFailed
from shared.kernel.ids import group_number, new_id
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import OPERATOR, Principal


class NotOnSale(Invalid):
    """Some of these goods are not on sale (now, or here)."""


class QuoteExpired(Conflict):
    """The quote's ten minutes are over; ask for a new one."""


class QuoteUsed(Conflict):
    """An order was already placed with this quote."""


class QuoteForged(Invalid):
    """This is not a quote token of ours."""


class AmountChanged(Conflict):
    """The total is not the one you saw; look at the quote again."""


class NoCashOnDelivery(Invalid):
    """One of the shops does not take cash on delivery."""


def quote(tx: UnitOfWork, who: Principal, wish: dict[str, Any]) -> Quote:
    """Price what is wished for, and promise that price for ten minutes.

    Raises NotOnSale (naming the SKUs), CurrenciesMixed, NoFreightThere, NoCashOnDelivery.
    """
    quantities: dict[str, int] = {}
    for line in wish["lines"]:
        quantities[line["sku"]] = quantities.get(line["sku"], 0) + line["qty"]
    too_many = [sku for sku, qty in quantities.items() if qty > policy.MAX_QTY]
    if too_many:
        raise Invalid(f"at most {policy.MAX_QTY} of a SKU", field="lines", skus=too_many)
    offers, terms, freight = store.market(tx, list(quantities))
    _all_on_sale(quantities, offers)
    if wish["payment_method"] == "cod" and not all(one.cod_allowed for one in terms.values()):
        raise NoCashOnDelivery(field="payment_method")
    address = wish["delivery"]
    wanted = [(offers[sku], qty) for sku, qty in quantities.items()]
    currency, orders = pricing.price_orders(wanted, terms, freight, address["region"])
    store.plan_sweep(tx)
    return store.quotes.add(
        tx,
        Quote(
            quote_id=new_id(),
            buyer_id=who.account_id,
            currency=currency,
            payment_method=wish["payment_method"],
            stock_policy=wish["stock_policy"],
            channel=wish["channel"],
            region=address["region"],
            delivery=tx.vault.seal(who.account_id, "delivery", address),
            orders=orders,
            expires_at=tx.now() + policy.QUOTE_LIVES,
        ),
    )


def place_order(tx: UnitOfWork, who: Principal, quote_token: str, expected_amount: int | None = None) -> OrderGroup:
    """Turn a quote into a group of orders.

    Raises QuoteForged, NoSuchQuote (foreign too), QuoteExpired, QuoteUsed, AmountChanged, NotOnSale.
    """
    promised = store.quotes.get(tx, _read_token(tx, quote_token))
    now = tx.now()
    if promised.buyer_id != who.account_id:
        raise store.NoSuchQuote()
    if promised.used_by:
        raise QuoteUsed(group_no=promised.used_by)
    if now >= promised.expires_at:
        raise QuoteExpired()
    if expected_amount is not None and expected_amount != promised.payable:
        raise AmountChanged(field="expected_amount", payable=promised.payable)
    skus = [line.sku for order in promised.orders for line in order.lines]
    _all_on_sale(skus, store.on_sale(tx, skus))
    group = _group_of(promised, now)
    promised.used_by = group.group_no
    store.groups.add(tx, group)
    tx.emit(*group.place(now))
    return group


def cancel(
    tx: UnitOfWork, who: Principal, order_no: str, reason: str, version: int | None = None
) -> tuple[OrderGroup, Order]:
    """The buyer, the shop or an operator wants out. Raises NoSuchOrder, PreconditionFailed, ActionNotPossible."""
    group, order = _own(tx, who, order_no, version)
    tx.emit(*group.cancel(order_no, _role(who, group), reason, tx.now()))
    return group, order


def adjust_price(
    tx: UnitOfWork, who: Principal, order_no: str, payable: int, reason: str, version: int | None = None
) -> tuple[OrderGroup, Order]:
    """The shop lowers what an unpaid order costs (minor units), or takes that back.

    Raises NoSuchOrder, PreconditionFailed, ActionNotPossible, AttemptInFlight, PriceOutOfRange.
    """
    group, order = _own_shop(tx, who, order_no, version)
    tx.emit(*group.adjust_price(order_no, payable, _role(who, group), reason, tx.now()))
    return group, order


def change_address(
    tx: UnitOfWork, who: Principal, order_no: str, delivery: dict[str, Any], version: int | None = None
) -> tuple[OrderGroup, Order]:
    """An unpaid order goes elsewhere; its freight is reckoned anew, by the shop's terms of today.

    Raises NoSuchOrder, PreconditionFailed, ActionNotPossible, AttemptInFlight, NoFreightThere.
    """
    group, order = _own(tx, who, order_no, version, buyer_only=True)
    template = store.freight_of(tx, order.seller_id)
    weight = sum(line.weight_g * line.qty for line in order.lines)
    fee, _, _ = pricing.freight_for(template, delivery["region"], weight, order.goods_amount)
    sealed = tx.vault.seal(group.buyer_id, "delivery", delivery)
    tx.emit(*group.change_address(order_no, sealed, delivery["region"], fee, tx.now()))
    return group, order


def confirm_receipt(
    tx: UnitOfWork, who: Principal, order_no: str, version: int | None = None
) -> tuple[OrderGroup, Order]:
    """The buyer has the goods. Raises NoSuchOrder, PreconditionFailed, ActionNotPossible."""
    group, order = _own(tx, who, order_no, version, buyer_only=True)
    tx.emit(*group.confirm_receipt(order_no, tx.now()))
    return group, order


def extend_receipt(
    tx: UnitOfWork, who: Principal, order_no: str, version: int | None = None
) -> tuple[OrderGroup, Order]:
    """Five more days, once. Raises NoSuchOrder, PreconditionFailed, ActionNotPossible, ReceiptAlreadyExtended."""
    group, order = _own(tx, who, order_no, version, buyer_only=True)
    tx.emit(*group.extend_receipt(order_no, tx.now()))
    return group, order


def approve(tx: UnitOfWork, who: Principal, order_no: str, version: int | None = None) -> tuple[OrderGroup, Order]:
    """The shop or an operator lets a held order go on. Raises NoSuchOrder, PreconditionFailed, ActionNotPossible."""
    group, order = _own_shop(tx, who, order_no, version)
    tx.emit(*group.approve(order_no, who.account_id, tx.now()))
    return group, order


def reject(tx: UnitOfWork, who: Principal, order_no: str, version: int | None = None) -> tuple[OrderGroup, Order]:
    """The shop or an operator refuses a held order. Raises NoSuchOrder, PreconditionFailed, ActionNotPossible."""
    group, order = _own_shop(tx, who, order_no, version)
    tx.emit(*group.reject(order_no, _role(who, group), tx.now()))
    return group, order


def token_of(tx: UnitOfWork, quote_id: str) -> str:
    """The quote's token: its id and an HMAC under the deployment's secret."""
    return f"{quote_id}.{_mac(tx.settings.secrets[0], quote_id)}"


def _read_token(tx: UnitOfWork, token: str) -> str:
    quote_id, _, mac = token.partition(".")
    macs = [_mac(secret, quote_id).encode() for secret in tx.settings.secrets]
    if not any(hmac.compare_digest(mac.encode(), one) for one in macs):
        raise QuoteForged(field="quote_token")
    return quote_id


def _mac(secret: str, quote_id: str) -> str:
    return hmac.new(secret.encode(), f"quote:{quote_id}".encode(), hashlib.sha256).hexdigest()[:32]


def _all_on_sale(skus: Iterable[str], found: Container[str]) -> None:
    missing = sorted({sku for sku in skus if sku not in found})
    if missing:
        raise NotOnSale(field="lines", skus=missing)


def _group_of(promised: Quote, now: datetime) -> OrderGroup:
    number = group_number()
    return OrderGroup(
        group_no=number,
        buyer_id=promised.buyer_id,
        currency=promised.currency,
        payment_method=promised.payment_method,
        stock_policy=promised.stock_policy,
        channel=promised.channel,
        region=promised.region,
        delivery=promised.delivery,
        placed_at=now,
        orders=[
            Order(
                order_no=f"{number}-{index}",
                index=index,
                seller_id=part.seller_id,
                lines=part.lines,
                goods_amount=part.goods_amount,
                discount=part.discount,
                freight=part.freight,
                payable=part.payable,
                placed_at=now,
                review_reasons=part.review_reasons,
                auto_approve=part.auto_approve,
            )
            for index, part in enumerate(promised.orders, 1)
        ],
    )


def _own(
    tx: UnitOfWork, who: Principal, order_no: str, version: int | None, *, buyer_only: bool = False
) -> tuple[OrderGroup, Order]:
    """The caller's order; `version`, if given, is the one they saw."""
    group = store.groups.get(tx, store.group_number_of(order_no))
    order = store.own_order(group, who, order_no)
    if buyer_only and who.account_id != group.buyer_id:
        raise store.NoSuchOrder()
    if version not in (None, order.version):
        raise PreconditionFailed(field="If-Match", version=order.version)
    return group, order


def _own_shop(tx: UnitOfWork, who: Principal, order_no: str, version: int | None) -> tuple[OrderGroup, Order]:
    group, order = _own(tx, who, order_no, version)
    if who.seller_id != order.seller_id and not who.has(OPERATOR):
        raise store.NoSuchOrder()
    return group, order


def _role(who: Principal, group: OrderGroup) -> Wisher:
    if who.account_id == group.buyer_id:
        return "buyer"
    return "operator" if who.has(OPERATOR) else "seller"
