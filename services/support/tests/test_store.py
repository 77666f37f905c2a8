"""The tables are what the code thinks they are, on both databases."""

from services.support.app import service
from shared.storage import migrate
from shared.storage.database import Database


def test_migrations_make_the_tables_the_code_uses(database_url):
    database = Database(database_url)
    for _ in range(2):
        service.migrate(database)
    with database.begin() as connection:
        migrate.check(connection, service.migrations.absolute(), service.metadata, "alembic_version")
    database.close()
