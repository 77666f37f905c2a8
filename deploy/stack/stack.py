"""See the package."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from deploy import fleet
from deploy.embedded import write_private
from deploy.fleet import COMMONS, FLEET, LIVE, Member
from deploy.gateway.nginx import Options, configuration
from deploy.ops.platform import Described
from deploy.rabbitmq import rights
from deploy.sandbox.desk.desk import refuse_production
from deploy.sandbox.desk.signing import webhook_secret
from deploy.sandbox.world import SETTLE_SECONDS, Desk, World
from deploy.servers import NginxServer, PostgresServer, RabbitServer, Server, free_port, start_all, stop_all, versions
from deploy.servers.process import port_is_free
from deploy.stack import stores
from deploy.stack.nursery import Nursery
from deploy.stack.processes import Job, Watchdog, await_ready, cpu_seconds, gunicorn, python, stop_jobs
from shared.kernel.settings import Settings
from shared.storage.database import Database
from shared.storage.unit_of_work import Node

READY_SECONDS = 120.0
STOP_SECONDS = 35.0
DESKS = (("provider", "payments"), ("carrier", "carriers"))


class Kept(msgspec.Struct):
    """What a folder keeps for the next start."""

    secret: str
    sandbox_key: str
    operator_password: str
    passwords: dict[str, str] = {}
    ports: dict[str, int] = {}
    shards: dict[str, int] = {}

    def spread(self, members: Sequence[Member], scale: Mapping[str, int], least: int = 1) -> None:
        """A shard for each worker; never fewer than last time, for the queues are there and facts lie in them."""
        for one in members:
            self.shards[one.name] = max(least, scale.get(one.name, 1), self.shards.get(one.name, 1))


class Stack:
    """See the package. `home`: where all data and logs are, a temporary folder if None; `keep` it at the end or not
    (by default a named folder is kept). `scale`: numbers of worker processes (``order=2``) or, with ``-web``, of
    gunicorn's workers, by service. `shards`: the least number for each service, to which its workers can grow while it
    runs. `brokers`: nodes of RabbitMQ, one cluster. `durable=False` is for tests: faster, and safe against all but a
    power cut.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        port: int = 0,
        scale: Mapping[str, int] | None = None,
        keep: bool | None = None,
        shards: int = 1,
        brokers: int = 1,
        durable: bool = True,
        members: Sequence[Member] = FLEET,
    ) -> None:
        refuse_production()
        self.keep = home is not None if keep is None else keep
        self.home = (home or Path(tempfile.mkdtemp(prefix="caravan-stack-"))).absolute()
        self.members, self.scale, self.durable, self.port = tuple(members), dict(scale or {}), durable, port
        self.shards, self.brokers = shards, brokers
        self.jobs: dict[str, Job] = {}
        self.stores: dict[str, Database] = {}
        self.timings: dict[str, float] = {}
        self._operator: tuple[str, str] | None = None
        self._settled: set[str] = set()
        self._watchdog: Watchdog | None = None
        self._nursery: Nursery | None = None

    # --- what others use ------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The one origin: nginx."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def provider_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['provider']}"

    @property
    def carrier_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['carrier']}"

    @property
    def sandbox_key(self) -> str:
        """Opens `/v1/sandbox`, and is what the provider and the carrier share with us."""
        return self.kept.sandbox_key

    @property
    def operator(self) -> tuple[str, str]:
        """The e-mail address and password of the platform's first operator, made when first asked for."""
        if self._operator is None:
            from deploy import seed

            settings = Settings("account", self.urls["account"], self.urls["vault"], secret=self.kept.secret)
            node = Node(settings)
            try:
                self._operator = seed.operator(node, self.kept.operator_password)
            finally:
                node.close()
        return self._operator

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Return once nothing is under way or due. Raises NotQuiet."""
        self.world.settle(seconds)

    def advance(self, **span: float) -> int:
        """Move business time (``days=15``) from deadline to deadline. Answers the number of stops. Raises NotQuiet."""
        return self.world.advance(timedelta(**span))

    def kill(self, service: str, role: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to all of a service's processes of one role (web, worker, live, or "" for a desk)."""
        for job in self._jobs_of(service, role):
            job.signal(number)

    def restart(self, service: str, role: str, *, wait: bool = True) -> None:
        """Start them again; those still running are first asked to end."""
        jobs = self._jobs_of(service, role)
        stop_jobs(jobs, STOP_SECONDS)
        for job in jobs:
            self._launch(job)
        if wait:
            await_ready(jobs, READY_SECONDS)

    def set_workers(self, service: str, number: int) -> None:
        """From now on so many workers of a service: more are started, or the last ones asked to end.

        At most as many work as it has shards; others stand by.
        """
        jobs = self._jobs_of(service, "worker")
        one = next(member for member in self.members if member.name == service)
        more = [self._worker(one, no) for no in range(len(jobs), number)]
        stop_jobs(jobs[number:], STOP_SECONDS)
        for job in jobs[number:]:
            del self.jobs[job.name]
        for name, job in more:
            self.jobs[name] = job
            self._launch(job)
        await_ready([job for _, job in more], READY_SECONDS)

    def revive(self, name: str) -> None:
        """Start a job that has ended by itself."""
        self._launch(self.jobs[name])

    def pids(self) -> dict[str, list[int]]:
        """Every process we started, by job."""
        found = {name: job.pids() for name, job in self.jobs.items()}
        for name, server in self.servers.items():
            found[name] = [one.pid for process in server.state.processes.values() for one in process.tree()]
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far: of each server, and of the services' processes together (desks and sandbox apart)."""
        groups: dict[str, list[int]] = {}
        for name, pids in self.pids().items():
            group = name if name in self.servers else "sandbox" if "." not in name else "services"
            groups.setdefault(group, []).extend(pids)
        return {name: cpu_seconds(pids) for name, pids in sorted(groups.items())}

    def _jobs_of(self, service: str, role: str) -> list[Job]:
        name = f"{service}.{role}" if role else service
        found = [job for key, job in self.jobs.items() if key == name or key.startswith(f"{name}.")]
        if not found:
            raise KeyError(f"no process {name!r}; there are {', '.join(self.jobs)}")
        return found

    # --- start and stop -------------------------------------------------------------------------------------

    def start(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything in order: no more requests, then workers, then what they stand on. Harmless twice."""
        nginx = self.servers.get("nginx") if hasattr(self, "servers") else None
        try:
            if nginx is not None:
                nginx.stop()
            last = [job for name, job in self.jobs.items() if "." not in name]
            patience = STOP_SECONDS if self.keep else 0.0  # what is thrown away needs no farewell
            stop_jobs([job for job in self.jobs.values() if job not in last], patience)
            stop_jobs(last, patience)
        finally:
            if hasattr(self, "world"):
                self.world.close()
            for store in self.stores.values():
                store.close()
            if nginx is not None:
                stop_all(*self.servers.values())
            if self._nursery is not None:
                self._nursery.stop()
                self._nursery = None
            if self._watchdog is not None:
                self._watchdog.dismiss()
                self._watchdog = None
            if not self.keep:
                shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self._prepare()
        postgres, rabbit, nginx = self.postgres, self.rabbit, self.nginx
        with self._timed("servers"), ThreadPoolExecutor(2) as pool:
            # RabbitMQ takes the longest by far: meanwhile the stores are made, and the services imported.
            broker = pool.submit(start_all, rabbit)
            store = pool.submit(start_all, postgres)
            fleet.table(self.members)
            store.result()
            for server in (postgres, rabbit):
                self._mind(server)
            self._open_stores()
            broker.result()
            start_all(*rabbit.mates)
            for server in (rabbit, *rabbit.mates):
                self._mind(server)
        with self._timed("processes"):
            for job in self.jobs.values():
                self._launch(job)
            nginx.start(self._gateway())
            self._mind(nginx)
            await_ready(list(self.jobs.values()), READY_SECONDS)
        self.world = World(self.stores, fleet.subscribers(self.members), self._desks())

    def _prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o755)  # the servers' own users have to pass
        for name in ("logs", "secret"):
            (self.home / name).mkdir(exist_ok=True)
        (self.home / "secret").chmod(0o700)
        self.kept = self._recall()
        self.kept.spread(self.members, self.scale, self.shards)
        self._settled.clear()
        self.postgres = PostgresServer(self.home / "postgres", keep=self.keep, fsync=self.durable)
        users = rights.users(self.members)
        self.rabbit = RabbitServer(self.home / "rabbit", keep=self.keep, users=users)
        names = [f"rabbit-{number}" for number in range(2, self.brokers + 1)]
        mates = {name: RabbitServer(self.home / name, keep=self.keep, users=users, joins=self.rabbit) for name in names}
        self.nginx = NginxServer(self.home / "nginx", keep=self.keep)
        self.servers: dict[str, Server] = {"postgres": self.postgres, "rabbit": self.rabbit, "nginx": self.nginx}
        self.servers |= mates
        for server in self.servers.values():
            server.folder.mkdir(exist_ok=True)  # it keeps its passwords there, which we need before it starts
        if self.port:
            self.nginx.state.ports["http"] = self.port
        self.port = self.nginx.port
        self.urls = stores.urls(self.postgres, self.members, self._password)
        self.ports = self.kept.ports
        self.jobs = dict(self._plan())
        write_private(self.home / "secret" / "kept.json", msgspec.json.encode(self.kept))
        self._watchdog, self._nursery = Watchdog(self.home / "secret"), Nursery()
        self._watchdog.mind(self._nursery.pid)

    def _open_stores(self) -> None:
        stores.create(self.postgres, self.members, self._password)
        self.stores = {one.name: Database(self.urls[one.name], pool_size=2) for one in self.members}
        with self._timed("migrations"):
            stores.migrate(self.members, self.stores, self.urls["vault"])

    def _launch(self, job: Job) -> None:
        if self._watchdog is None or self._nursery is None:
            raise RuntimeError("the stack is stopped")
        job.start(self._watchdog, self._nursery)

    def _mind(self, server: Server) -> None:
        for process in server.state.processes.values():
            if self._watchdog is not None:
                self._watchdog.mind(process.pid)

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.timings[what] = time.monotonic() - begun

    # --- what runs ------------------------------------------------------------------------------------------

    def _plan(self) -> Iterator[tuple[str, Job]]:
        """Every job, in the order of starting."""
        secret_file, world_file = self.home / "secret" / "desks.json", self.home / "secret" / "world.json"
        write_private(self.home / "secret" / "ops.json", msgspec.json.encode(self._described()))
        key = self.kept.sandbox_key
        write_private(secret_file, msgspec.json.encode({"api_key": key, "webhook_secret": webhook_secret(key)}))
        for one in self.members:
            yield self._web(one, "web", "create_app()")
            if one.live:
                yield self._web(one, "live", "create_live()", "-k", "gevent")
        for one in self.members:
            for number in range(self.scale.get(one.name, 1)):
                yield self._worker(one, number)
        for name, callbacks in DESKS:
            port = self._port(name)
            command = python(
                "-m", f"deploy.sandbox.{name}", "--port", str(port), "--home", self.home / name,
                "--callback-url", f"{self.url}/v1/callbacks/{callbacks}/sandbox", "--secret-file", secret_file,
            )  # fmt: skip
            yield name, self._job(name, command, {}, f"http://127.0.0.1:{port}/health")
        port = self._port(COMMONS)
        world = {
            "stores": {one.name: self.urls[one.name] for one in self.members},
            "vault": self.urls["vault"],
            "secret": self.kept.secret,
            "subscribers": fleet.subscribers(self.members),
            "desks": {"provider": self.provider_url, "carrier": self.carrier_url},
            "url": self.url,
            "key": key,
            "operator_password": self.kept.operator_password,
        }
        write_private(world_file, msgspec.json.encode(world))
        command = gunicorn(f"deploy.commons:create_sandbox({str(world_file)!r})")
        env = {"CARAVAN_BIND": f"127.0.0.1:{port}", "CARAVAN_WEB_THREADS": "4", "CARAVAN_MAX_REQUESTS": "0"}
        yield COMMONS, self._job(COMMONS, command, env, f"http://127.0.0.1:{port}/readyz")

    def _web(self, one: Member, role: str, factory: str, *options: str, place: str = "") -> tuple[str, Job]:
        """`place` tells it from others of its role that the gateway knows, as in `order.web.1`."""
        name = f"{one.name}.{role}{place}"
        port = self._port(name)
        processes = 1 if role == "live" else self.scale.get(f"{one.name}-web", one.web_workers)
        env = self._environment(one) | {
            "CARAVAN_BIND": f"127.0.0.1:{port}",
            "CARAVAN_WEB_WORKERS": str(processes),
            "CARAVAN_MAX_REQUESTS": "0",
        }
        if processes > 1:  # each counts for itself; this is where they add up
            env["PROMETHEUS_MULTIPROC_DIR"] = str(self.home / "metrics" / name)
        command = gunicorn(f"{one.module}:{factory}", *options)
        return name, self._job(name, command, env, f"http://127.0.0.1:{port}/readyz")

    def _worker(self, one: Member, number: int) -> tuple[str, Job]:
        name = f"{one.name}.worker.{number}"
        port = self._port(name)
        env = self._environment(one) | {"CARAVAN_WORKER_PORT": str(port)}
        command = python("-m", f"services.{one.name}", "work")
        return name, self._job(name, command, env, f"http://127.0.0.1:{port}/readyz")

    def _job(self, name: str, command: Sequence[str | Path], env: Mapping[str, str], health: str) -> Job:
        base: dict[str, str] = {
            name: os.environ[name] for name in ("PATH", "LANG", "HOME", "CARAVAN_CRASH_AT") if name in os.environ
        }
        base |= {"CARAVAN_ENV": "development", "CARAVAN_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        return Job(name, command, base | dict(env), self.home / "logs" / f"{name}.log", health)

    def _environment(self, one: Member) -> dict[str, str]:
        """What `shared.kernel.settings` reads."""
        vault = {"owner": self.urls["vault"], "reader": self.urls["vault_reader"], "none": "sqlite://"}[one.vault]
        return {
            "CARAVAN_DATABASE_URL": self.urls[one.name],
            "CARAVAN_VAULT_URL": vault,
            "CARAVAN_BROKER_URL": self.rabbit.amqp_url(one.name),
            "CARAVAN_SECRET": self.kept.secret,
            "CARAVAN_SHARDS": str(self.kept.shards[one.name]),
            "CARAVAN_PUBLIC_URL": self.url,
            "CARAVAN_PROVIDER_URL": f"http://127.0.0.1:{self._port('provider')}",
            "CARAVAN_PROVIDER_SECRET": self.kept.sandbox_key,
            "CARAVAN_CARRIER_URL": f"http://127.0.0.1:{self._port('carrier')}",
            "CARAVAN_CARRIER_SECRET": self.kept.sandbox_key,
            "CARAVAN_OUTBOUND_ALLOWED": "127.0.0.1/32",
        }

    def _described(self) -> Described:
        """What operators' tools must know."""
        return Described(
            stores={one.name: self.urls[one.name] for one in self.members},
            readers=stores.reading(self.postgres, self.members, self._password),
            shards={one.name: self.kept.shards[one.name] for one in self.members},
            broker=self.rabbit.amqp_url(),
            management=f"{self.rabbit.management_url}/{self.rabbit.vhost}",
        )

    def _gateway(self) -> str:
        upstreams = {one.name: self._at(f"{one.name}.web") for one in self.members} | {COMMONS: self._at(COMMONS)}
        upstreams |= {LIVE: self._at(f"{one.name}.live") for one in self.members if one.live}  # noqa: B035  (only one is)
        options = Options(upstreams, f"127.0.0.1:{self.port}", preamble=self.nginx.preamble, workers="1")
        return configuration(fleet.table(self.members), options)

    def _at(self, name: str) -> list[str]:
        """The addresses of a job, and of those that stand beside it."""
        return [f"127.0.0.1:{self.ports[key]}" for key in self.jobs if key == name or key.startswith(f"{name}.")]

    def _desks(self) -> list[Desk]:
        return [
            Desk("provider", self.provider_url, self.sandbox_key),
            Desk("carrier", self.carrier_url, self.sandbox_key),
        ]

    # --- the folder -----------------------------------------------------------------------------------------

    def _port(self, name: str) -> int:
        """The job's port: last time's, if it is free; else one that nobody has, here or elsewhere."""
        if name not in self._settled:
            taken = {port for server in self.servers.values() for port in server.state.ports.values()}
            taken |= {self.port, *(self.kept.ports[other] for other in self._settled)}
            port = self.kept.ports.get(name, 0)
            while not port or port in taken or not port_is_free(port):
                port = free_port()
            self.kept.ports[name] = port
            self._settled.add(name)
        return self.kept.ports[name]

    def _password(self, role: str) -> str:
        return self.kept.passwords.setdefault(role, secrets.token_hex(18))

    def _recall(self) -> Kept:
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode((self.home / "secret" / "kept.json").read_bytes(), type=Kept)
        return Kept(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(18))


def summary(stack: Stack) -> dict[str, Any]:
    """What is said at the start: versions, addresses, times."""
    return {
        "url": stack.url, "logs": str(stack.home / "logs"), "versions": versions(),
        "seconds": {name: round(value, 1) for name, value in stack.timings.items()},
    }  # fmt: skip
