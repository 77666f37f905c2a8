"""Accounts and what belongs to them."""

from __future__ import annotations

from typing import Any

from services.account import commands, queries, schemas
from services.account.api.door import caller_network, door, prove
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import Principal
from shared.web.door import ANYONE, SIGNED_IN, Reading, expected_version


@door.post("/accounts", who=ANYONE, body=schemas.Register, answer=schemas.AccountView, status=201)
def post_account(tx: UnitOfWork, who: Principal | None, body: dict[str, Any]) -> Any:
    """Open a buyer's account."""
    account = commands.people.register(tx, **body)
    return queries.account_view(account), {"Location": "/v1/me"}


@door.get("/me", who=SIGNED_IN, answer=schemas.MeView)
def get_me(reading: Reading, who: Principal) -> Any:
    """Your own account."""
    return queries.me(reading, who)


@door.patch("/me", who=SIGNED_IN, body=schemas.ChangeMe, answer=schemas.MeView)
def patch_me(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Change your name, language, telephone (null removes it) or consents."""
    account = commands.people.change_me(tx, who.account_id, expected_version(), body)
    return queries.me_view(tx, account)


@door.post("/me/password", who=SIGNED_IN, body=schemas.ChangePassword, status=204, key="none")
def post_password(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Set a new password; your other sessions end."""
    node, cause = tx.node, tx.cause
    one = commands.sessions.begin_password_change(tx, who.account_id, caller_network())

    def change() -> None:
        node.run(
            lambda tx: commands.sessions.finish_password_change(tx, one, body["new_hash"], who.session_id),
            cause,
        )

    return None, {}, lambda: prove(node, who, "POST /me/password", one, body["present"], change)


@door.get("/me/addresses", who=SIGNED_IN, answer=schemas.AddressList)
def get_addresses(reading: Reading, who: Principal) -> Any:
    """Your delivery addresses, the default first."""
    return queries.addresses(reading, who)


@door.post("/me/addresses", who=SIGNED_IN, body=schemas.Address, answer=schemas.AddressRef, status=201)
def post_address(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Keep a delivery address; the first one is the default."""
    kept = commands.people.add_address(tx, who.account_id, body)
    return kept, {"Location": f"/v1/me/addresses/{kept['address_id']}"}


@door.put("/me/addresses/<address_id>", who=SIGNED_IN, body=schemas.Address, answer=schemas.AddressRef)
def put_address(tx: UnitOfWork, who: Principal, address_id: str, body: dict[str, Any]) -> Any:
    """Replace a delivery address."""
    return commands.people.replace_address(tx, who.account_id, address_id, expected_version(), body)


@door.delete("/me/addresses/<address_id>", who=SIGNED_IN, status=204)
def delete_address(tx: UnitOfWork, who: Principal, address_id: str) -> None:
    """Forget a delivery address."""
    commands.people.delete_address(tx, who.account_id, address_id)
