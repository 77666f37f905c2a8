"""The ledger: append only, one row per posting key, and entries that sum to zero; the database checks both."""

from __future__ import annotations

import sqlalchemy as sa

from services.payment.domain.books import Posting
from services.payment.store.rows import Row, add, metadata, plain
from shared.storage.types import BigId, Moment
from shared.storage.unit_of_work import UnitOfWork

ledger_posting = sa.Table(
    "ledger_posting",
    metadata,
    sa.Column("key", sa.String(160), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("payment_id", sa.String(64), nullable=False),
    sa.Column("order_no", sa.String(64), nullable=True),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("posted_at", Moment, nullable=False),
    sa.Index("ledger_posting_payment", "payment_id"),
)

ledger_entry = sa.Table(
    "ledger_entry",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("posting_key", sa.String(160), sa.ForeignKey("ledger_posting.key"), nullable=False),
    sa.Column("family", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("seller_id", sa.String(64), nullable=True),
    sa.CheckConstraint("amount <> 0", name="ledger_entry_amount"),
    sa.Index("ledger_entry_posting", "posting_key"),
    sa.Index("ledger_entry_account", "family", "owner", "id"),
    sa.Index("ledger_entry_seller", "seller_id", "family"),
)
"""Credits positive, debits negative; an account is `family` and `owner`."""

# The same statements stand in the migration, which must not change when these do.
POSTGRES_RULES = (
    """
    CREATE FUNCTION ledger_balances() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT sum(amount) FROM ledger_entry WHERE posting_key = NEW.posting_key) <> 0 THEN
            RAISE EXCEPTION USING
                MESSAGE = 'posting ' || NEW.posting_key || ' is out of balance', ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER ledger_balanced AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_balances()
    """,
    """
    CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger is append only' USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE TRIGGER ledger_entry_kept BEFORE UPDATE OR DELETE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only()
    """,
    """
    CREATE TRIGGER ledger_posting_kept BEFORE UPDATE OR DELETE ON ledger_posting
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only()
    """,
)
SQLITE_RULES = tuple(
    f"CREATE TRIGGER {table}_{verb}_kept BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append only'); END"
    for table in ("ledger_entry", "ledger_posting")
    for verb in ("update", "delete")
)
"""SQLite has no deferred triggers: there the domain alone sees to the balance."""


@sa.event.listens_for(metadata, "after_create")
def _make_rules(target: sa.MetaData, connection: sa.Connection, tables: object = (), **_: object) -> None:
    if ledger_entry not in (tables or ()):  # type: ignore[operator]
        return  # they were there already
    for rule in POSTGRES_RULES if connection.dialect.name == "postgresql" else SQLITE_RULES:
        connection.exec_driver_sql(rule)


def add_posting(tx: UnitOfWork, posting: Posting) -> None:
    """Book it. A second posting with the same key fails the transaction when it is written."""
    if not posting.entries:
        return
    add(
        tx, plain(ledger_posting),
        {
            "key": posting.key, "kind": posting.kind, "payment_id": posting.payment_id,
            "order_no": posting.order_no,
            "currency": posting.currency, "posted_at": tx.now(),
        },
    )  # fmt: skip
    common: Row = {"posting_key": posting.key, "currency": posting.currency}
    add(
        tx,
        plain(ledger_entry),
        *(
            common | {"family": e.family, "owner": e.owner, "amount": e.amount, "seller_id": e.seller_id}
            for e in posting.entries
        ),
    )
