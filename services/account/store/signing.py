"""Signing keys: the private part encrypted and ours alone, the public part where every verifier looks."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from services.account.domain.signing import KeyRow
from services.account.store.tables import signing_secret
from shared.contracts.account import SigningKeyPublished
from shared.storage.types import signing_key
from shared.storage.unit_of_work import UnitOfWork


def list_keys(tx: UnitOfWork) -> list[KeyRow]:
    """The newest keys, newest first; older ones neither sign nor verify any more."""
    columns = signing_secret.c
    rows = tx.execute(sa.select(signing_secret).order_by(columns.generation.desc()).limit(5))
    return [KeyRow(row.generation, row.key_id, row.created_at, row.sealed) for row in rows]


def add_key(tx: UnitOfWork, row: KeyRow) -> bool:
    """False when another process made this generation; waits for one that makes it right now."""
    statement = tx.insert(signing_secret).on_conflict_do_nothing().returning(signing_secret.c.generation)
    values = {
        "generation": row.generation,
        "key_id": row.key_id,
        "created_at": row.created_at,
        "sealed": row.sealed,
    }
    return tx.execute(statement.values(values)).first() is not None


def rewrap_key(tx: UnitOfWork, key_id: str, known: str, sealed: str) -> None:
    """The same key, encrypted anew, unless somebody else was faster."""
    kept = signing_secret.c
    tx.execute(signing_secret.update().where(kept.key_id == key_id, kept.sealed == known).values(sealed=sealed))


def trust_key(tx: UnitOfWork, fact: SigningKeyPublished) -> None:
    """Our own verifier takes the key from now on; the others hear of it."""
    tx.execute(
        tx.insert(signing_key)
        .values(key_id=fact.key_id, jwk=msgspec.json.encode(fact.jwk_public), not_after=fact.not_after)
        .on_conflict_do_nothing()
    )
