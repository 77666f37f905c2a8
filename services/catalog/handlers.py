"""What catalog does when others have spoken: shops open and close, SKUs get stock and sell out, buyers may
review.

A batch locks the purchases it will write and keeps all stock news in one statement, the last word for each
SKU; the shops of the batch come after, one by one, as they are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.catalog.domain.review import Purchase
from services.catalog.store import others, products, reviews
from shared.contracts.account import SellerApproved, SellerSuspended
from shared.contracts.event import Fact
from shared.contracts.inventory import StockAdjusted, StockDepleted, StockReplenished
from shared.contracts.order import ReceiptConfirmed
from shared.messaging.subscriptions import Subscriptions
from shared.storage.unit_of_work import UnitOfWork

on = Subscriptions("catalog")


@on.batch
def lock(facts: Sequence[Fact], tx: UnitOfWork) -> None:
    """Three statements, whatever the batch's size."""
    stock: dict[str, dict[str, Any]] = {}
    empty: dict[str, dict[str, Any]] = {}
    keys: set[str] = set()
    for fact in facts:
        match fact:
            case StockAdjusted() if fact.available:
                stock[fact.sku] = _row(fact, sold_out=False)
            case StockAdjusted():  # more may be ordered all the same: when it may not, StockDepleted says so
                empty[fact.sku] = _row(fact, sold_out=True)
            case StockDepleted():
                stock[fact.sku] = _row(fact, sold_out=True)
            case StockReplenished():
                stock[fact.sku] = _row(fact, sold_out=False)
            case ReceiptConfirmed():
                keys |= {Purchase.key_of(fact.order_no, line.line_id) for line in fact.lines}
            case _:
                pass
    if empty:
        others.keep_stock(tx, list(empty.values()), anew=False)
    if stock:
        others.keep_stock(tx, list(stock.values()))
    if keys:
        reviews.purchases.lock(tx, sorted(keys))


@on(StockAdjusted, StockDepleted, StockReplenished)
def note_stock(event: StockAdjusted | StockDepleted | StockReplenished, tx: UnitOfWork) -> None:
    """A SKU has a stock record, and is sold out or not. Kept by `lock`, for the whole batch at once."""


@on(SellerApproved)
def admit_shop(event: SellerApproved, tx: UnitOfWork) -> None:
    """The shop may sell. What a suspension took off sale stays off until its seller lists it again."""
    others.keep_shop(tx, others.Shop(event.seller_id, event.account_id, event.shop_name, event.currency, approved=True))


@on(SellerSuspended)
def close_shop(event: SellerSuspended, tx: UnitOfWork) -> None:
    """All of the shop's goods go off sale."""
    others.suspend_shop(tx, event.seller_id)
    for product in products.listed_of(tx, event.seller_id):
        tx.emit(product.take_off_sale("seller_suspended"))


@on(ReceiptConfirmed)
def let_review(event: ReceiptConfirmed, tx: UnitOfWork) -> None:
    """The buyer has the goods and may speak of each line once."""
    for line in event.lines:
        if reviews.purchases.find(tx, Purchase.key_of(event.order_no, line.line_id)) is None:
            purchase = Purchase(
                order_no=event.order_no, line_id=line.line_id, group_no=event.group_no, buyer_id=event.buyer_id,
                seller_id=event.seller_id, product_id=line.product_id, sku=line.sku, review_until=event.review_until,
            )  # fmt: skip
            reviews.purchases.add(tx, purchase)


def _row(fact: StockAdjusted | StockDepleted | StockReplenished, *, sold_out: bool) -> dict[str, Any]:
    return {"sku": fact.sku, "seller_id": fact.seller_id, "sold_out": sold_out}
