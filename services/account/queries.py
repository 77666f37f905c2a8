"""What can be looked up. Everything is found by its owner's id, so nobody sees somebody else's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.account.domain.people import Account
from services.account.domain.shops import PLANS, SELLS, NoSuchShop, Shop
from services.account.store.people import accounts
from services.account.store.shops import shops
from services.account.store.tables import address, session, shop
from shared.kernel import clock
from shared.web.auth import Principal
from shared.web.door import Reading


def account_view(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id, "roles": account.roles, "locale": account.locale,
        "version": account.version,
    }  # fmt: skip


def me(reading: Reading, who: Principal) -> dict[str, Any]:
    """The caller's own account, opened."""
    return me_view(reading, accounts.peek(reading.connection, who.account_id))


def me_view(reading: Any, account: Account) -> dict[str, Any]:
    """`reading` may be a transaction too."""
    vault = reading.vault
    own = reading.execute(
        sa.select(shop.c.seller_id, shop.c.state)
        .where(shop.c.account_id == account.account_id)
        .order_by(shop.c.seller_id.desc())
        .limit(1)
    ).one_or_none()
    sells = own is not None and own.state in SELLS
    return account_view(account) | {
        "roles": [*account.roles, *(["seller"] if sells else [])],
        "name": vault.open(account.full_name, "full_name"),
        "email": vault.open(account.email, "email"),
        "phone": vault.open(account.phone, "phone") if account.phone else None,
        "consents": account.consents,
        "created_at": account.created_at,
        "seller_id": own.seller_id if own else None,
        "shop_state": own.state if own else None,
    }


def addresses(reading: Reading, who: Principal) -> dict[str, Any]:
    """The caller's addresses, the default first."""
    columns = address.c
    rows = reading.execute(
        sa.select(address)
        .where(columns.account_id == who.account_id)
        .order_by(columns.is_default.desc(), columns.address_id)
    )
    return {"items": [_address_view(reading, row) for row in rows]}


def sessions(reading: Reading, who: Principal) -> dict[str, Any]:
    """The caller's living sessions, the newest first."""
    columns = session.c
    now: datetime = clock.machine_now()
    rows = reading.execute(
        sa.select(session)
        .where(columns.account_id == who.account_id, columns.revoked_at.is_(None), columns.expires_at > now)
        .order_by(columns.session_id.desc())
        .limit(100)
    ).mappings()
    return {"items": [dict(row) | {"current": row["session_id"] == who.session_id} for row in rows]}


def shop_profile(reading: Reading, who: Principal | None, seller_id: str) -> dict[str, Any]:
    """The shop: in full for its owner and operators; in public only once it may sell. Raises NoSuchShop."""
    found = shops.peek(reading.connection, seller_id)
    if who is not None and (who.account_id == found.account_id or who.has("operator")):
        return shop_view(found)
    if found.state not in SELLS:
        raise NoSuchShop()
    public = ("seller_id", "shop_name", "description", "currency", "created_at", "state", "version")
    view = shop_view(found)
    return {name: view[name] for name in public}


def shop_view(found: Shop) -> dict[str, Any]:
    fees = PLANS[found.plan]
    return vars(found) | {"commission_bp": fees.commission_bp, "holdback_bp": fees.holdback_bp}


def list_shops(reading: Reading, state: str | None, after: str | None, limit: int) -> list[dict[str, Any]]:
    """`limit` + 1 shops by id, the oldest first."""
    statement = sa.select(shop.c.body).order_by(shop.c.seller_id).limit(limit + 1)
    if state:
        statement = statement.where(shop.c.state == state)
    if after:
        statement = statement.where(shop.c.seller_id > after)
    return [shop_view(shops.decode(body)) for body in reading.execute(statement).scalars()]


def _address_view(reading: Reading, row: Any) -> dict[str, Any]:
    opened: dict[str, Any] = reading.vault.open(row.sealed, "address")
    return opened | {"address_id": row.address_id, "is_default": row.is_default, "version": row.version}
