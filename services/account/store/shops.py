"""Shops."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.account.domain.shops import SELLS, NoSuchShop, Shop
from services.account.store.tables import shop
from shared.storage.repository import Repository
from shared.storage.unit_of_work import UnitOfWork


def _columns(one: Shop) -> dict[str, Any]:
    live_of = None if one.state == "REJECTED" else one.account_id
    return {"account_id": one.account_id, "live_of": live_of, "state": one.state}


shops = Repository(shop, Shop, key=lambda s: s.seller_id, columns=_columns, missing=NoSuchShop)


def has_shop(tx: UnitOfWork, account_id: str) -> bool:
    """Whether the account has a shop or an application that was not rejected. The caller has locked the
    account."""
    return tx.execute(sa.select(shop.c.seller_id).where(shop.c.live_of == account_id)).first() is not None


def sells_for(tx: UnitOfWork, account_id: str) -> str | None:
    """The shop this account acts for as a seller, if any."""
    found: str | None = tx.execute(
        sa.select(shop.c.seller_id).where(shop.c.live_of == account_id, shop.c.state.in_(SELLS))
    ).scalar()
    return found
