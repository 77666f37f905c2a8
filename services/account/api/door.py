"""The door itself, and how a password is proved at it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from flask import request

from services.account import passwords
from services.account.commands.sessions import Try
from services.account.domain.sessions import TooManyTries, WrongCredentials
from shared.storage.unit_of_work import Node
from shared.web.auth import Principal
from shared.web.door import Door, note_denial, note_stranger

door = Door("account", __name__, description="People, sessions, delivery addresses and shops")


def prove(node: Node, who: Principal | None, action: str, one: Try, password: str, then: Callable[[], Any]) -> Any:
    """Answer `then()` when the counted try's password is right. Holds no transaction.

    Raises TooManyTries, WrongCredentials; both leave a row in the audit trail.
    """
    thing = one.account_id or f"unknown {one.account_key[:16]}"
    if one.wait_seconds:
        note_stranger(node, action, TooManyTries.code)  # of whose account, the tries before it say
        raise TooManyTries(retry_after=one.wait_seconds)
    if not passwords.matches(one.password_hash, password):
        note_denial(node, who, action, thing, WrongCredentials.code)
        raise WrongCredentials()
    return then()


def caller_network() -> str:
    """The address the caller comes from. Only a proxy of our own, on a private address, is believed about
    others; it appends the address it saw, so what a client wrote there itself stands further left and is
    not read."""
    peer = request.remote_addr or ""
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    if told and (not peer or _is_private(peer)):
        return told
    return peer


def _is_private(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_private
    except ValueError:
        return False
