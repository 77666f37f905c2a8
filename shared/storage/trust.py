"""What each store keeps about trust: signing keys, ended sessions, and the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from shared.kernel import clock
from shared.storage.database import Database
from shared.storage.types import audit, revoked_session, signing_key
from shared.storage.unit_of_work import UnitOfWork

STRANGER = "nobody"
"""The actor of what was tried by callers without a name."""


def keep_key(tx: UnitOfWork, key_id: str, jwk: dict[str, Any], not_after: datetime) -> None:
    """A public key by which tokens are verified until `not_after` (machine time)."""
    row = {"key_id": key_id, "jwk": msgspec.json.encode(jwk), "not_after": not_after}
    tx.execute(tx.insert(signing_key).values(row).on_conflict_do_nothing())


def end_session(tx: UnitOfWork, session_id: str, expires_at: datetime) -> None:
    """Tokens of this session are refused from now on; the memory of it may go after `expires_at`."""
    row = {"session_id": session_id, "expires_at": expires_at}
    tx.execute(tx.insert(revoked_session).values(row).on_conflict_do_nothing())


def keys_and_revocations(database: Database) -> tuple[dict[str, dict[str, Any]], frozenset[str]]:
    """``({key id: public JWK}, ended sessions)``, those that still matter."""
    now = clock.machine_now()
    with database.read() as connection:
        keys = connection.execute(
            sa.select(signing_key.c.key_id, signing_key.c.jwk).where(signing_key.c.not_after > now)
        ).all()
        ended = connection.execute(
            sa.select(revoked_session.c.session_id).where(revoked_session.c.expires_at > now)
        ).scalars()
        return {key_id: msgspec.json.decode(jwk) for key_id, jwk in keys}, frozenset(ended)


def note_attempt(database: Database, actor: str, action: str, thing: str, result: str, request_id: str) -> None:
    """One row of the audit trail for a denied attempt, in a transaction of its own, since the attempt's has none."""
    row = {
        "at": clock.machine_now(),
        "actor": actor[:64],
        "action": action[:96],
        "object": thing[:128],
        "result": result[:48],
        "request_id": request_id,
        "denied": True,
    }
    with database.begin() as connection:
        connection.execute(audit.insert().values(row))


def count_strangers(database: Database, minute: datetime, action: str, result: str, times: int) -> None:
    """So many more attempts, in this minute, of callers who are nobody: one row, whichever process counts."""
    row = {
        "at": minute, "actor": STRANGER, "action": action[:96], "object": "-", "result": result[:48],
        "request_id": "", "times": times, "denied": True,
    }  # fmt: skip
    statement = (sqlite.insert if database.is_sqlite else postgresql.insert)(audit).values(row)
    columns = audit.c
    with database.begin() as connection:
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[columns.at, columns.action, columns.result],
                index_where=sa.text(f"actor = '{STRANGER}'"),
                set_={"times": columns.times + statement.excluded.times},
            )
        )


def note_change(tx: UnitOfWork, actor: str, action: str, thing: str, request_id: str, why: str) -> None:
    """One row of the audit trail for an operator's change, in the transaction of the change."""
    tx.execute(
        audit.insert().values(
            at=clock.machine_now(), actor=actor[:64], action=action[:96], object=thing[:128], result="done",
            request_id=request_id, why=why[:500],
        )
    )  # fmt: skip
