"""All services in one process, on one port, with SQLite files: for a first look, for demonstrations, for tests.

    python -m deploy.embedded [--home DIR] [--port N] [--seed]

    with Platform(home) as platform:
        requests.get(f"{platform.url}/v1/…")

The same handlers, outbox, inbox and bytes as on PostgreSQL and RabbitMQ; `kill -9` loses nothing: started again
on the same folder, it goes on. The fake provider and the fake carrier run beside it on loopback ports of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
import msgspec

from deploy import fleet, seed
from deploy.commons import create_app as create_commons
from deploy.commons import is_operator
from deploy.fleet import COMMONS, FLEET, LIVE, Member
from deploy.gateway.wsgi import Gateway
from deploy.ops.platform import Platform as OperatedPlatform
from deploy.sandbox import carrier, provider
from deploy.sandbox.desk import Settings as DeskSettings
from deploy.sandbox.desk.desk import refuse_production
from deploy.sandbox.desk.signing import webhook_secret
from deploy.sandbox.door import Sandbox
from deploy.sandbox.faults import Undo
from deploy.sandbox.world import SETTLE_SECONDS, Desk, World
from deploy.serving import Server
from shared.kernel import clock
from shared.kernel.settings import Settings
from shared.messaging.embedded import Dispatcher
from shared.storage.database import Database
from shared.storage.migrate import migrate_vault
from shared.storage.unit_of_work import Node
from shared.storage.vault import Vault
from shared.telemetry import logs
from shared.web.auth import Verifier
from shared.web.factory import create_app

DESKS = (("provider", provider, "payments"), ("carrier", carrier, "carriers"))
HOME_SECONDS = 10.0
NO_VAULT = "sqlite://"
"""What a service gets that has no business with personal data: an empty vault in memory."""


class HomeTaken(RuntimeError):
    """Another process runs the platform in this folder."""


class Kept(msgspec.Struct):
    """What the folder keeps for the next start: secrets made once, and the desks' ports, which their answers name."""

    secret: str
    sandbox_key: str
    operator_password: str
    ports: dict[str, int] = {}


class Platform:
    """See the module. `start` returns when requests are answered; `stop` finishes what is under way."""

    def __init__(self, home: Path, *, port: int = 0, members: Sequence[Member] = FLEET) -> None:
        refuse_production()
        self.home, self.port, self.members = home.absolute(), port, tuple(members)
        self.nodes: dict[str, Node] = {}
        self._operator: tuple[str, str] | None = None
        self._stack = contextlib.ExitStack()

    # --- what others use ------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The one origin."""
        return self.server.url

    @property
    def stores(self) -> dict[str, Database]:
        """Every service's store, by service."""
        return {name: node.database for name, node in self.nodes.items()}

    @property
    def provider_url(self) -> str:
        return self.world.desks[0].url

    @property
    def carrier_url(self) -> str:
        return self.world.desks[1].url

    @property
    def sandbox_key(self) -> str:
        """Opens `/v1/sandbox`, and is what the provider and the carrier share with us."""
        return self.kept.sandbox_key

    @property
    def operator(self) -> tuple[str, str]:
        """The e-mail address and password of the platform's first operator, made when first asked for."""
        if self._operator is None:
            self._operator = seed.operator(self.nodes["account"], self.kept.operator_password)
        return self._operator

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Return once nothing is under way or due. Raises NotQuiet."""
        self.world.settle(seconds)

    def advance(self, **span: float) -> int:
        """Move business time (``days=15``) from deadline to deadline. Answers the number of stops. Raises NotQuiet."""
        return self.world.advance(timedelta(**span))

    def start(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def stop(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- putting it together --------------------------------------------------------------------------------

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_home()
        self.kept = self._recall()
        self.vault = Vault(f"sqlite:///{self.home}/vault.sqlite")
        self._stack.callback(self.vault.close)
        desks = {name: self._bind(name) for name, _, _ in DESKS}
        self.server = Server(self.port, name="gateway")
        for server in (*desks.values(), self.server):
            self._stack.callback(server.stop)
        for one in self.members:
            self.nodes[one.name] = node = Node(self._settings(one, desks), vault=self._vault_of(one))
            self._stack.callback(node.database.close)
        self._migrate()
        parts = [(one.service, self.nodes[one.name]) for one in self.members]
        self.dispatcher = Dispatcher(parts, self.home / "dispatcher.lock")
        clients = [Desk(name, desks[name].url, self.sandbox_key) for name, _, _ in DESKS]
        self.world = World(self.stores, fleet.subscribers(self.members), clients, self.dispatcher.wake)
        self._stack.callback(self.world.close)
        for name, module, callbacks in DESKS:
            self._open_desk(name, desks[name], module.create_app, callbacks)
        self.dispatcher.start()
        self._stack.callback(self.dispatcher.stop)
        apps: dict[str, Any] = {service.name: create_app(service, node) for service, node in parts}
        apps[LIVE] = apps.get("order")
        ours = OperatedPlatform(self.nodes)
        apps[COMMONS] = create_commons(self._sandbox(), ours)
        self._stack.callback(self.server.stop)
        self.server.start(Gateway(fleet.table(self.members), {name: app for name, app in apps.items() if app}, LIVE))
        self._remember()

    def _vault_of(self, one: Member) -> Vault:
        return self.vault if one.vault != "none" else Vault(NO_VAULT)

    def _settings(self, one: Member, desks: dict[str, Server]) -> Settings:
        return Settings(
            service=one.name,
            database_url=f"sqlite:///{self.home}/{one.store}.sqlite",
            vault_url=self.vault.database.url,
            secret=self.kept.secret,
            public_url=self.server.url,
            provider_url=desks["provider"].url,
            provider_secret=self.sandbox_key,
            carrier_url=desks["carrier"].url,
            carrier_secret=self.sandbox_key,
            outbound_allowed=("127.0.0.1/32",),
        )

    def _migrate(self) -> None:
        migrate_vault(self.vault.database)
        for one in self.members:
            one.service.migrate(self.nodes[one.name].database)

    def _open_desk(self, name: str, server: Server, make: Any, callbacks: str) -> None:
        """The provider or the carrier, with its callbacks led to our gateway."""
        address = f"{self.url}/v1/callbacks/{callbacks}/sandbox"
        settings = DeskSettings(
            self.home / name, address, self.sandbox_key, webhook_secret(self.sandbox_key), server.url
        )
        app = make(settings)
        self._stack.callback(app.extensions["desk"].stop)
        self._stack.callback(server.stop)
        server.start(app)

    def _bind(self, name: str) -> Server:
        """The desk's own port of last time, or another where that is taken."""
        try:
            server = Server(self.kept.ports.get(name, 0), name=name)
        except OSError:
            server = Server(name=name)
        self.kept.ports[name] = server.port
        return server

    def _sandbox(self) -> Sandbox:
        verifier = Verifier(self.nodes["account"].database)
        return Sandbox(
            self.world,
            url=self.url,
            key=self.sandbox_key,
            operator=lambda: self.operator,
            silence=self._silence,
            admit=lambda token: is_operator(verifier, token),
        )

    def _silence(self, service: str) -> Undo:
        consumer = self.dispatcher.consumers[service]

        def away(*_: object) -> None:
            raise OSError(f"{service} is away")

        vars(consumer)["handle"] = away

        def undo() -> None:
            del vars(consumer)["handle"]
            self.dispatcher.wake()

        return undo

    # --- the folder -----------------------------------------------------------------------------------------

    def _take_home(self) -> None:
        """One platform a folder; a predecessor that is just ending is waited for."""
        lock = self._stack.enter_context((self.home / "platform.lock").open("w"))
        until = clock.monotonic() + HOME_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if clock.monotonic() > until:
                    raise HomeTaken(f"another process runs the platform in {self.home}") from None
                clock.pause(0.05)

    def _recall(self) -> Kept:
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode((self.home / "platform.json").read_bytes(), type=Kept)
        one = secrets.token_urlsafe
        return Kept(one(32), one(32), one(18))

    def _remember(self) -> None:
        write_private(self.home / "platform.json", msgspec.json.encode(self.kept))


def write_private(path: Path, data: bytes) -> None:
    """Written aside and renamed, so that a death leaves the old or the new; readable by its owner only."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@click.command()
@click.option("--home", type=click.Path(path_type=Path), default="build/run", help="The folder of all stores.")
@click.option("--port", type=int, default=8080, show_default=True)
@click.option("--seed/--no-seed", "sow", default=True, help="Make an operator and categories, once (the default).")
def main(home: Path, port: int, sow: bool) -> None:
    """All services in one process, until SIGTERM or Ctrl-C."""
    logs.configure("embedded", "WARNING")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Platform(home, port=port) as platform:
        email, password = platform.operator
        click.echo(f"Operator: {email} / {password}")
        click.echo(f"Caravan answers on {platform.url} (stores in {platform.home})")
        stop.wait()
        click.echo("Stopping")


if __name__ == "__main__":
    main()
