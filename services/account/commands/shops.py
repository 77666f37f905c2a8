"""Applying for a shop, deciding on it, setting it up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.account.domain.shops import HasShop, NoSuchShop, Plan, Shop
from services.account.store import people, shops
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork

SUSPENSION_ENDS = "suspension_ends"


def apply_for_shop(tx: UnitOfWork, account_id: str, given: dict[str, Any]) -> Shop:
    """Hand in an application. Raises HasShop."""
    people.accounts.get(tx, account_id)  # its lock lets one application in at a time
    if shops.has_shop(tx, account_id):
        raise HasShop()
    return shops.shops.add(tx, Shop(seller_id=new_id(), account_id=account_id, created_at=tx.now(), **given))


def change_shop(
    tx: UnitOfWork, account_id: str, seller_id: str, expected: int | None, settings: dict[str, Any]
) -> Shop:
    """Change the shop's settings. Raises NoSuchShop, PreconditionFailed, WrongShopState."""
    shop = shops.shops.get(tx, seller_id)
    if shop.account_id != account_id:
        raise NoSuchShop()
    tx.emit(*shop.change(expected, settings))
    return shop


def approve_shop(tx: UnitOfWork, operator_id: str, seller_id: str, plan: Plan | None) -> Shop:
    """Let the shop sell (again). Raises NoSuchShop, WrongShopState."""
    shop = shops.shops.get(tx, seller_id)
    tx.emit(shop.approve(plan))
    tx.cancel_timer(seller_id, SUSPENSION_ENDS)
    people.note(tx, operator_id, "approve shop", seller_id, "role seller granted")
    return shop


def reject_shop(tx: UnitOfWork, operator_id: str, seller_id: str, reason: str) -> Shop:
    """Refuse the application. Raises NoSuchShop, WrongShopState."""
    shop = shops.shops.get(tx, seller_id)
    shop.reject(reason)
    people.note(tx, operator_id, "reject shop", seller_id, "rejected")
    return shop


def suspend_shop(tx: UnitOfWork, operator_id: str, seller_id: str, reason: str, until: datetime | None) -> Shop:
    """Stop the shop from selling. Raises NoSuchShop, WrongShopState, SuspensionInPast."""
    shop = shops.shops.get(tx, seller_id)
    tx.emit(shop.suspend(reason, until, tx.now()))
    if until is None:
        tx.cancel_timer(seller_id, SUSPENSION_ENDS)
    else:
        tx.set_timer(seller_id, SUSPENSION_ENDS, until)
    people.note(tx, operator_id, "suspend shop", seller_id, "suspended")
    return shop


def end_suspension(tx: UnitOfWork, seller_id: str) -> None:
    """The suspension's time is over: the shop may sell again."""
    shop = shops.shops.get(tx, seller_id)
    if shop.state == "SUSPENDED":
        tx.emit(shop.approve())
        people.note(tx, "system", "approve shop", seller_id, "suspension is over")
