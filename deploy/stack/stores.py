"""Databases and roles for all services: nobody enters another's; the key vault is opened to those who may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import sql

from deploy.fleet import Member
from deploy.servers import PostgresServer, User
from shared.storage.database import Database
from shared.storage.migrate import migrate_vault

VAULT, VAULT_READER = "vault", "vault_reader"


def urls(server: PostgresServer, members: Sequence[Member], password: Callable[[str], str]) -> dict[str, str]:
    """By service, and `vault` and `vault_reader`: where its store is."""
    found = {one.name: server.url(one.store, one.store, password(one.store)) for one in members}
    return found | {role: server.url(VAULT, role, password(role)) for role in (VAULT, VAULT_READER)}


def create(server: PostgresServer, members: Sequence[Member], password: Callable[[str], str]) -> None:
    """Make what is not there yet."""
    with psycopg.connect(_plain(server.url()), autocommit=True) as admin:
        there = {name for (name,) in admin.execute("SELECT datname FROM pg_database")}
    wanted = [name for name in (VAULT, *(one.store for one in members)) if name not in there]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: server.create_database(name, name, password(name)), wanted))
    if VAULT in wanted:
        _admit_reader(server, password(VAULT_READER))


def _admit_reader(server: PostgresServer, password: str) -> None:
    reader, vault = sql.Identifier(VAULT_READER), sql.Identifier(VAULT)
    with psycopg.connect(_plain(server.url(VAULT)), autocommit=True) as admin:
        for text in (
            "CREATE ROLE {reader} LOGIN PASSWORD {password}",
            "GRANT CONNECT ON DATABASE {vault} TO {reader}",
            "GRANT USAGE ON SCHEMA public TO {reader}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {vault} IN SCHEMA public GRANT SELECT ON TABLES TO {reader}",
        ):
            admin.execute(sql.SQL(text).format(reader=reader, vault=vault, password=sql.Literal(password)))


def migrate(members: Sequence[Member], stores: dict[str, Database], vault_url: str) -> None:
    """Bring every store up to date."""
    vault = Database(vault_url)
    try:
        migrate_vault(vault)
    finally:
        vault.close()
    for one in members:
        one.service.migrate(stores[one.name])


def broker_users(members: Sequence[Member]) -> list[User]:
    """One user a service: it declares and reads its own queues, and says only facts of its own name."""
    return [
        User(
            one.name,
            configure=rf"^caravan\.(events|dlx)$|^caravan\.{one.name}\.",
            write=rf"^caravan\.(events|dlx)$|^caravan\.{one.name}\.",
            read=rf"^caravan\.(events|dlx)$|^caravan\.{one.name}\.",
            topics=rf"^{one.name}\.",
        )
        for one in members
    ]


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)
