"""For pytest: `--servers containers` runs whatever asks for PostgreSQL or RabbitMQ on the images that the compose file
names, and the stories of the compose file itself. In one process, not with xdist. Without an engine all of it fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.servers import PostgresServer, RabbitServer
from deploy.servers.process import State

if TYPE_CHECKING:  # most runs need none of it
    from deploy.containers.engine import Engine

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 1800
"""The first test of a run may have to make the images."""
POSTGRES_OPTIONS = "-c fsync=off -c full_page_writes=off -c max_connections=300 -c jit=off"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers", choices=["own", "containers"], default="own", help="what PostgreSQL and RabbitMQ are in this run"
    )


def in_containers(config: pytest.Config) -> bool:
    return bool(config.getoption("--servers") == "containers")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """An engine is nothing that every run may start."""
    if collection_path.is_relative_to(HERE / "tests") and not in_containers(config):
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    if in_containers(config):
        for item in items:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def container_engine() -> Iterator[Engine]:
    """The machine's engine or one of our own, with the images on it; testcontainers finds it too."""
    from deploy.containers.engine import engine
    from deploy.containers.images import ensure_images

    with pytest.MonkeyPatch.context() as patch, engine() as found:
        ensure_images(found)
        if found.host:
            patch.setenv("DOCKER_HOST", found.host)
            # Ours publishes on loopback, and this process is on the same machine, whatever it may look like.
            patch.setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
            patch.setenv("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
        # Its image is nothing that we use, and our containers end with their fixtures.
        patch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
        yield found


@pytest.fixture(scope="session")
def postgres_container(container_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The compose file's PostgreSQL, started by testcontainers. Leave it running."""
    from testcontainers.community.postgres import PostgresContainer

    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    password = server._secret("postgres")
    container = PostgresContainer(image("postgres"), username="postgres", password=password, dbname="postgres")
    container.with_command(f"postgres {POSTGRES_OPTIONS}")
    container.with_env("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C.UTF-8 --auth-host=scram-sha-256")
    with container as running:
        server.state = State({PostgresServer.ports[0]: running.get_exposed_port(5432)}, {"postgres": password})
        yield server


@pytest.fixture(scope="session")
def rabbit_container(container_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """The compose file's RabbitMQ, started by testcontainers. Leave it running."""
    from testcontainers.community.rabbitmq import RabbitMqContainer

    server = RabbitServer(tmp_path_factory.mktemp("rabbit"))
    password = server._secret("admin")
    container = RabbitMqContainer(image("rabbitmq"), username="admin", password=password, vhost="caravan")
    container.with_exposed_ports(15672)
    plugins = ROOT / "deploy/rabbitmq/enabled_plugins"
    container.with_volume_mapping(str(plugins), "/etc/rabbitmq/enabled_plugins", "ro")
    with container as running:
        ports = {"amqp": running.get_exposed_port(5672), "management": running.get_exposed_port(15672)}
        server.state = State(ports, {"admin": password})
        yield server


def image(service: str) -> str:
    """What the compose file names."""
    import yaml

    return str(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]["image"])
