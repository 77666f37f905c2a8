"""Stores are brought up to date by any number of processes at once, and then are what the code says."""

import shutil
import threading
from pathlib import Path

import sqlalchemy as sa

from shared.storage import types, vault
from shared.storage.database import Database
from shared.storage.migrate import HERE, check, is_current, migrate, migrate_vault, revise

mine = sa.MetaData()
sa.Table("thing", mine, sa.Column("thing_id", types.BigId, primary_key=True), sa.Column("at", types.Moment))


def scripts_in(folder: Path) -> Path:
    """A service's migrations, written as a developer would."""
    fresh = Database(f"sqlite:///{folder}/fresh.db")
    with fresh.begin() as connection:
        revise(connection, folder / "migrations", mine, "alembic_version", "things")
    fresh.close()
    return folder / "migrations"


def test_an_empty_store_is_brought_up_and_then_has_no_difference_to_the_code(database_url: str, tmp_path: Path) -> None:
    scripts, database = scripts_in(tmp_path), Database(database_url)
    assert not is_current(database, scripts)
    migrate(database, scripts, mine)
    migrate(database, scripts, mine)
    assert is_current(database, scripts)
    with database.begin() as connection:
        check(connection, HERE / "migrations", types.kit, "kit_version")
        check(connection, scripts, mine, "alembic_version")
    database.close()


def test_the_vault_is_brought_up_and_has_no_difference_to_the_code(database_url: str) -> None:
    database = Database(database_url)
    migrate_vault(database)
    migrate_vault(database)
    with database.begin() as connection:
        check(connection, HERE / "vault_migrations", vault.metadata, "vault_version")
    database.close()


def test_two_processes_that_start_at_once_do_it_once(database_url: str, tmp_path: Path) -> None:
    scripts = scripts_in(tmp_path)
    raised: list[BaseException] = []
    gate = threading.Barrier(3)

    def start() -> None:
        database = Database(database_url)
        gate.wait()
        try:
            migrate(database, scripts, mine)
        except Exception as error:
            raised.append(error)
        database.close()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    database = Database(database_url)
    assert is_current(database, scripts)
    database.close()


def test_a_process_of_the_release_before_goes_on_with_a_store_that_is_ahead(database_url: str, tmp_path: Path) -> None:
    before, later = scripts_in(tmp_path), tmp_path / "later"
    shutil.copytree(before, later)
    (later / "0002_more.py").write_text('revision, down_revision = "0002", "0001"\n\n\ndef upgrade() -> None: ...\n')
    database = Database(database_url)
    migrate(database, later, mine)

    migrate(database, before, mine)

    assert is_current(database, before)
    assert is_current(database, later)
    database.close()
