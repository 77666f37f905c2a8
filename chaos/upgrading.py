"""A stack that is upgraded while orders flow: it begins with the services of an earlier release, in that release's own
files and on stores that its own migrations made; this tree's are put beside them, then the earlier ones leave.

Servers, gateway, provider and carrier are the same all the while, and libraries those of this tree.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from chaos.ground import Ground
from chaos.release import lay_out, previous
from deploy.fleet import FLEET, Member
from deploy.seed import OPERATOR
from deploy.servers import ServerError
from deploy.stack import stores
from deploy.stack.nursery import ROOT
from deploy.stack.processes import Job, await_ready, python, stop_jobs
from deploy.stack.stack import READY_SECONDS, STOP_SECONDS
from shared.storage.database import Database

GENERATIONS = 2


class Upgraded(Ground):
    """See the module. `revision` is the earlier release, by default the one before this (see `chaos.release`).

    Raises NoRelease when it is not here.
    """

    def __init__(self, revision: str = "", *, scale: Mapping[str, int] | None = None) -> None:
        scale = dict(scale or {})
        super().__init__(scale=scale, shards=GENERATIONS * max(scale.values(), default=1))
        self.earlier = self.home / "earlier"
        try:
            self.commit = lay_out(revision or previous(), self.earlier)
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise

    @property
    def operator(self) -> tuple[str, str]:
        """Made by the earlier release's own command."""
        if self._operator is None:
            self._operator = OPERATOR, self.kept.operator_password
            env = {"CARAVAN_OPERATOR_PASSWORD": self.kept.operator_password}
            self._command(self.earlier, FLEET[0], "create-operator", "--email", OPERATOR, env=env)
        return self._operator

    def migrate(self, tree: Path = ROOT) -> None:
        """Bring every store to where a release wants it."""
        for one in self.members:
            self._command(tree, one, "migrate")

    def declare(self) -> None:
        """The broker gets all queues and bindings of this tree, before anybody says what needs them."""
        for one in self.members:
            self._command(ROOT, one, "topology")

    def join(self, one: Member) -> None:
        """This tree's processes of a service begin to work beside the earlier ones, behind the same gateway."""
        beside = [self._web(one, "web", "create_app()", place=".1")]
        if one.live:
            beside.append(self._web(one, "live", "create_live()", "-k", "gevent", place=".1"))
        number = self.scale.get(one.name, 1)
        beside += [self._worker(one, number + more) for more in range(number)]
        self.jobs |= dict(beside)
        for _, job in beside:
            self._launch(job)
        await_ready([job for _, job in beside], READY_SECONDS)
        self.nginx.reload(self._gateway())

    def leave(self, one: Member) -> None:
        """The earlier processes of a service finish what they have begun, and are gone."""
        going = self.of_the_earlier(one)
        for job in going:
            del self.jobs[job.name]
        self.nginx.reload(self._gateway())
        stop_jobs(going, STOP_SECONDS)

    def of_the_earlier(self, *members: Member) -> list[Job]:
        names = {one.name for one in members or self.members}
        return [job for job in self.jobs.values() if job.tree == self.earlier and job.name.partition(".")[0] in names]

    def _plan(self) -> Iterator[tuple[str, Job]]:
        for name, job in super()._plan():
            if "." in name:
                job.tree = self.earlier
            yield name, job

    def _open_stores(self) -> None:
        stores.create(self.postgres, self.members, self._password)
        self.stores = {one.name: Database(self.urls[one.name], pool_size=2) for one in self.members}
        with self._timed("migrations"):
            self.migrate(self.earlier)

    def _command(self, tree: Path, one: Member, *words: str, env: Mapping[str, str] | None = None) -> None:
        """A service's own command, in a release's files. Raises ServerError with what it said."""
        like = next(job for name, job in self.jobs.items() if name.startswith(f"{one.name}.worker."))
        done = subprocess.run(
            python("-m", f"services.{one.name}", *words), cwd=tree, env={**like.env, **(env or {})},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise ServerError(f"{one.name} {words[0]} failed in {tree.name}: {done.stderr[-2000:]}")
