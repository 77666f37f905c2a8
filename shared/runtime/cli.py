"""The command line of a service, ``python -m services.<name> …``: work, migrate, topology, openapi, dead-letters."""

from __future__ import annotations

import dataclasses
import getpass
import sys
from collections.abc import Iterable
from typing import Any

import click
import msgspec

from shared.kernel import settings as configuration
from shared.kernel.errors import Refusal
from shared.kernel.settings import BadSettings, Settings
from shared.messaging.dead_letters import PER_SECOND, DeadLetters
from shared.runtime import catalogue
from shared.runtime.service import Service
from shared.storage.database import Database
from shared.storage.migrate import migrate_vault
from shared.storage.unit_of_work import Node
from shared.telemetry import logs

OPEN_STATUSES = ("dead", "failed", "held", "early", "started")


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
        from shared.web.factory import create_app

        node = _node(service, configuration.load(service.name))
        click.echo(_json(create_app(service, node).extensions["caravan.openapi"]()))

    group.add_command(_dead_letters(service))
    return group


def _work(service: Service, settings: Settings) -> int:
    from shared.messaging.health import HealthServer
    from shared.messaging.worker import Worker

    if not settings.broker_url.startswith(("amqp:", "amqps:")):
        sys.exit("CARAVAN_BROKER_URL names no RabbitMQ; the embedded mode works inside the one process it has")
    logs.configure(service.name)
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


def _dead_letters(service: Service) -> click.Group:
    @click.group("dead-letters")
    def group() -> None:
        """Messages that were not handled: look at them, try them again, give up on them. Noted in the audit trail."""

    def letters() -> DeadLetters:
        return DeadLetters(
            _node(service, configuration.load(service.name)), service.on.consumer, f"cli:{getpass.getuser()}"
        )

    @group.command("list")
    @click.option("--status", type=click.Choice(OPEN_STATUSES), multiple=True, default=("dead",), show_default=True)
    @click.option("--type", "kind", default="", help="Part of the fact's type.")
    @click.option("--reason", default="", help="Exactly this reason, e.g. schema, failed, crash_loop.")
    @click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
    @click.option("--after", type=int, default=0, help="Only rows with a higher number.")
    def show_list(status: tuple[str, ...], kind: str, reason: str, limit: int, after: int) -> None:
        """List kept messages, oldest first, one JSON object a line."""
        for row in letters().rows(statuses=status, kind=kind, reason=reason, limit=limit, after=after):
            click.echo(_json(row, lines=True))

    @group.command()
    @click.argument("no", type=int)
    def show(no: int) -> None:
        """Show one message as it came."""
        click.echo(_json(letters().show(no)))

    @group.command()
    @click.argument("no", type=int, nargs=-1)
    @click.option("--type", "kind", default="", help="All dead ones whose type has this part.")
    @click.option("--reason", default="", help="All dead ones of this reason.")
    @click.option("--per-second", type=click.FloatRange(0.1, 1000), default=PER_SECOND, show_default=True)
    def retry(no: tuple[int, ...], kind: str, reason: str, per_second: float) -> None:
        """Try messages again: those with these numbers, or all dead ones that match."""
        if not no and not (kind or reason):
            raise click.UsageError("name numbers, --type or --reason")
        ours = letters()
        numbers = list(no)
        if kind or reason:
            numbers += [row["no"] for row in ours.rows(kind=kind, reason=reason, limit=1000)]
        click.echo(f"{ours.retry(numbers, per_second=per_second)} to be tried again")

    @group.command()
    @click.argument("no", type=int, nargs=-1, required=True)
    def discard(no: tuple[int, ...]) -> None:
        """Give up on messages: they are never handled, and what waits behind them goes on."""
        ours = letters()
        for one in no:
            ours.discard(one)
        click.echo(f"{len(no)} discarded")

    return group


def _node(service: Service, settings: Settings) -> Node:
    logs.configure(service.name)
    return Node(settings)


def _json(thing: Any, *, lines: bool = False) -> str:
    text = msgspec.json.encode(thing)
    return (text if lines else msgspec.json.format(text)).decode()
