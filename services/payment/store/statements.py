"""Carriers' remittances, each compared with the cash they collected."""

from __future__ import annotations

import sqlalchemy as sa

from services.payment.store.rows import metadata
from shared.contracts.payment import CashReconciled
from shared.storage.types import Moment
from shared.storage.unit_of_work import UnitOfWork

cash_statement = sa.Table(
    "cash_statement",
    metadata,
    sa.Column("statement_id", sa.String(64), primary_key=True),
    sa.Column("carrier", sa.String(64), nullable=False),
    sa.Column("period", sa.String(64), nullable=False),
    sa.Column("expected", sa.BigInteger, nullable=False),
    sa.Column("remitted", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("at", Moment, nullable=False),
)


def keep_statement(tx: UnitOfWork, statement: CashReconciled, by: str) -> None:
    """Who entered what."""
    tx.execute(
        cash_statement.insert().values(
            statement_id=statement.statement_id, carrier=statement.carrier, period=statement.period,
            expected=statement.expected, remitted=statement.remitted, currency=statement.currency, by=by,
            at=tx.now(),
        )
    )  # fmt: skip
