"""The terms on which sellers sell, as account tells them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from services.payment.store.rows import metadata, remembered
from shared.storage.unit_of_work import UnitOfWork

seller_terms = sa.Table(
    "seller_terms",
    metadata,
    sa.Column("seller_id", sa.String(64), primary_key=True),
    sa.Column("commission_bp", sa.Integer, nullable=False),
    sa.Column("holdback_bp", sa.Integer, nullable=False),
)


def keep_terms(tx: UnitOfWork, seller_id: str, commission_bp: int, holdback_bp: int) -> None:
    """The seller's terms from now on; orders that are being paid keep theirs."""
    statement = tx.insert(seller_terms)
    changed = {"commission_bp": commission_bp, "holdback_bp": holdback_bp}
    tx.execute(
        statement.values(seller_id=seller_id, **changed).on_conflict_do_update(
            index_elements=[seller_terms.c.seller_id], set_=changed
        )
    )
    remembered(tx, seller_terms)[seller_id] = (commission_bp, holdback_bp)


def load_terms(tx: UnitOfWork, seller_ids: Iterable[str]) -> dict[str, Any]:
    """``{seller_id: (commission_bp, holdback_bp) or None}``, read with one statement and remembered."""
    known = remembered(tx, seller_terms)
    wanted = sorted({seller_id for seller_id in seller_ids if seller_id not in known})
    if wanted:
        known.update(dict.fromkeys(wanted))
        for row in tx.execute(sa.select(seller_terms).where(tx.among(seller_terms.c.seller_id, wanted))):
            known[row.seller_id] = (row.commission_bp, row.holdback_bp)
    return known


def terms_of(tx: UnitOfWork, seller_id: str) -> tuple[int | None, int]:
    """``(commission_bp, holdback_bp)``; the first is None while the seller is not known."""
    found: tuple[int, int] | None = load_terms(tx, [seller_id])[seller_id]
    return found or (None, 0)
