"""Purchases that may be reviewed, reviews, and ratings."""

from __future__ import annotations

from typing import Any

from services.catalog.domain.review import NoSuchPurchase, Purchase
from services.catalog.store.tables import purchase, rating, review
from shared.storage.repository import Repository
from shared.storage.unit_of_work import UnitOfWork

purchases = Repository(
    purchase, Purchase, key=lambda p: p.key, columns=lambda p: {"buyer_id": p.buyer_id}, missing=NoSuchPurchase
)


def add_review(tx: UnitOfWork, row: dict[str, Any]) -> None:
    """Keep the review and count its stars."""
    tx.execute(review.insert().values(row))
    tx.execute(
        tx.insert(rating)
        .values(product_id=row["product_id"], count=1, stars=row["stars"])
        .on_conflict_do_update(
            index_elements=[rating.c.product_id],
            set_={"count": rating.c.count + 1, "stars": rating.c.stars + row["stars"]},
        )
    )
