"""Idempotency keys, kept in the service's own store and written in the transaction of the effect (24 hours)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.kernel import clock
from shared.storage.database import Database
from shared.storage.hot import Hot
from shared.storage.types import idempotency
from shared.storage.unit_of_work import BUSINESS_TIME, UnitOfWork


class InFlight(Exception):
    """The same key is being worked on by another transaction."""


@dataclass(frozen=True)
class Stored:
    """An answer given before. `fingerprint` is of the request it answered."""

    fingerprint: str
    status: int
    headers: dict[str, str]
    body: bytes


class OnceKey:
    """One use of a key: `(principal, route, key)`."""

    def __init__(self, principal: str, route: str, key: str) -> None:
        self.identity = {"principal": principal, "route": route, "key": key}
        digest = hashlib.sha256("\n".join(self.identity.values()).encode()).digest()
        self._lock = int.from_bytes(digest[:8], "big", signed=True)

    def find(self, tx: UnitOfWork) -> Stored | None:
        """The stored answer; None when this is the first use, which now holds the key's lock. Raises InFlight."""
        if tx.node.database.is_sqlite:
            rows: Sequence[Any] = tx.execute(_STORED, self.identity).all()
        else:
            ((locked, moment),) = _TRY_LOCK.rows(tx.connection, number=self._lock)
            tx.is_now(moment)
            if not locked:
                raise InFlight
            rows = _STORED_HOT.rows(tx.connection, **self.identity)
        for fingerprint, status, headers, body in rows:
            return Stored(fingerprint, status, msgspec.json.decode(headers), bytes(body))
        return None

    def keep(self, tx: UnitOfWork, answer: Stored) -> None:
        row = {
            "fingerprint": answer.fingerprint,
            "status": answer.status,
            "headers": msgspec.json.encode(answer.headers),
            "body": answer.body,
            "created_at": clock.machine_now(),
        }
        if tx.node.database.is_sqlite:
            tx.execute(idempotency.insert(), self.identity | row)
        else:
            _KEEP.count(tx.connection, **self.identity, **row)

    def amend(self, database: Database, body: bytes) -> None:
        """Store what the client finally saw, where an outside call finished the answer."""
        with database.begin() as connection:
            connection.execute(_AMEND, {f"{name}_": value for name, value in self.identity.items()} | {"body": body})


def _is_this(suffix: str = "") -> list[Any]:
    names = ("principal", "route", "key")
    return [idempotency.c[name] == sa.bindparam(f"{name}{suffix}") for name in names]


_STORED = sa.select(idempotency.c.fingerprint, idempotency.c.status, idempotency.c.headers, idempotency.c.body).where(
    *_is_this()
)
# Two statements: what the lock's last holder wrote is seen only by one that begins after it was got.
_TRY_LOCK = Hot(f"SELECT pg_try_advisory_xact_lock(%(number)s::bigint), {BUSINESS_TIME}")
_STORED_HOT = Hot(
    "SELECT fingerprint, status, headers, body FROM idempotency"
    " WHERE principal = %(principal)s AND route = %(route)s AND key = %(key)s"
)
_KEEP = Hot(
    "INSERT INTO idempotency (principal, route, key, fingerprint, status, headers, body, created_at)"
    " VALUES (%(principal)s, %(route)s, %(key)s, %(fingerprint)s, %(status)s, %(headers)s, %(body)s, %(created_at)s)"
)
_AMEND = idempotency.update().where(*_is_this("_")).values(body=sa.bindparam("body"))
