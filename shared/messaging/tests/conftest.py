"""Worlds on every kind of broker and store."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.testing.worlds import EmbeddedWorld, MemoryWorld, RabbitWorld, World, make_node

KINDS: dict[str, type[World]] = {"memory": MemoryWorld, "embedded": EmbeddedWorld, "rabbit": RabbitWorld}


@pytest.fixture
def two_databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], tuple[str, str]]]:
    """``two_databases("postgres")``: URLs of two fresh stores."""
    made: list[tuple[Any, str]] = []

    def make(kind: str) -> tuple[str, str]:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/account.db", f"sqlite:///{tmp_path}/inventory.db"
        server = request.getfixturevalue("postgres_server")
        token = secrets.token_hex(6)  # the server is shared with other test processes
        names = [f"world_{token}_{name}" for name in ("account", "inventory")]
        made.extend((server, name) for name in names)
        first, second = (server.create_database(name, "tester", "tester") for name in names)
        return first, second

    yield make
    for server, name in made:
        server.drop_database(name)


@pytest.fixture(
    params=[
        "memory-sqlite",
        "embedded-sqlite",
        pytest.param("memory-postgres", marks=pytest.mark.servers),
        pytest.param("rabbit-postgres", marks=pytest.mark.servers),
        pytest.param("rabbit-sqlite", marks=pytest.mark.servers),
    ]
)
def world(
    request: pytest.FixtureRequest, tmp_path: Path, two_databases: Callable[[str], tuple[str, str]]
) -> Iterator[World]:
    """Two toys on one of the brokers."""
    broker, store = request.param.split("-")
    url = request.getfixturevalue("rabbit_url") if broker == "rabbit" else "embedded:"
    first, second = two_databases(store)
    made = KINDS[broker](make_node("account", first, url, tmp_path), make_node("inventory", second, url, tmp_path))
    yield made
    made.close()
