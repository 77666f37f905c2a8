"""Reviews: only who bought a thing and has it may speak of it, once, and for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.catalog import ReviewPosted
from shared.kernel.errors import Conflict, NotFound


class NoSuchPurchase(NotFound):
    """You have received no such order line (yet)."""


class AlreadyReviewed(Conflict):
    """You have reviewed this line already."""


class ReviewWindowClosed(Conflict):
    """The time to review this line is over."""


@dataclass
class Purchase:
    """A line a buyer received: the right to one review until `review_until`."""

    order_no: str
    line_id: str
    group_no: str
    buyer_id: str
    seller_id: str
    product_id: str
    sku: str
    review_until: datetime
    review_id: str | None = None

    @staticmethod
    def key_of(order_no: str, line_id: str) -> str:
        return f"{order_no}/{line_id}"

    @property
    def key(self) -> str:
        return self.key_of(self.order_no, self.line_id)

    def review(self, buyer_id: str, review_id: str, stars: int, now: datetime) -> ReviewPosted:
        """Use the right. Raises NoSuchPurchase, AlreadyReviewed, ReviewWindowClosed."""
        if buyer_id != self.buyer_id:
            raise NoSuchPurchase()
        if self.review_id is not None:
            raise AlreadyReviewed()
        if now > self.review_until:
            raise ReviewWindowClosed()
        self.review_id = review_id
        return ReviewPosted(
            review_id=review_id, group_no=self.group_no, order_no=self.order_no, line_id=self.line_id,
            product_id=self.product_id, seller_id=self.seller_id, buyer_id=self.buyer_id, stars=stars, has_media=False,
        )  # fmt: skip
