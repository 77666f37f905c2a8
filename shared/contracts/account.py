"""Facts of the account service: people, sellers, sessions and the keys that sign their tokens."""

from typing import Literal

from shared.contracts.event import Fact, Sealed
from shared.contracts.lines import Amount, BasisPoints, Currency, Moment, StockPolicy

Role = Literal["buyer", "seller", "operator"]


class UserRegistered(Fact, about="account/account_id", key="account_id"):
    """Somebody opened an account. Support may write to them from now on."""

    account_id: str
    roles: tuple[Role, ...]
    locale: str
    full_name: Sealed
    email: Sealed
    phone: Sealed | None = None
    consents: tuple[str, ...] = ()


class SellerApproved(Fact, about="seller/seller_id", key="seller_id"):
    """A shop may sell, on these terms; said again in full when the terms change or a suspension is lifted."""

    seller_id: str
    account_id: str
    shop_name: str
    commission_bp: BasisPoints
    review_orders: bool
    """Every paid order waits for the seller's approval."""
    auto_approve: bool
    """An order of no risk is approved by itself when its review deadline passes."""
    stock_policy: StockPolicy
    review_over: Amount | None = None
    """Orders with a larger payable wait for approval even when `review_orders` is off."""
    currency: Currency = "CNY"
    holdback_bp: BasisPoints = 0
    """Share of the net amount that stays in escrow until the order is completed."""
    cod_allowed: bool = True


class SellerSuspended(Fact, about="seller/seller_id", key="seller_id"):
    """A shop may not sell, for good or until the given time. Its offers are refused at placement."""

    seller_id: str
    account_id: str
    reason: str
    until: Moment | None = None


class SigningKeyPublished(Fact, about="signing_key/key_id", key="key_id"):
    """Access tokens may be signed with this key from now on; every service verifies them by it."""

    key_id: str
    jwk_public: dict[str, str]
    """RFC 8037: kty OKP, crv Ed25519, x, kid."""
    not_after: Moment


class SessionRevoked(Fact, about="session/session_id", key="account_id"):
    """A session ended early. Its tokens are refused; the memory of it may go after `expires_at`."""

    account_id: str
    session_id: str
    revoked_at: Moment
    expires_at: Moment
