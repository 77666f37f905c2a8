"""Migrations, and the categories a new platform starts with."""

from services.catalog.app import service
from services.catalog.store.categories import categories
from services.catalog.store.tables import category
from shared.storage.database import Database
from shared.storage.migrate import check


def test_the_migrations_make_the_tables_the_code_has(database_url):
    database = Database(database_url)
    service.migrate(database)
    with database.begin() as connection:
        check(connection, service.migrations, service.metadata, "alembic_version")
    with database.read() as connection:
        found = [categories.decode(body) for body in connection.execute(category.select()).scalars("body")]
    database.close()
    paths = {one.category_id: one.path for one in found}
    assert paths["womens"] == "/clothing/womens"
    assert all(one.path == f"{paths[one.parent_id]}/{one.category_id}" for one in found if one.parent_id)
    assert all(one.choices for each in found for one in each.attributes if one.kind == "choice")
