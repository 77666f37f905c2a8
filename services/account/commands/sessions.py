"""Signing in and out.

A sign-in is two transactions around the slow password check, which holds none: the first counts the try, the
second opens the session and takes the count back. Whoever dies in between, or sends a hundred tries at once,
has been counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.account import keyring
from services.account.commands import signing
from services.account.domain import sessions as domain
from services.account.store import people, sessions, shops
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import Principal, issue


@dataclass(frozen=True)
class Try:
    """A counted try to prove a password. `wait_seconds` > 0: it must not even be looked at."""

    account_id: str | None
    password_hash: str | None
    account_key: str
    network_key: str
    wait_seconds: int


@dataclass(frozen=True)
class Tokens:
    """What a client gets."""

    principal: Principal
    access_token: str
    refresh_token: str
    expires_in: int = domain.ACCESS_SECONDS
    token_type: str = "Bearer"  # noqa: S105


def begin_login(tx: UnitOfWork, email: str, network: str) -> Try:
    """Count the try. An unknown address is counted, answered and timed like a known one."""
    hashes = keyring.lookups(tx.settings.secrets, "email", email)
    found = people.credential_by_email(tx, hashes)
    account_id, password_hash = (found.account_id, found.password_hash) if found else (None, None)
    return _count(tx, hashes[0], network, account_id, password_hash)


def begin_password_change(tx: UnitOfWork, account_id: str, network: str) -> Try:
    """Count the try to prove the present password."""
    email_hash = people.email_hash_of(tx, account_id) or ""
    return _count(tx, email_hash, network, account_id, people.password_hash_of(tx, account_id))


def finish_login(tx: UnitOfWork, one: Try) -> Tokens:
    """The password was right. Raises WrongCredentials when it was changed while we looked."""
    account_id = _still_right(tx, one)
    return _open(tx, account_id)


def finish_password_change(tx: UnitOfWork, one: Try, password_hash: str, session_id: str) -> None:
    """Set the new password and end the account's other sessions: one of them may be why it is changed."""
    account_id = _still_right(tx, one)
    people.set_password_hash(tx, account_id, password_hash)
    living = sessions.lock_living(tx, account_id, clock.machine_now())
    _revoke(tx, account_id, [other for other in living if other != session_id])
    people.note(tx, account_id, "change password", account_id, "done")


def refresh(tx: UnitOfWork, token: str) -> Tokens | str:
    """New tokens for a refresh token; the old one is used up.

    Answers the session's id instead when the token was used before: the session is ended by this transaction,
    so the caller commits first and refuses then. Raises RefreshTokenInvalid.
    """
    now = clock.machine_now()
    token_hash = keyring.refresh_hash(token)
    row = sessions.find_refresh_token(tx, token_hash)
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        raise domain.RefreshTokenInvalid()
    if row.used_at is not None:
        _revoke(tx, row.account_id, [row.session_id])
        return str(row.session_id)
    sessions.use_refresh_token(tx, token_hash, row.session_id, now)
    return _tokens(tx, row.account_id, row.session_id)


def end_session(tx: UnitOfWork, account_id: str, session_id: str) -> None:
    """Sign out. Raises NoSuchSession when it is not a living one of this account's."""
    if session_id not in sessions.lock_living(tx, account_id, clock.machine_now()):
        raise domain.NoSuchSession()
    _revoke(tx, account_id, [session_id])


def _count(tx: UnitOfWork, email_hash: str, network: str, account_id: str | None, password_hash: str | None) -> Try:
    now = clock.machine_now()
    network_key = keyring.lookup(tx.settings.secrets[0], "network", keyring.network(network))
    tries = sessions.count_tries(tx, [email_hash, network_key], now)
    wait = max(one.wait_seconds(now) for one in tries)
    return Try(account_id, password_hash, email_hash, network_key, wait)


def _still_right(tx: UnitOfWork, one: Try) -> str:
    if one.account_id is None or people.password_hash_of(tx, one.account_id) != one.password_hash:
        raise domain.WrongCredentials()
    sessions.forget_tries(tx, one.account_key, one.network_key, clock.machine_now())
    return one.account_id


def _open(tx: UnitOfWork, account_id: str) -> Tokens:
    session_id = new_id()
    sessions.open_session(tx, session_id, account_id, clock.machine_now())
    return _tokens(tx, account_id, session_id)


def _tokens(tx: UnitOfWork, account_id: str, session_id: str) -> Tokens:
    """Roles are those of this moment: a shop that was approved since the last token counts from now on."""
    token, token_hash = keyring.refresh_token()
    sessions.add_refresh_token(tx, token_hash, session_id)
    roles = set(people.accounts.get(tx, account_id).roles)
    seller_id = shops.sells_for(tx, account_id)
    if seller_id:
        roles.add("seller")
    principal = Principal(account_id, frozenset(roles), session_id, seller_id)
    access = issue(signing.current_key(tx), principal, lives_seconds=domain.ACCESS_SECONDS)
    return Tokens(principal, access, token)


def _revoke(tx: UnitOfWork, account_id: str, session_ids: list[str]) -> None:
    now = clock.machine_now()
    facts = [domain.revoked(account_id, session_id, now) for session_id in session_ids]
    if facts:
        sessions.revoke(tx, session_ids, now, facts[0].expires_at)
        tx.emit(*facts)
