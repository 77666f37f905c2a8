"""A shop on both databases, and one on SQLite where the database makes no difference."""

import pytest

from services.shipping.tests.makers import Shop


@pytest.fixture
def shop(database_url, tmp_path):
    shop = Shop(database_url, tmp_path)
    yield shop
    shop.stage.close()


@pytest.fixture
def small_shop(sqlite_url, tmp_path):
    shop = Shop(sqlite_url, tmp_path)
    yield shop
    shop.stage.close()
