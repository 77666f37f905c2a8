"""What an order costs. One calculation, at quoting; what it froze is what is placed, paid and refunded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.order.domain.order import Line
from shared.contracts.event import Sealed
from shared.contracts.lines import PlacedMethod, StockPolicy
from shared.contracts.order import ReviewReason
from shared.contracts.shipping import FreightRule
from shared.kernel.errors import Invalid


class NoFreightThere(Invalid):
    """This shop does not send to that region."""


class CurrenciesMixed(Invalid):
    """Goods of different currencies cannot share one order."""


@dataclass(frozen=True)
class Offer:
    """A SKU on sale, as catalog last told it. `price` in minor units; `weight_g` of one unit."""

    sku: str
    product_id: str
    seller_id: str
    title: str
    price: int
    currency: str
    weight_g: int
    return_terms: str


@dataclass
class SellerTerms:
    """A shop's terms, as account last told them."""

    seller_id: str
    shop_name: str
    review_orders: bool
    review_over: int | None
    auto_approve: bool
    cod_allowed: bool


@dataclass
class Freight:
    """A shop's freight template, as shipping last told it. Without one, freight is free."""

    seller_id: str
    rules: tuple[FreightRule, ...]
    free_over: int | None = None


@dataclass
class QuotedOrder:
    """One seller's part: payable = goods_amount - discount + freight."""

    seller_id: str
    shop_name: str
    lines: list[Line]
    goods_amount: int
    discount: int
    freight: int
    payable: int
    days_min: int
    days_max: int
    return_terms: dict[str, str]
    review_reasons: list[ReviewReason]
    auto_approve: bool


@dataclass
class Quote:
    """A promise of prices for ten minutes, to one buyer, for one use."""

    quote_id: str
    buyer_id: str
    currency: str
    payment_method: PlacedMethod
    stock_policy: StockPolicy
    channel: str
    region: str
    delivery: Sealed
    orders: list[QuotedOrder]
    expires_at: datetime
    used_by: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def payable(self) -> int:
        return sum(order.payable for order in self.orders)


def price_orders(
    wanted: Sequence[tuple[Offer, int]],
    terms: dict[str, SellerTerms],
    freight: dict[str, Freight],
    region: str,
) -> tuple[str, list[QuotedOrder]]:
    """Split by seller and price each part. Answers (currency, orders). Raises CurrenciesMixed, NoFreightThere."""
    currencies = {offer.currency for offer, _ in wanted}
    if len(currencies) > 1:
        raise CurrenciesMixed(field="lines")
    orders = []
    for seller_id in dict.fromkeys(offer.seller_id for offer, _ in wanted):
        mine = [(offer, qty) for offer, qty in wanted if offer.seller_id == seller_id]
        lines = [
            Line(
                line_id=str(number),
                product_id=offer.product_id,
                sku=offer.sku,
                title=offer.title,
                qty=qty,
                unit_price=offer.price,
                discount=0,
                amount=offer.price * qty,
                weight_g=offer.weight_g,
            )
            for number, (offer, qty) in enumerate(mine, 1)
        ]
        goods = sum(line.amount for line in lines)
        weight = sum(line.weight_g * line.qty for line in lines)
        fee, days_min, days_max = freight_for(freight.get(seller_id), region, weight, goods)
        seller = terms[seller_id]
        payable = goods + fee
        over = seller.review_over is not None and payable > seller.review_over
        reasons: list[ReviewReason] = ["seller_audit"] if seller.review_orders else []
        reasons += ["amount_over_limit"] if over else []
        orders.append(
            QuotedOrder(
                seller_id=seller_id,
                shop_name=seller.shop_name,
                lines=lines,
                goods_amount=goods,
                discount=0,
                freight=fee,
                payable=payable,
                days_min=days_min,
                days_max=days_max,
                return_terms={offer.sku: offer.return_terms for offer, _ in mine},
                review_reasons=reasons,
                auto_approve=seller.auto_approve,
            )
        )
    return currencies.pop(), orders


def freight_for(template: Freight | None, region: str, weight_g: int, goods_amount: int) -> tuple[int, int, int]:
    """``(fee, days_min, days_max)`` by the rule with the longest matching prefix. Raises NoFreightThere."""
    if template is None or not template.rules:
        return 0, 0, 0
    matching = [rule for rule in template.rules if covers(rule.region_prefix, region)]
    if not matching:
        raise NoFreightThere(field="delivery.region", seller_id=template.seller_id)
    rule = max(matching, key=lambda rule: len(rule.region_prefix.strip("*")))
    steps = max(0, -(-(weight_g - rule.first_weight_g) // rule.step_weight_g))
    free = template.free_over is not None and goods_amount >= template.free_over
    return (0 if free else rule.first_fee + steps * rule.step_fee), rule.days_min, rule.days_max


def covers(prefix: str, region: str) -> bool:
    """Whether a region code (``CN-ZJ``) lies under a rule's prefix (``*``, ``CN``, ``CN-ZJ``)."""
    return prefix == "*" or region == prefix or region.startswith(prefix + "-")
