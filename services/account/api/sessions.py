"""Signing in, staying signed in, signing out."""

from __future__ import annotations

from typing import Any

from services.account import commands, queries, schemas
from services.account.api.door import caller_network, door, prove
from services.account.commands.sessions import Tokens
from services.account.domain.sessions import RefreshTokenReused
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import Principal
from shared.web.door import ANYONE, SIGNED_IN, Reading, note_denial


@door.post("/sessions", who=ANYONE, body=schemas.Login, answer=schemas.TokensView, status=201, key="none")
def post_session(tx: UnitOfWork, who: Principal | None, body: dict[str, Any]) -> Any:
    """Sign in. After ten failed tries of an account or from an address one has to wait (429, Retry-After)."""
    node, cause = tx.node, tx.cause
    one = commands.sessions.begin_login(tx, body["email"], caller_network())

    def sign_in() -> dict[str, Any]:
        return _show(node.run(lambda tx: commands.sessions.finish_login(tx, one), cause))

    return None, {}, lambda: prove(node, None, "POST /sessions", one, body["password"], sign_in)


@door.post("/sessions/refresh", who=ANYONE, body=schemas.Refresh, answer=schemas.TokensView, status=201, key="none")
def post_refresh(tx: UnitOfWork, who: Principal | None, body: dict[str, Any]) -> Any:
    """New tokens for a refresh token, which serves once. One that comes twice ends its session."""
    found = commands.sessions.refresh(tx, body["refresh_token"])
    if isinstance(found, Tokens):
        return _show(found)
    node, session_id = tx.node, found

    def refuse() -> None:  # after the commit that ended the session
        note_denial(node, None, "POST /sessions/refresh", session_id, RefreshTokenReused.code)
        raise RefreshTokenReused()

    return None, {}, refuse


@door.get("/sessions", who=SIGNED_IN, answer=schemas.SessionList)
def get_sessions(reading: Reading, who: Principal) -> Any:
    """Where you are signed in."""
    return queries.sessions(reading, who)


@door.delete("/sessions/current", who=SIGNED_IN, status=204)
def delete_current_session(tx: UnitOfWork, who: Principal) -> None:
    """Sign out."""
    commands.sessions.end_session(tx, who.account_id, who.session_id)


@door.delete("/sessions/<session_id>", who=SIGNED_IN, status=204)
def delete_session(tx: UnitOfWork, who: Principal, session_id: str) -> None:
    """Sign out somewhere else."""
    commands.sessions.end_session(tx, who.account_id, session_id)


def _show(tokens: Tokens) -> dict[str, Any]:
    who = tokens.principal
    return vars(tokens) | {
        "account_id": who.account_id, "session_id": who.session_id, "roles": sorted(who.roles),
        "seller_id": who.seller_id,
    }  # fmt: skip
