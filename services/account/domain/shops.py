"""Shops: who may sell, and on what terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shared.contracts.account import SellerApproved, SellerSuspended
from shared.contracts.lines import StockPolicy
from shared.kernel.errors import Conflict, Invalid, NotFound, PreconditionFailed

ShopState = Literal["PENDING", "APPROVED", "REJECTED", "SUSPENDED"]
Plan = Literal["basic", "plus", "flagship"]


class NoSuchShop(NotFound):
    """There is no such shop."""


class HasShop(Conflict):
    """You have a shop, or applied for one, already."""


class WrongShopState(Conflict):
    """The shop's present state does not allow this."""


class SuspensionInPast(Invalid):
    """A suspension ends in the future, or has no end."""


@dataclass(frozen=True)
class FeePlan:
    """What the platform keeps of a sale, and what it holds back until the order is completed (1/100 %)."""

    commission_bp: int
    holdback_bp: int


PLANS: dict[Plan, FeePlan] = {
    "basic": FeePlan(commission_bp=500, holdback_bp=1_000),
    "plus": FeePlan(commission_bp=300, holdback_bp=500),
    "flagship": FeePlan(commission_bp=200, holdback_bp=0),
}

MOVES: dict[tuple[ShopState, str], ShopState] = {
    ("PENDING", "approve"): "APPROVED",
    ("PENDING", "reject"): "REJECTED",
    ("APPROVED", "suspend"): "SUSPENDED",
    ("SUSPENDED", "suspend"): "SUSPENDED",  # another reason, another end
    ("SUSPENDED", "approve"): "APPROVED",
}
SELLS: tuple[ShopState, ...] = ("APPROVED", "SUSPENDED")
"""States in which the owner acts as a seller: a suspended shop still ships what it sold."""


@dataclass
class Shop:
    """A shop. Settings and terms are told to all services with SellerApproved whenever they change."""

    seller_id: str
    account_id: str
    shop_name: str
    currency: str
    plan: Plan
    created_at: datetime
    description: str = ""
    state: ShopState = "PENDING"
    reason: str = ""
    suspended_until: datetime | None = None
    review_orders: bool = False
    auto_approve: bool = True
    stock_policy: StockPolicy = "all_or_nothing"
    review_over: int | None = None
    cod_allowed: bool = True
    version: int = 1

    def approve(self, plan: Plan | None = None) -> SellerApproved:
        """Let the shop sell, or sell again. Raises WrongShopState."""
        self._move("approve")
        self.reason, self.suspended_until = "", None
        self.plan = plan or self.plan
        return self.terms()

    def reject(self, reason: str) -> None:
        """Refuse the application; its owner may apply again. Raises WrongShopState."""
        self._move("reject")
        self.reason = reason

    def suspend(self, reason: str, until: datetime | None, now: datetime) -> SellerSuspended:
        """Stop the shop from selling, for good or until the given time. Raises WrongShopState,
        SuspensionInPast."""
        if until is not None and until <= now:
            raise SuspensionInPast(field="until")
        self._move("suspend")
        self.reason, self.suspended_until = reason, until
        return SellerSuspended(seller_id=self.seller_id, account_id=self.account_id, reason=reason, until=until)

    def change(self, expected: int | None, settings: dict[str, Any]) -> list[SellerApproved]:
        """Set the given settings. While suspended nothing is said: SellerApproved would lift the suspension.

        Raises PreconditionFailed when the shop is not at version `expected`, WrongShopState once rejected.
        """
        if expected not in (None, self.version):
            raise PreconditionFailed()
        if self.state == "REJECTED":
            raise WrongShopState()
        if all(getattr(self, name) == value for name, value in settings.items()):
            return []
        for name, value in settings.items():
            setattr(self, name, value)
        self.version += 1
        return [self.terms()] if self.state == "APPROVED" else []

    def terms(self) -> SellerApproved:
        """The terms as all services are told them."""
        fees = PLANS[self.plan]
        return SellerApproved(
            seller_id=self.seller_id, account_id=self.account_id, shop_name=self.shop_name,
            commission_bp=fees.commission_bp, holdback_bp=fees.holdback_bp, currency=self.currency,
            review_orders=self.review_orders, auto_approve=self.auto_approve, stock_policy=self.stock_policy,
            review_over=self.review_over, cod_allowed=self.cod_allowed,
        )  # fmt: skip

    def _move(self, move: str) -> None:
        found = MOVES.get((self.state, move))
        if found is None:
            raise WrongShopState(f"a {self.state.lower()} shop cannot be made to {move}")
        self.state = found
        self.version += 1
