"""The tables as migrations make them, and how few statements the hot path takes."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from services.payment import store
from services.payment.app import service
from services.payment.tests.makers import placed
from shared.contracts.order import OrderPaymentRequested, OrderShare
from shared.kernel.ids import group_number
from shared.storage.database import Database
from shared.storage.migrate import check


def test_migrations_make_what_the_code_expects_rules_included(database_url):
    database = Database(database_url)
    service.migrate(database)
    with database.begin() as connection:
        check(connection, Path(__file__).parents[1] / "migrations", store.metadata, "alembic_version")
    posting = {"key": "x", "kind": "x", "payment_id": "p", "currency": "CNY"}
    with database.begin() as connection:
        moment = database.now(connection)
        connection.execute(store.ledger_posting.insert().values(**posting, posted_at=moment))
    with pytest.raises(DBAPIError, match="append only"), database.begin() as connection:
        connection.execute(sa.delete(store.ledger_posting))
    entry = {"posting_key": "x", "family": "bank", "owner": "", "currency": "CNY", "amount": 1}
    if not database.is_sqlite:
        with pytest.raises(DBAPIError, match="out of balance"), database.begin() as connection:
            connection.execute(store.ledger_entry.insert().values(**entry))
    database.close()


class Counted:
    """Statements that a store is sent."""

    def __init__(self, market):
        self.engine, self.statements = market.stage.node.database.engine, []

    def __enter__(self):
        sa.event.listen(self.engine, "before_cursor_execute", self._note)
        return self.statements

    def __exit__(self, *_):
        sa.event.remove(self.engine, "before_cursor_execute", self._note)

    def _note(self, connection, cursor, statement, parameters, context, executemany):
        self.statements.append(statement)


def requested(market, count):
    def one():
        group_no = group_number()
        share = OrderShare(order_no=f"{group_no}-1", seller_id="seller-1", payable=100)
        return OrderPaymentRequested(
            group_no=group_no, buyer_id=market.buyer.account_id, orders=(share,), payable_total=100, currency="CNY",
            pay_by=market.stage.now(), methods=("online",),
        )  # fmt: skip

    return [one() for _ in range(count)]


def cost(market, facts):
    """How many statements one batch of `facts` takes; SQLite inserts into the log row by row."""
    batch = [market.stage.bytes_of(fact) for fact in facts]
    with Counted(market) as statements:
        market.stage.hear_bytes(*batch)
    return len([one for one in statements if "INTO event_log" not in one]) + 1


def test_a_batch_costs_the_same_few_statements_however_large_it_is(market):
    orders = [cost(market, [placed("anna") for _ in range(count)]) for count in (1, 40)]
    payments = [cost(market, requested(market, count)) for count in (1, 40)]
    assert orders[0] == orders[1] <= 13
    assert payments[0] == payments[1] <= 9


def test_a_callback_costs_few_statements(market):
    charge = market.opened(market.request(100, 200, 300), 600)
    market.provider.pay(charge)
    with Counted(market) as statements:
        assert market.tell(charge) == 200
    assert len(statements) <= 15, statements  # one of them finds the trace that the payment belongs to
