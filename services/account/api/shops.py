"""Shops."""

from __future__ import annotations

from typing import Any

from services.account import commands, queries, schemas
from services.account.api.door import door
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import BUYER, OPERATOR, SELLER, Principal
from shared.web.door import ANYONE, Reading, expected_version, page


@door.post("/shops", who={BUYER}, body=schemas.ApplyForShop, answer=schemas.ShopView, status=201)
def post_shop(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Apply for a shop. An operator decides; your next token after that speaks for it."""
    shop = commands.shops.apply_for_shop(tx, who.account_id, body)
    return queries.shop_view(shop), {"Location": f"/v1/shops/{shop.seller_id}"}


@door.get("/shops", who={OPERATOR}, query=schemas.ShopQuery, answer=schemas.ShopList)
def get_shops(reading: Reading, who: Principal, query: dict[str, Any]) -> Any:
    """Shops and applications, the oldest first."""
    found = queries.list_shops(reading, query.get("state"), query["cursor"], query["limit"])
    return page(found, query["limit"], lambda one: str(one["seller_id"]))


@door.get("/shops/<seller_id>", who=ANYONE, answer=schemas.ShopView)
def get_shop(reading: Reading, who: Principal | None, seller_id: str) -> Any:
    """A shop's profile; its owner and operators see its settings and terms too."""
    return queries.shop_profile(reading, who, seller_id)


@door.patch("/shops/<seller_id>", who={BUYER, SELLER}, body=schemas.ChangeShop, answer=schemas.ShopView)
def patch_shop(tx: UnitOfWork, who: Principal, seller_id: str, body: dict[str, Any]) -> Any:
    """Change your shop's settings."""
    shop = commands.shops.change_shop(tx, who.account_id, seller_id, expected_version(), body)
    return queries.shop_view(shop)


@door.post("/shops/<seller_id>/approve", who={OPERATOR}, body=schemas.ApproveShop, answer=schemas.ShopView)
def post_approval(tx: UnitOfWork, who: Principal, seller_id: str, body: dict[str, Any]) -> Any:
    """Let the shop sell, or lift its suspension; `plan` sets other fees."""
    return queries.shop_view(commands.shops.approve_shop(tx, who.account_id, seller_id, body["plan"]))


@door.post("/shops/<seller_id>/reject", who={OPERATOR}, body=schemas.RejectShop, answer=schemas.ShopView)
def post_rejection(tx: UnitOfWork, who: Principal, seller_id: str, body: dict[str, Any]) -> Any:
    """Refuse the application."""
    return queries.shop_view(commands.shops.reject_shop(tx, who.account_id, seller_id, body["reason"]))


@door.post("/shops/<seller_id>/suspend", who={OPERATOR}, body=schemas.SuspendShop, answer=schemas.ShopView)
def post_suspension(tx: UnitOfWork, who: Principal, seller_id: str, body: dict[str, Any]) -> Any:
    """Stop the shop from selling, for good or until the given time."""
    shop = commands.shops.suspend_shop(tx, who.account_id, seller_id, body["reason"], body["until"])
    return queries.shop_view(shop)
