"""A market on both databases, and one on SQLite where the database makes no difference."""

import pytest

from services.payment.tests.makers import Market


@pytest.fixture
def market(database_url, tmp_path):
    market = Market(database_url, tmp_path)
    market.approve()
    yield market
    market.check()
    market.close()


@pytest.fixture
def small(sqlite_url, tmp_path):
    market = Market(sqlite_url, tmp_path)
    market.approve()
    yield market
    market.check()
    market.close()
