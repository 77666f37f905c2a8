"""What buyers said, and what they may still say."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.catalog.domain.product import NoSuchProduct
from services.catalog.queries.products import may_see, rating_view
from services.catalog.store.products import products
from services.catalog.store.reviews import purchases
from services.catalog.store.tables import purchase, rating, review
from shared.web.auth import Principal
from shared.web.door import Reading, page


def reviews_of(
    reading: Reading, who: Principal | None, product_id: str, after: str | None, limit: int
) -> dict[str, Any]:
    """A page of reviews, the newest first. Who wrote them is not told. Raises NoSuchProduct."""
    found = products.peek(reading.connection, product_id)
    if found.state != "LISTED" and not may_see(who, found):
        raise NoSuchProduct()
    statement = (
        sa.select(review).where(review.c.product_id == product_id).order_by(review.c.review_id.desc()).limit(limit + 1)
    )
    if after:
        statement = statement.where(review.c.review_id < after)
    rows = [dict(row) for row in reading.execute(statement).mappings()]
    counted = reading.execute(
        sa.select(rating.c.count, rating.c.stars).where(rating.c.product_id == product_id)
    ).one_or_none()
    return page(rows, limit, lambda row: str(row["review_id"])) | {"rating": rating_view(*(counted or (0, 0)))}


def open_purchases(reading: Reading, who: Principal) -> dict[str, Any]:
    """The lines the caller may review now."""
    bodies = reading.execute(
        sa.select(purchase.c.body)
        .where(purchase.c.buyer_id == who.account_id)
        .order_by(purchase.c.key.desc())
        .limit(500)
    ).scalars()
    now = reading.now()
    found = [one for one in map(purchases.decode, bodies) if one.review_id is None and one.review_until >= now]
    return {"items": [vars(one) for one in found]}
