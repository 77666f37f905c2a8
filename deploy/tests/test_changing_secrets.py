"""What docs/operations.md says about changing a database's password does what it says."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from deploy.servers import PostgresServer

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
ROW = next(line for line in PAGE.splitlines() if line.startswith("| a service's database password"))
MAKE, END = re.findall(r"`([A-Z][^`]*;)`", ROW)


def ask(url: str, text: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        return str(connection.execute(text).fetchone())


@pytest.mark.servers
def test_two_roles_take_turns_with_one_database_and_own_everything_as_one(postgres_server: PostgresServer) -> None:
    name = f"t_{secrets.token_hex(8)}"
    postgres_server.create_database(name, name, "first")
    admin = sa.make_url(postgres_server.url()).set(drivername="postgresql")

    def url(role: str, password: str) -> str:
        return admin.set(username=role, password=password, database=name).render_as_string(hide_password=False)

    def run(text: str) -> None:
        for statement in text.replace("payment", name).replace("…", "second").strip(";").split(";"):
            with psycopg.connect(admin.render_as_string(hide_password=False), autocommit=True) as connection:
                connection.execute(statement)

    try:
        run(MAKE)
        with psycopg.connect(url(name, "first"), autocommit=True) as old:
            old.execute("CREATE TABLE made_before (n integer)")
            with psycopg.connect(url(f"{name}_b", "second"), autocommit=True) as new:
                new.execute("CREATE TABLE made_since (n integer)")
                new.execute("ALTER TABLE made_before ADD m integer")
            old.execute("ALTER TABLE made_since ADD m integer")
            run(END)
            with pytest.raises(psycopg.OperationalError):
                old.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            ask(url(name, "first"), "SELECT 1")
        assert ask(url(f"{name}_b", "second"), "SELECT current_user") == f"('{name}',)"
    finally:
        postgres_server.drop_database(name)
        run("DROP ROLE IF EXISTS payment_b")
