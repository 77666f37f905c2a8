"""A process is ready when its store has every migration that the code knows."""

from __future__ import annotations

import sqlalchemy as sa

from services.inventory.app import service
from shared.storage.database import Database
from shared.storage.migrate import is_current


def test_a_store_is_current_only_once_all_migrations_are_there(database_url: str):
    database = Database(database_url)
    try:
        assert not is_current(database, service.migrations)
        service.migrate(database)
        assert is_current(database, service.migrations)
        with database.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
        assert not is_current(database, service.migrations)
    finally:
        database.close()
