"""Facts of the catalogue: products, their offers and prices, and what buyers say of them."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from shared.contracts.event import Fact
from shared.contracts.lines import Amount, Count, Currency, Moment, Ordinal

ReturnTerms = Literal["no_reason_7d", "excluded_by_law", "excluded_if_confirmed"]
"""The last: no return without a reason only if the buyer agreed to that for this very purchase."""


@dataclass(frozen=True, kw_only=True)
class SkuOffer:
    sku: str
    price: Amount
    attributes: dict[str, str] = field(default_factory=dict)
    weight_g: Count = 0


class ProductSubmitted(Fact, about="product/product_id", key="product_id"):
    """A seller handed a product in for review. Its stock may be put in from now on."""

    product_id: str
    seller_id: str
    title: str
    currency: Currency
    skus: tuple[SkuOffer, ...]


class ProductReviewed(Fact, about="product/product_id", key="product_id"):
    """The platform judged a product. The seller is told."""

    product_id: str
    seller_id: str
    title: str
    decision: Literal["approved", "rejected", "banned"]
    by: str
    reasons: tuple[str, ...] = ()


class ProductListed(Fact, about="product/product_id", key="product_id"):
    """A product is on sale with this offer; it can be quoted and ordered."""

    product_id: str
    seller_id: str
    title: str
    titles: dict[str, str]
    """By locale."""
    category: str
    tax_class: str
    currency: Currency
    skus: tuple[SkuOffer, ...]
    listed_at: Moment
    return_terms: ReturnTerms = "no_reason_7d"


class ProductUpdated(Fact, about="product/product_id", key="product_id"):
    """The offer changed; this is the whole new one. Whether it is on sale did not change."""

    product_id: str
    product_version: Ordinal
    seller_id: str
    title: str
    titles: dict[str, str]
    category: str
    tax_class: str
    currency: Currency
    skus: tuple[SkuOffer, ...]
    listed: bool
    changed: tuple[str, ...] = ()
    return_terms: ReturnTerms = "no_reason_7d"


class ProductDelisted(Fact, about="product/product_id", key="product_id"):
    """A product is off sale. It is refused at placement, even where it was quoted before."""

    product_id: str
    seller_id: str
    reason: Literal["seller", "operator", "banned", "seller_suspended"]
    skus: tuple[str, ...] = ()


class PriceChanged(Fact, about="product/product_id", key="product_id"):
    """A SKU has another price from `from_at` on. Quotes already given keep theirs."""

    product_id: str
    seller_id: str
    sku: str
    old: Amount
    new: Amount
    currency: Currency
    from_at: Moment


class ReviewPosted(Fact, about="review/review_id", key="group_no"):
    """A buyer reviewed a line they received. The order marks the line as reviewed."""

    review_id: str
    group_no: str
    order_no: str
    line_id: str
    product_id: str
    seller_id: str
    buyer_id: str
    stars: Annotated[int, Meta(ge=1, le=5)]
    has_media: bool
