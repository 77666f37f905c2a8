"""Payments, one row each; which payment an order or a refund belongs to; and the callbacks that were taken."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from services.payment.domain.model import Payment, Refund, cod_id, online_id
from services.payment.domain.refusals import NoSuchPayment
from services.payment.store.rows import Row, add, first, metadata
from shared.kernel import clock
from shared.storage.repository import Repository, aggregate_table
from shared.storage.rows import Insert
from shared.storage.types import Moment, intent
from shared.storage.unit_of_work import UnitOfWork

payments = Repository(
    aggregate_table(
        "payment",
        metadata,
        "payment_id",
        sa.Column("group_no", sa.String(64), nullable=False),
        sa.Column("buyer_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Index("payment_group", "group_no"),
        sa.Index("payment_status", "status"),
    ),
    Payment,
    key=lambda payment: payment.payment_id,
    columns=lambda payment: {
        "group_no": payment.group_no, "buyer_id": payment.buyer_id, "status": payment.status
    },
    missing=NoSuchPayment,
)  # fmt: skip

payment_order = sa.Table(
    "payment_order",
    metadata,
    sa.Column("order_no", sa.String(64), primary_key=True),
    sa.Column("payment_id", sa.String(64), nullable=False),
)
"""The payment of each order; written once."""

refund_index = sa.Table(
    "refund_index",
    metadata,
    sa.Column("refund_id", sa.String(64), primary_key=True),
    sa.Column("payment_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Index("refund_index_state", "state", "refund_id"),
)
"""Where a refund is found, and which ones need a hand. The refund itself is in its payment."""

payment_callback = sa.Table(
    "payment_callback",
    metadata,
    sa.Column("channel", sa.String(32), primary_key=True),
    sa.Column("event_id", sa.String(128), primary_key=True),
    sa.Column("at", Moment, nullable=False),
)
"""Callbacks taken, written in the transaction of their effect: a second copy has none."""
_CALLBACK = Insert(payment_callback, keep_first=True)


def candidates(group_no: str, order_no: str | None = None) -> list[str]:
    """The payments that may be meant: the group's own, and the order's if it is paid at the door."""
    return [online_id(group_no)] + ([cod_id(order_no)] if order_no else [])


def index_orders(tx: UnitOfWork, payment: Payment) -> None:
    """Remember where a new payment's orders are paid."""
    rows = ({"order_no": split.order_no, "payment_id": payment.payment_id} for split in payment.splits)
    add(tx, first(payment_order), *rows)


def note_refunds(tx: UnitOfWork, payment: Payment, refunds: Iterable[Refund]) -> None:
    """Keep the index of refunds up to date."""
    rows = {
        refund.refund_id: {
            "refund_id": refund.refund_id, "payment_id": payment.payment_id, "state": refund.state
        }
        for refund in refunds
    }  # fmt: skip
    add(tx, _moved, *rows.values())


def _moved(tx: UnitOfWork, rows: list[Row]) -> None:
    statement = tx.insert(refund_index)
    newer = {"state": statement.excluded.state}
    tx.execute(statement.on_conflict_do_update(index_elements=[refund_index.c.refund_id], set_=newer), rows)


def claim_callback(tx: UnitOfWork, channel: str, event_id: str) -> bool:
    """Whether this callback is new. A second copy waits here until the first has committed."""
    return _CALLBACK.write(tx, [{"channel": channel, "event_id": event_id, "at": clock.machine_now()}]) > 0


def payment_of_refund(tx: UnitOfWork, refund_id: str) -> str | None:
    """Where this refund is."""
    wanted = sa.select(refund_index.c.payment_id).where(refund_index.c.refund_id == refund_id)
    return tx.execute(wanted).scalar()


def call_is_under_way(connection: sa.Connection, kind: str, key: str) -> bool:
    """Whether a worker has taken this outside call and nothing is known of its end yet."""
    failed = sa.select(intent.c.error).where(intent.c.kind == kind, intent.c.key == key)
    row = connection.execute(failed).one_or_none()
    return row is not None and row.error is None
