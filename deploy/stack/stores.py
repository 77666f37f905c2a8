"""Databases and roles for all services: nobody enters another's; the key vault is opened to those who may."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import sql

from deploy.fleet import Member
from deploy.servers import PostgresServer
from shared.storage.database import Database
from shared.storage.migrate import migrate_vault

VAULT, VAULT_READER = "vault", "vault_reader"
OPERATIONS = "operations"
"""Reads every service's store and writes nothing; the vault is closed to it."""


def urls(server: PostgresServer, members: Sequence[Member], password: Callable[[str], str]) -> dict[str, str]:
    """By service, and `vault` and `vault_reader`: where its store is."""
    found = {one.name: server.url(one.store, one.store, password(one.store)) for one in members}
    return found | {role: server.url(VAULT, role, password(role)) for role in (VAULT, VAULT_READER)}


def reading(server: PostgresServer, members: Sequence[Member], password: Callable[[str], str]) -> dict[str, str]:
    """By service: where its store is for those who only look."""
    return {one.name: server.url(one.store, OPERATIONS, password(OPERATIONS)) for one in members}


def create(server: PostgresServer, members: Sequence[Member], password: Callable[[str], str]) -> None:
    """Make what is not there yet."""
    with psycopg.connect(_plain(server.url()), autocommit=True) as admin:
        there = {name for (name,) in admin.execute("SELECT datname FROM pg_database")}
    wanted = [name for name in (VAULT, *(one.store for one in members)) if name not in there]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: server.create_database(name, name, password(name)), wanted))
    readers = {VAULT: VAULT_READER} | {one.store: OPERATIONS for one in members}
    _make_roles(server, {name: password(name) for name in (VAULT_READER, OPERATIONS)})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda pair: _admit_reader(server, *pair), readers.items()))


def _make_roles(server: PostgresServer, roles: Mapping[str, str]) -> None:
    with psycopg.connect(_plain(server.url()), autocommit=True) as admin:
        there = {name for (name,) in admin.execute("SELECT rolname FROM pg_roles")}
        for role in roles.keys() - there:
            text = sql.SQL("CREATE ROLE {role} LOGIN PASSWORD {password}")
            admin.execute(text.format(role=sql.Identifier(role), password=sql.Literal(roles[role])))


def _admit_reader(server: PostgresServer, store: str, role: str) -> None:
    """Harmless twice. A folder of an earlier version has tables already, which defaults do not reach."""
    names = {"store": sql.Identifier(store), "reader": sql.Identifier(role)}
    with psycopg.connect(_plain(server.url(store)), autocommit=True) as admin:
        for text in (
            "GRANT CONNECT ON DATABASE {store} TO {reader}",
            "GRANT USAGE ON SCHEMA public TO {reader}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {store} IN SCHEMA public GRANT SELECT ON TABLES TO {reader}",
        ):
            admin.execute(sql.SQL(text).format(**names))


def migrate(members: Sequence[Member], stores: dict[str, Database], vault_url: str) -> None:
    """Bring every store up to date."""
    vault = Database(vault_url)
    try:
        migrate_vault(vault)
    finally:
        vault.close()
    for one in members:
        one.service.migrate(stores[one.name])


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)
