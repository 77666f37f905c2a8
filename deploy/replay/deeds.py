"""What people did, done again from what was told of it. Requests are in no log, but the facts they led to are.

One function a fact that a service says when it is asked to do something: ``deed(tx, facts)``, with all facts that one
request led to, first the one that names the deed. A service whose deeds are not here is replayed on a base instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from services.order import store
from services.order.domain.group import Line, Order, OrderGroup, Wisher
from services.order.domain.pricing import Offer, SellerTerms
from shared.contracts import order as told
from shared.contracts.event import Fact, Sealed
from shared.kernel.errors import TooEarly
from shared.storage.unit_of_work import UnitOfWork

Deed = Callable[[UnitOfWork, Sequence[Any]], None]


def place(tx: UnitOfWork, placed: Sequence[told.OrderPlaced]) -> None:
    """The group as it was placed. Weights and the shops' wishes come from what catalog and account had said; the
    sealed address is told later, if at all."""
    first = placed[0]
    placed = [one for one in placed if isinstance(one, told.OrderPlaced)]
    offers, terms, _ = store.market(tx, [line.sku for one in placed for line in one.lines])
    group = OrderGroup(
        group_no=first.group_no, buyer_id=first.buyer_id, currency=first.currency, payment_method=first.payment_method,
        stock_policy=first.stock_policy, channel=first.channel, region=first.region, delivery=Sealed(""),
        placed_at=first.placed_at, orders=[_order(one, offers, terms) for one in placed],
    )  # fmt: skip
    store.groups.add(tx, group)
    tx.emit(*group.place(first.placed_at))


def _order(one: told.OrderPlaced, offers: dict[str, Offer], terms: dict[str, SellerTerms]) -> Order:
    if one.seller_id not in terms or any(line.sku not in offers for line in one.lines):
        raise TooEarly(f"nobody has said yet what {one.seller_id} sells")
    shop = terms[one.seller_id]
    over = shop.review_over is not None and one.payable > shop.review_over
    reasons: list[told.ReviewReason] = ["seller_audit"] if shop.review_orders else []
    return Order(
        order_no=one.order_no, index=one.index, seller_id=one.seller_id, goods_amount=one.goods_amount,
        discount=one.discount, freight=one.freight, payable=one.payable, placed_at=one.placed_at,
        review_reasons=[*reasons, "amount_over_limit"] if over else reasons, auto_approve=shop.auto_approve,
        lines=[
            Line(
                line_id=line.line_id, product_id=line.product_id, sku=line.sku, title=line.title, qty=line.qty,
                unit_price=line.unit_price, discount=line.discount, amount=line.amount,
                weight_g=offers[line.sku].weight_g,
            )
            for line in one.lines
        ],
    )  # fmt: skip


def cancel(tx: UnitOfWork, facts: Sequence[told.OrderCancellationRequested]) -> None:
    one = facts[0]
    group = store.heard_of(tx, one.group_no)
    tx.emit(*group.cancel(one.order_no, cast(Wisher, one.by), one.reason, tx.now()))


def end(tx: UnitOfWork, facts: Sequence[told.OrderCancelled]) -> None:
    """Cancelled at once, because nobody had been told to pay or to send; or refused after a look at it."""
    one = facts[0]
    group = store.heard_of(tx, one.group_no)
    if one.reason == "review_rejected":
        tx.emit(*group.reject(one.order_no, "seller", tx.now()))
    else:
        tx.emit(*group.cancel(one.order_no, cast(Wisher, one.reason), "changed_mind", tx.now()))


def approve(tx: UnitOfWork, facts: Sequence[told.OrderConfirmed]) -> None:
    one = facts[0]
    tx.emit(*store.heard_of(tx, one.group_no).approve(one.order_no, one.reviewed_by or "", tx.now()))


def adjust_price(tx: UnitOfWork, facts: Sequence[told.OrderPriceAdjusted]) -> None:
    one = facts[0]
    group = store.heard_of(tx, one.group_no)
    tx.emit(*group.adjust_price(one.order_no, one.new_payable, one.by, one.reason, tx.now()))


def change_address(tx: UnitOfWork, facts: Sequence[told.OrderAddressChanged]) -> None:
    one = facts[0]
    group = store.heard_of(tx, one.group_no)
    freight = group.order(one.order_no).freight + one.freight_delta
    tx.emit(*group.change_address(one.order_no, one.delivery, one.region, freight, tx.now()))


def confirm_receipt(tx: UnitOfWork, facts: Sequence[told.ReceiptConfirmed]) -> None:
    one = facts[0]
    tx.emit(*store.heard_of(tx, one.group_no).confirm_receipt(one.order_no, tx.now()))


def extend_receipt(tx: UnitOfWork, facts: Sequence[told.ReceiptExtended]) -> None:
    one = facts[0]
    tx.emit(*store.heard_of(tx, one.group_no).extend_receipt(one.order_no, tx.now()))


DEEDS: Mapping[str, Mapping[type[Fact], Deed]] = {
    "order": {
        told.OrderPlaced: place,
        told.OrderCancellationRequested: cancel,
        told.OrderCancelled: end,
        told.OrderConfirmed: approve,
        told.OrderPriceAdjusted: adjust_price,
        told.OrderAddressChanged: change_address,
        told.ReceiptConfirmed: confirm_receipt,
        told.ReceiptExtended: extend_receipt,
    },
}
