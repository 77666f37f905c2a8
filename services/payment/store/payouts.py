"""Payouts, one row each, and the bank accounts they go to, sealed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.payment.domain import books
from services.payment.domain.payouts import Payout, PayoutAccount
from services.payment.domain.refusals import NoSuchPayout
from services.payment.store.ledger import ledger_entry
from services.payment.store.rows import metadata
from shared.contracts.event import Sealed
from shared.storage.repository import Repository, aggregate_table
from shared.storage.types import Moment
from shared.storage.unit_of_work import UnitOfWork

payouts = Repository(
    aggregate_table(
        "payout",
        metadata,
        "payout_id",
        sa.Column("seller_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Index("payout_seller", "seller_id", "payout_id"),
    ),
    Payout,
    key=lambda payout: payout.payout_id,
    columns=lambda payout: {"seller_id": payout.seller_id, "state": payout.state},
    missing=NoSuchPayout,
)

payout_account = sa.Table(
    "payout_account",
    metadata,
    sa.Column("seller_id", sa.String(64), primary_key=True),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
)


def keep_payout_account(tx: UnitOfWork, seller_id: str, account: PayoutAccount) -> None:
    """The shop's account from now on; payouts that were asked for go where they were to go."""
    changed = {"currency": account.currency, "details": str(account.details), "changed_at": tx.now()}
    statement = tx.insert(payout_account).values(seller_id=seller_id, **changed)
    tx.execute(statement.on_conflict_do_update(index_elements=[payout_account.c.seller_id], set_=changed))


def lock_payout_account(tx: UnitOfWork, seller_id: str) -> PayoutAccount | None:
    """The shop's account, locked: whoever asks for a payout of the same shop waits, and then sees what is left."""
    wanted = sa.select(payout_account).where(payout_account.c.seller_id == seller_id).with_for_update()
    return _account(tx.execute(wanted).one_or_none())


def payout_account_of(connection: sa.Connection, seller_id: str) -> PayoutAccount | None:
    """The shop's account."""
    return _account(
        connection.execute(sa.select(payout_account).where(payout_account.c.seller_id == seller_id)).one_or_none()
    )


def _account(row: sa.Row[Any] | None) -> PayoutAccount | None:
    return None if row is None else PayoutAccount(row.currency, Sealed(row.details))


def balance_of(tx: UnitOfWork, seller_id: str, currency: str) -> int:
    """What the platform owes the shop, minor units; negative: what the shop owes."""
    tx.flush()
    entry = ledger_entry.c
    wanted = sa.select(sa.func.sum(entry.amount)).where(
        entry.seller_id == seller_id, entry.family == books.SELLER, entry.currency == currency
    )
    return int(tx.execute(wanted).scalar() or 0)
