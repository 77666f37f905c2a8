"""The command line of a service, ``python -m services.<name> …``: work, migrate, topology, openapi."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from typing import Any

import click
import msgspec

from shared.kernel import settings as configuration
from shared.kernel.errors import Refusal
from shared.kernel.settings import BadSettings, Settings
from shared.runtime import catalogue
from shared.runtime.service import Service
from shared.storage.database import Database
from shared.storage.migrate import migrate_vault
from shared.storage.unit_of_work import Node
from shared.telemetry import logs, spans


def main(service: Service, extra_commands: Iterable[click.Command] = ()) -> None:
    """Run the command that was asked for; leaves by SystemExit."""
    group = commands(service)
    for command in extra_commands:
        group.add_command(command)
    try:
        group()
    except (Refusal, BadSettings) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def commands(service: Service) -> click.Group:
    """The commands of every service."""

    @click.group(name=service.name, help=service.owns)
    def group() -> None: ...

    @group.command()
    def work() -> None:
        """Consume, relay, fire timers and call outside, until told to stop. Any number may run."""
        sys.exit(_work(service, configuration.load(service.name)))

    @group.command()
    def migrate() -> None:
        """Bring the store up to date; account's also makes the key vault. Safe to run by many at once."""
        settings = configuration.load(service.name)
        _migrate(service, settings)

    @group.command()
    @click.option("--all", "everybody", is_flag=True, help="For every service of this tree.")
    def topology(everybody: bool) -> None:
        """Declare queues and bindings on the broker. Adds what is missing, takes nothing away."""
        from shared.messaging.rabbit import declare

        settings = configuration.load(service.name)
        for one in catalogue.services() if everybody else (service,):
            declare(settings.broker_url, one.on.consumer, one.on.bindings(), settings.shards)
            click.echo(f"{one.on.consumer}: {len(one.on.bindings())} bindings, {settings.shards} shards")

    @group.command()
    def openapi() -> None:
        """Print the service's OpenAPI document."""
        from shared.web.documents import document_of

        click.echo(_json(document_of(service)))

    return group


def _work(service: Service, settings: Settings) -> int:
    from shared.messaging.health import HealthServer
    from shared.messaging.worker import Worker

    if not settings.broker_url.startswith(("amqp:", "amqps:")):
        sys.exit("CARAVAN_BROKER_URL names no RabbitMQ; the embedded mode works inside the one process it has")
    logs.configure(service.name)
    spans.configure(service.name)
    # Each of a worker's threads may hold a connection: shards, relay, leases, timers, retries, house, gauges, callers.
    settings = dataclasses.replace(settings, pool_size=max(settings.pool_size, 10 + settings.shards))
    node = Node(settings)
    worker = Worker(service, node, subscribed=catalogue.subscribed())
    health = HealthServer(worker, settings.worker_host, settings.worker_port) if settings.worker_port else None
    try:
        return worker.run()
    finally:
        if health is not None:
            health.close()
        node.close()


def _migrate(service: Service, settings: Settings) -> None:
    stores = [(settings.database_url, service.migrate)]
    if service.name == "account":
        stores.append((settings.vault_url, migrate_vault))
    for url, bring_up in stores:
        database = Database(url)
        try:
            bring_up(database)
        finally:
            database.close()


def _node(service: Service, settings: Settings) -> Node:
    logs.configure(service.name)
    return Node(settings)


def _json(thing: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(thing)).decode()
