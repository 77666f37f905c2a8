"""The stack with the floor beside it: one more gunicorn behind the same nginx, one more database on the same server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks import bare, floor
from deploy import fleet
from deploy.fleet import COMMONS, LIVE
from deploy.gateway.nginx import Options, configuration
from deploy.gateway.routes import Route, Table
from deploy.stack import Stack
from deploy.stack.processes import Job, await_ready, gunicorn, stop_jobs

FLOOR = "floor.web"
STOP_SECONDS = 40.0


class Bench(Stack):
    """See the module. Durable settings, one worker process a service, as many web workers as the fleet says."""

    def __init__(self) -> None:
        super().__init__(durable=True, keep=False)

    @property
    def services(self) -> list[str]:
        return [one.name for one in self.members]

    @contextmanager
    def postgres_connection(self) -> Iterator[psycopg.Connection[Any]]:
        """The administrator's, in autocommit."""
        url = self.postgres.url().replace("+psycopg", "", 1)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection

    def stop_worker(self, service: str) -> None:
        """Return when the service's worker has given everything back and ended."""
        stop_jobs([self.jobs[f"{service}.worker.0"]], STOP_SECONDS)

    def start_worker(self, service: str) -> None:
        """Return when it is ready."""
        self.restart(service, "worker")

    def start_floor(self, counted: floor.Census) -> None:
        """Serve the floor, sized by `counted`, with the very settings that order's web process has."""
        password = self._password("floor")
        url = self.postgres.create_database("floor", "floor", password)
        floor.create(url, counted)
        like = self.jobs["order.web"]
        env = {**like.env, "CARAVAN_DATABASE_URL": url, "CARAVAN_BIND": f"127.0.0.1:{self._port(FLOOR)}"}
        command = gunicorn(f"benchmarks.floor:create_app({dict(counted)!r})")
        job = Job(FLOOR, command, env, self.home / "logs" / f"{FLOOR}.log", f"http://{env['CARAVAN_BIND']}/readyz")
        self.jobs[FLOOR] = job
        self.revive(FLOOR)
        await_ready([job], 60)

    def bare(self, counted: bare.Census, bodies: list[bytes]) -> bare.Bare:
        """How many of these messages a second the bare loop stores, in a database of its own, and at what cost."""
        url = self.postgres.create_database("bare", "bare", self._password("bare"))
        return bare.run(self.rabbit.amqp_url(), url, counted, bodies, self._servers_cpu)

    def _servers_cpu(self) -> float:
        used = self.cpu_seconds()
        return used["postgres"] + used["rabbit"]

    def _gateway(self) -> str:
        """nginx's configuration with one more route, made as all others are."""
        at = {name: [f"127.0.0.1:{port}"] for name, port in self.ports.items()}
        upstreams = {name: at[f"{name}.web"] for name in self.services} | {COMMONS: at[COMMONS]}
        upstreams |= {LIVE: at["order.live"], FLOOR: [f"127.0.0.1:{self._port(FLOOR)}"]}
        routes = Table([*fleet.table(self.members).routes, Route(floor.PATH, "POST", FLOOR)])
        options = Options(upstreams, f"127.0.0.1:{self.port}", preamble=self.nginx.preamble, workers="1")
        return configuration(routes, options)
