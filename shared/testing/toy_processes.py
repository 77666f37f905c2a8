"""The two toys as processes of their own, to be killed.

They are forked from one that has imported everything: a start is mostly imports, and these tests start dozens.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.messaging.embedded import Dispatcher
from shared.messaging.worker import Worker
from shared.runtime.service import Service
from shared.storage.unit_of_work import Node
from shared.telemetry import faults, logs
from shared.testing import toys
from shared.testing.worlds import World, eventually, make_node

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", __name__])


class ToyProcess:
    """Runs the toys as `given` says (broker_url, account and inventory as URLs of their stores, folder, ttl in seconds,
    services) until SIGTERM, or until it dies at `crash_at`. What it prints comes to `log`."""

    def __init__(self, given: dict[str, Any], log: Path, crash_at: str) -> None:
        self._process = _FORKS.Process(target=_begin, args=(given, log, crash_at), daemon=True)
        self._process.start()

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        """Its exit code. Raises TimeoutError when it still runs after so long."""
        self._process.join(seconds)
        if (code := self.poll()) is None:
            raise TimeoutError(f"the toys still run after {seconds:g} s")
        return code

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()


class ProcessWorld(World):
    """The toys in processes that may be killed; the test itself only speaks and looks."""

    processes: list[ToyProcess]
    folder: Path

    def launch(
        self, crash_at: str = "", ttl: float = 1.0, services: Sequence[str] = ("account", "inventory")
    ) -> ToyProcess:
        """A new process; `crash_at` is a name of `shared.telemetry.faults`."""
        given = {
            "broker_url": self.account.settings.broker_url,
            "account": self.account.settings.database_url,
            "inventory": self.inventory.settings.database_url,
            "folder": str(self.folder),
            "ttl": ttl,
            "services": services,
        }
        self.processes = [one for one in getattr(self, "processes", []) if one.poll() is None]
        process = ToyProcess(given, self.folder / "processes.log", crash_at)
        self.processes.append(process)
        return process

    def halt(self, process: ToyProcess) -> int:
        """End it in order; answers its exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(30)

    def log(self) -> str:
        return (self.folder / "processes.log").read_text()[-6000:]

    def settle(self) -> None:
        eventually(self.at_rest, "rest")

    def stop(self) -> None:
        for process in getattr(self, "processes", []):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(10)


def _begin(given: dict[str, Any], log: Path, crash_at: str) -> None:
    os.setsid()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faults.choose(crash_at)
    code = _run(given)
    sys.stderr.flush()
    os._exit(code)


def _run(given: dict[str, Any]) -> int:
    parent = os.getppid()  # who ends with its parent is never forgotten
    logs.configure("toys")
    folder = Path(given["folder"])
    made = {"account": toys.account, "inventory": toys.inventory}
    fleet: list[tuple[Service, Node]] = [
        (made[name](), make_node(name, given[name], given["broker_url"], folder)) for name in given["services"]
    ]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if given["broker_url"] == "embedded:":
        dispatcher = Dispatcher(fleet, folder / "dispatcher.lock")
        dispatcher.start()
        while not stop.wait(0.5) and os.getppid() == parent:
            continue
        dispatcher.stop()
        return 0
    subscribed = frozenset(key for make in made.values() for key in make().on.bindings())
    ttl = timedelta(seconds=given["ttl"])
    workers = [Worker(service, node, subscribed=subscribed, ttl=ttl) for service, node in fleet]
    for worker in workers:
        worker.start()
    while not stop.wait(0.1) and os.getppid() == parent and not any(worker.stopping.is_set() for worker in workers):
        continue
    for worker in workers:
        worker.stopping.set()
    for worker in workers:
        worker.stop()
    return max(worker.exit_code for worker in workers)
