"""The platform as docker-compose.yml has it, under a project name, secrets and loopback ports of its own."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from deploy import fleet
from deploy.containers.engine import Engine, EngineError, run
from deploy.containers.images import ROOT, ensure_images
from deploy.fleet import FLEET
from deploy.rabbitmq.rights import VHOST, variable
from deploy.sandbox.desk.desk import refuse_production
from deploy.sandbox.world import SETTLE_SECONDS, Desk, World
from deploy.servers import Authority, ServerError, free_port, wait_until
from shared.storage.database import Database

PLAIN = ("docker-compose.yml", "deploy/containers/sandbox.yml", "deploy/containers/proof.yml")
PRODUCTION = "deploy/containers/production.yml"
OPEN_SECONDS = 120.0
DESKS = ("provider", "carrier")
EMAIL, PASSWORD_VARIABLE = "operator@caravan.example", "CARAVAN_OPERATOR_PASSWORD"  # noqa: S105  (a name)


class Containers:
    """The grounds of a story, as the stack is: built, started and, at the end, thrown away with its volumes.

    With `tls` production's overlay is on, with certificates of an authority of its own. Starting and every command
    raise EngineError with what compose said.
    """

    def __init__(self, engine: Engine, *, tls: bool = False) -> None:
        refuse_production()
        self.engine, self.tls = engine, tls
        self.files = (*PLAIN, PRODUCTION) if tls else PLAIN
        self.project = f"caravan-proof-{secrets.token_hex(3)}"
        self.folder = Path(tempfile.mkdtemp(prefix="caravan-containers-"))
        self.ports = {name: free_port() for name in ("gateway", "provider", "carrier", "postgres", "rabbitmq")}
        self.sandbox_key = secrets.token_urlsafe(32)
        self.stores: dict[str, Database] = {}
        self.timings: dict[str, float] = {}
        self._password = secrets.token_urlsafe(18)
        self._known = False
        self.authority: str | bool = self._certify() if tls else True
        self._variables = self._describe()
        self._compose = engine.compose_command()

    # --- what stories use -----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The gateway."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.ports['gateway']}"

    @property
    def provider_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['provider']}"

    @property
    def carrier_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['carrier']}"

    @property
    def operator(self) -> tuple[str, str]:
        """The first operator's e-mail address and password, made as operations.md says when first asked for."""
        if not self._known:
            variable = f"{PASSWORD_VARIABLE}={self._password}"
            self.inside("account-web", "python", "-m", "services.account", "create-operator", "--email", EMAIL,
                        environment=variable)  # fmt: skip
            self._known = True
        return EMAIL, self._password

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Return once nothing is under way or due. Raises NotQuiet."""
        self.world.settle(seconds)

    def advance(self, **span: float) -> int:
        """Move business time (``days=15``) from deadline to deadline. Answers the number of stops. Raises NotQuiet."""
        return self.world.advance(timedelta(**span))

    def broker_url(self, user: str, *, tls: bool) -> str:
        """Where this user reaches the broker from out here."""
        where = f"://{user}:{self._variables[variable(user)]}@127.0.0.1:{self.ports['rabbitmq']}/{VHOST}"
        return f"amqps{where}?cacertfile={self.authority}" if tls else f"amqp{where}"

    # --- what engineers use ---------------------------------------------------------------------------------

    def compose(self, *arguments: str, seconds: float = 600) -> str:
        """Run compose on the project and return what it prints."""
        command = [*self._compose, "--project-name", self.project, "--env-file", str(self.folder / "env")]
        for name in self.files:
            command += ["--file", str(ROOT / name)]
        return run([*command, *arguments], self._environment(), cwd=ROOT, seconds=seconds)

    def inside(self, service: str, *command: str, environment: str = "") -> str:
        """What a command says in the first container of a service."""
        given = ["--env", environment] if environment else []
        return self.compose("exec", "-T", *given, service, *command)

    def ids(self, service: str) -> list[str]:
        """Its containers, running or not."""
        return self.compose("ps", "--quiet", service).split()

    def running(self) -> list[str]:
        """The names of all containers that run."""
        return self._listed("{{.Names}}")

    def restarts(self, container: str) -> int:
        """How often the engine has started it again."""
        return int(self.engine.docker("inspect", "--format", "{{.RestartCount}}", container))

    def crash(self, container: str) -> None:
        """kill -9 of all that runs in one of ours, under its init, which then ends too.

        Not `docker kill`, after which the engine takes the end for wanted and does not start it again.
        """
        with contextlib.suppress(EngineError):  # the shell that says it dies with the rest
            self.engine.docker("exec", container, "sh", "-c", "kill -9 -1")

    def up(self, *arguments: str) -> None:
        """Start what does not run, in order, and return when the gateway, the provider and the carrier answer."""
        try:
            self.compose("up", "--detach", "--no-build", *arguments)
        except EngineError as error:
            raise EngineError(f"{error}\n{self._ailing()}") from error
        try:
            wait_until(self._is_open, OPEN_SECONDS, "the gateway, the provider or the carrier does not answer")
        except ServerError as error:
            raise EngineError(f"{error}\n{self._ailing()}") from error

    def _is_open(self) -> bool:
        # The desks start after the gateway, so compose has not waited for them.
        asked = (f"{self.url}/v1/shops", f"{self.provider_url}/health", f"{self.carrier_url}/health")
        with contextlib.suppress(requests.RequestException):
            return all(requests.get(url, timeout=5, verify=self.authority).status_code < 500 for url in asked)
        return False

    def _ailing(self) -> str:
        """The last words of those that are not well."""
        found = self._listed("{{.Names}}\t{{.Status}}", "--all")
        ailing = [line for line in found if re.search(r"unhealthy|Restarting|Exited \([^0]", line)]
        logs = [self.engine.docker("logs", "--tail", "15", line.split("\t")[0], with_errors=True) for line in ailing]
        return "\n".join(text for pair in zip(ailing, logs, strict=True) for text in pair)

    def _listed(self, form: str, *options: str) -> list[str]:
        ours = f"label=com.docker.compose.project={self.project}"
        return self.engine.docker("ps", *options, "--filter", ours, "--format", form).splitlines()

    def down(self, *arguments: str) -> None:
        """Stop and remove all containers; volumes stay, unless `--volumes` is given."""
        self.compose("down", "--timeout", "60", *arguments)

    # --- start and stop -------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Make the images, build ours, start all."""
        try:
            with self._timed("images"):
                ensure_images(self.engine)
            with self._timed("build"):
                self.compose("build", "migrate", seconds=1800)
            with self._timed("up"):
                self.up()
            self.stores = {one.name: Database(self.store_url(one.store), pool_size=2) for one in FLEET}
            desks = [Desk(name, f"http://127.0.0.1:{self.ports[name]}", self.sandbox_key) for name in DESKS]
            self.world = World(self.stores, fleet.subscribers(), desks)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Everything of the project goes: containers, networks, volumes, secrets."""
        if hasattr(self, "world"):
            self.world.close()
        for store in self.stores.values():
            store.close()
        try:
            self.compose("down", "--timeout", "1", "--volumes", "--remove-orphans")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- the environment ------------------------------------------------------------------------------------

    def _describe(self) -> Mapping[str, str]:
        """All that the compose files ask for, and the file that says it to compose."""
        asked = {name for file in self.files for name in re.findall(r"(?<!\$)\$\{(\w+)", (ROOT / file).read_text())}
        known = {name: secrets.token_hex(18) for name in asked if re.search("PASSWORD|SECRET", name)}
        known |= {
            "CARAVAN_ENV": "development",
            "CARAVAN_VERSION": "proof",
            "CARAVAN_PUBLIC_URL": self.url,
            "CARAVAN_LISTEN": f"127.0.0.1:{self.ports['gateway']}",
            "CARAVAN_PROVIDER_URL": "http://provider:8091",
            "CARAVAN_CARRIER_URL": "http://carrier:8092",
            "CARAVAN_PROVIDER_SECRET": self.sandbox_key,
            "CARAVAN_CARRIER_SECRET": self.sandbox_key,
            "PROVIDER_LISTEN": f"127.0.0.1:{self.ports['provider']}",
            "CARRIER_LISTEN": f"127.0.0.1:{self.ports['carrier']}",
            "POSTGRES_PORT": str(self.ports["postgres"]),
            "BROKER_PORT": str(self.ports["rabbitmq"]),
            "BROKER_PORT_INSIDE": "5671" if self.tls else "5672",
            "BUILD_NETWORK": "host" if self.engine.own else "default",
        }
        if self.tls:  # the desks know no authority but the machine's: what they say goes to the services themselves
            known |= {
                "TLS_FOLDER": str(self.folder),
                "PAYMENT_CALLBACKS": "http://payment-web:8000",
                "CARRIER_CALLBACKS": "http://shipping-web:8000",
            }
        file = self.folder / "env"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in known.items()))
        return known

    def _environment(self) -> dict[str, str]:
        """The engine's, without whatever of ours the caller's own shell happens to set: that would come first."""
        return {name: value for name, value in self.engine.environment.items() if name not in self._variables} | {
            "COMPOSE_HTTP_TIMEOUT": "300"
        }

    def store_url(self, name: str) -> str:
        """Where the owner of this store reaches it from out here."""
        password = self._variables[f"{name.upper()}_DB_PASSWORD"]
        verified = f"?sslmode=verify-full&sslrootcert={self.authority}" if self.tls else ""
        return f"postgresql+psycopg://{name}:{password}@127.0.0.1:{self.ports['postgres']}/{name}{verified}"

    def _certify(self) -> str:
        """A certificate for each server, under the name it is called by in there and the address it has out here."""
        authority = Authority(self.folder)
        for name in ("postgres", "rabbitmq"):
            authority.sign(name, "127.0.0.1")
        authority.sign("edge", "127.0.0.1")
        return str(authority.path)

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.timings[what] = time.monotonic() - begun
