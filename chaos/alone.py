"""The embedded platform as a process of its own, to be fired at: all services, the provider and the carrier in one
process on SQLite files. Whatever hits one hits all, and started again on the same folder it must go on.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from chaos.child import patched
from deploy import fleet
from deploy.fleet import FLEET
from deploy.sandbox.world import Desk, World
from deploy.servers import ServerError, free_port
from deploy.stack.nursery import Nursery
from deploy.stack.processes import Job, Watchdog, await_ready, python, stop_jobs
from shared.storage.database import Database

NAME = "platform"
READY_SECONDS = 120.0
_OPERATOR = re.compile(r"^Operator: (\S+) / (.+)$", re.MULTILINE)


class Alone:
    """As much of a stack as it has: one job, the stores, the world."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="caravan-alone-"))
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        (self.home / "logs").mkdir()
        command = python("-m", "deploy.embedded", "--home", self.home, "--port", str(port))
        env = {"CARAVAN_ENV": "development", "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
        # In earnest it does not say what it handles; here its lines are evidence.
        job = Job(
            NAME,
            patched(command, ["talkative"]),
            env,
            self.home / "logs" / f"{NAME}.log",
            f"{self.url}/v1/events/catalog",
        )
        self.jobs = {NAME: job}
        self.stores: dict[str, Database] = {}

    def start(self) -> Self:
        self._watchdog, self._nursery = Watchdog(self.home), Nursery([])
        self.revive(NAME)
        await_ready(list(self.jobs.values()), READY_SECONDS)
        kept = msgspec.json.decode((self.home / "platform.json").read_bytes())
        self.sandbox_key: str = kept["sandbox_key"]
        self.provider_url, self.carrier_url = (
            f"http://127.0.0.1:{kept['ports'][name]}" for name in ("provider", "carrier")
        )
        self.stores = {one.name: Database(f"sqlite:///{self.home}/{one.store}.sqlite") for one in FLEET}
        desks = [Desk(name, url, self.sandbox_key) for name, url in self._desks()]
        self.world = World(self.stores, fleet.subscribers(), desks)
        return self

    def _desks(self) -> list[tuple[str, str]]:
        return [("provider", self.provider_url), ("carrier", self.carrier_url)]

    @property
    def operator(self) -> tuple[str, str]:
        """As the process says itself."""
        found = _OPERATOR.search(self.jobs[NAME].log.read_text(errors="replace"))
        if found is None:
            raise ServerError(f"it named no operator\n{self.jobs[NAME].tail()}")
        return found[1], found[2]

    def revive(self, name: str) -> None:
        self.jobs[name].start(self._watchdog, self._nursery)

    def settle(self, seconds: float = 60) -> None:
        """Return once nothing is under way or due. Raises NotQuiet."""
        self.world.settle(seconds)

    def advance(self, **span: float) -> int:
        """Move business time from deadline to deadline. Answers the number of stops. Raises NotQuiet."""
        return self.world.advance(timedelta(**span))

    def stop(self) -> None:
        stop_jobs(list(self.jobs.values()), 0)
        for store in self.stores.values():
            store.close()
        if hasattr(self, "world"):
            self.world.close()
        self._nursery.stop()
        self._watchdog.dismiss()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
