"""Products: from a draft to the shelf and off it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shared.contracts.catalog import (
    PriceChanged,
    ProductDelisted,
    ProductListed,
    ProductReviewed,
    ProductSubmitted,
    ProductUpdated,
    ReturnTerms,
    SkuOffer,
)
from shared.contracts.event import Fact
from shared.kernel.errors import Conflict, Invalid, NotFound, PreconditionFailed

State = Literal["DRAFT", "UNDER_REVIEW", "APPROVED", "LISTED", "DELISTED", "REJECTED", "BANNED"]
Decision = Literal["approved", "rejected", "banned"]
DelistReason = Literal["seller", "operator", "banned", "seller_suspended"]


class NoSuchProduct(NotFound):
    """There is no such product, or it is not on sale."""


class WrongProductState(Conflict):
    """The product's present state does not allow this."""


class SkuTaken(Conflict):
    """This SKU code belongs to another product; codes are unique on the platform."""


class SkuRepeated(Invalid):
    """Each variant has its own SKU code."""


class UnknownSku(Invalid):
    """The product has no such SKU."""


class DelistFirst(Conflict):
    """Variants are added and removed while the product is off sale: new ones need stock first."""


class DelistedByPlatform(Conflict):
    """The platform took this product off sale; hand it in for review again."""


MOVES: dict[tuple[State, str], State] = {
    ("DRAFT", "submit"): "UNDER_REVIEW",
    ("REJECTED", "submit"): "UNDER_REVIEW",
    ("DELISTED", "submit"): "UNDER_REVIEW",
    ("UNDER_REVIEW", "approved"): "APPROVED",
    ("UNDER_REVIEW", "rejected"): "REJECTED",
    ("APPROVED", "list"): "LISTED",
    ("DELISTED", "list"): "LISTED",
    ("LISTED", "delist"): "DELISTED",
    ("DRAFT", "banned"): "BANNED",
    ("UNDER_REVIEW", "banned"): "BANNED",
    ("APPROVED", "banned"): "BANNED",
    ("LISTED", "banned"): "BANNED",
    ("DELISTED", "banned"): "BANNED",
    ("REJECTED", "banned"): "BANNED",
}
EDITABLE: tuple[State, ...] = ("DRAFT", "REJECTED", "APPROVED", "LISTED", "DELISTED")
JUDGED: tuple[State, ...] = ("APPROVED", "LISTED", "DELISTED")
"""States in which others know the product, so that a change is told."""


@dataclass
class Sku:
    """A variant. `price` in minor units of the product's currency."""

    sku: str
    price: int
    attributes: dict[str, str] = field(default_factory=dict)
    weight_g: int = 0

    def offer(self) -> SkuOffer:
        return SkuOffer(sku=self.sku, price=self.price, attributes=self.attributes, weight_g=self.weight_g)


@dataclass
class Product:
    """Texts are by locale. `hints` are what the machine noticed for the reviewer, `reasons` what the
    reviewer said."""

    product_id: str
    seller_id: str
    category: str
    titles: dict[str, str]
    currency: str
    created_at: datetime
    descriptions: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    skus: list[Sku] = field(default_factory=list)
    tax_class: str = "standard"
    return_terms: ReturnTerms = "no_reason_7d"
    state: State = "DRAFT"
    hints: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    listed_at: datetime | None = None
    """When it was last put on sale; None: never."""
    delisted_because: DelistReason | None = None
    version: int = 1

    @property
    def title(self) -> str:
        """The title in the platform's first language that it has."""
        return self.titles.get("zh-CN") or self.titles.get("en") or next(iter(self.titles.values()), "")

    def sku_codes(self) -> list[str]:
        return [one.sku for one in self.skus]

    def texts(self) -> dict[str, str]:
        """Every text a buyer reads, by field."""
        return {f"titles.{locale}": text for locale, text in self.titles.items()} | {
            f"descriptions.{locale}": text for locale, text in self.descriptions.items()
        }

    # ------------------------------------------------------------------------------------------ workflow
    def submit(self, hints: list[str]) -> ProductSubmitted:
        """Hand it in for review. Raises WrongProductState."""
        self._move("submit")
        self.hints, self.reasons = hints, []
        return ProductSubmitted(
            product_id=self.product_id, seller_id=self.seller_id, title=self.title, currency=self.currency,
            skus=self._offers(),
        )  # fmt: skip

    def review(self, decision: Decision, reasons: list[str], by: str) -> list[Fact]:
        """The platform's judgement. Raises WrongProductState."""
        was_listed = self.state == "LISTED"
        self._move(decision)
        self.reasons = reasons
        facts: list[Fact] = [
            ProductReviewed(
                product_id=self.product_id, seller_id=self.seller_id, title=self.title, decision=decision, by=by,
                reasons=tuple(reasons),
            )
        ]  # fmt: skip
        if decision == "approved":
            self.delisted_because = None
        if was_listed:
            facts.append(self._off_sale("banned"))
        return facts

    def put_on_sale(self, now: datetime) -> ProductListed:
        """Raises WrongProductState, DelistedByPlatform. Whether it is ready is asked before."""
        if self.state == "DELISTED" and self.delisted_because == "operator":
            raise DelistedByPlatform()
        self._move("list")
        self.listed_at, self.delisted_because = now, None
        return ProductListed(
            product_id=self.product_id, seller_id=self.seller_id, title=self.title, titles=self.titles,
            category=self.category, tax_class=self.tax_class, currency=self.currency, skus=self._offers(),
            listed_at=now, return_terms=self.return_terms,
        )  # fmt: skip

    def take_off_sale(self, reason: DelistReason) -> ProductDelisted:
        """Raises WrongProductState."""
        self._move("delist")
        return self._off_sale(reason)

    # ------------------------------------------------------------------------------------------- changes
    def change(self, expected: int | None, new: dict[str, Any], now: datetime) -> list[Fact]:
        """Set the given fields. What others know of the product is told to them in full.

        Raises PreconditionFailed, WrongProductState, DelistFirst.
        """
        self._may_edit(expected)
        changed = tuple(name for name, value in new.items() if getattr(self, name) != value)
        if not changed:
            return []
        old_prices = {one.sku: one.price for one in self.skus}
        if self.state == "LISTED" and "skus" in changed and {one.sku for one in new["skus"]} != old_prices.keys():
            raise DelistFirst(field="variants")
        for name in changed:
            setattr(self, name, new[name])
        self.version += 1
        if self.state not in JUDGED:
            return []
        return [*self._repriced(old_prices, now), self._updated(changed)]

    def reprice(self, expected: int | None, prices: dict[str, int], now: datetime) -> list[PriceChanged]:
        """Other prices from now on. Raises PreconditionFailed, WrongProductState."""
        self._may_edit(expected)
        old_prices = {one.sku: one.price for one in self.skus}
        for one in self.skus:
            one.price = prices.get(one.sku, one.price)
        if any(old_prices[one.sku] != one.price for one in self.skus):
            self.version += 1
        return self._repriced(old_prices, now)

    def _may_edit(self, expected: int | None) -> None:
        if expected not in (None, self.version):
            raise PreconditionFailed()
        if self.state not in EDITABLE:
            raise WrongProductState(f"the product is {self.state}")

    def _repriced(self, old: dict[str, int], now: datetime) -> list[PriceChanged]:
        if self.listed_at is None:
            return []  # nobody knows a price of it yet
        return [
            PriceChanged(
                product_id=self.product_id, seller_id=self.seller_id, sku=one.sku, old=old[one.sku], new=one.price,
                currency=self.currency, from_at=now,
            )
            for one in self.skus
            if old.get(one.sku, one.price) != one.price
        ]  # fmt: skip

    def _updated(self, changed: tuple[str, ...]) -> ProductUpdated:
        return ProductUpdated(
            product_id=self.product_id, product_version=self.version, seller_id=self.seller_id, title=self.title,
            titles=self.titles, category=self.category, tax_class=self.tax_class, currency=self.currency,
            skus=self._offers(), listed=self.state == "LISTED", changed=changed, return_terms=self.return_terms,
        )  # fmt: skip

    def _off_sale(self, reason: DelistReason) -> ProductDelisted:
        self.delisted_because = reason
        return ProductDelisted(
            product_id=self.product_id, seller_id=self.seller_id, reason=reason, skus=tuple(self.sku_codes())
        )

    def _offers(self) -> tuple[SkuOffer, ...]:
        return tuple(one.offer() for one in self.skus)

    def _move(self, move: str) -> None:
        found = MOVES.get((self.state, move))
        if found is None:
            raise WrongProductState(f"the product is {self.state}")
        self.state = found
        self.version += 1
