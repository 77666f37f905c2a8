"""Reviewing what one bought."""

from __future__ import annotations

from services.catalog.domain.review import Purchase
from services.catalog.store import reviews as store
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork


def post_review(
    tx: UnitOfWork, buyer_id: str, *, order_no: str, line_id: str, stars: int, text: str
) -> dict[str, object]:
    """Raises NoSuchPurchase, AlreadyReviewed, ReviewWindowClosed."""
    purchase = store.purchases.get(tx, Purchase.key_of(order_no, line_id))  # its lock lets one review through
    review_id = new_id()
    fact = purchase.review(buyer_id, review_id, stars, tx.now())
    row = {
        "review_id": review_id, "product_id": purchase.product_id, "buyer_id": buyer_id, "order_no": order_no,
        "line_id": line_id, "sku": purchase.sku, "stars": stars, "text": text, "posted_at": tx.now(),
    }  # fmt: skip
    store.add_review(tx, row)
    tx.emit(fact)
    return row
