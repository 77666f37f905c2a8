"""Reviews."""

from __future__ import annotations

from typing import Any

from services.catalog import commands, queries, schemas
from services.catalog.api.door import door
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import BUYER, Principal
from shared.web.door import ANYONE, Reading


@door.post("/reviews", who={BUYER}, body=schemas.PostReview, answer=schemas.ReviewView, status=201)
def post_review(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Review a line you received, once."""
    return commands.reviews.post_review(tx, who.account_id, **body)


@door.get("/reviews/open", who={BUYER}, answer=schemas.PurchaseList)
def get_open_reviews(reading: Reading, who: Principal) -> Any:
    """The lines you have received and may still review."""
    return queries.reviews.open_purchases(reading, who)


@door.get("/products/<product_id>/reviews", who=ANYONE, query=schemas.Page, answer=schemas.ReviewList)
def get_reviews(reading: Reading, who: Principal | None, product_id: str, query: dict[str, Any]) -> Any:
    """What buyers say of a product, the newest first."""
    return queries.reviews.reviews_of(reading, who, product_id, query["cursor"], query["limit"])
