"""Processes of our own programs: started in sessions of their own, told apart from strangers, and never left behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests

from deploy.servers import Process, ServerError
from deploy.stack.nursery import ROOT, Nursery

TICKS = os.sysconf("SC_CLK_TCK")
# If its standard input ends, whoever started us is gone: end what is on the list, each with its whole group.
_WATCHDOG = 'read -r _; [ -f "$0" ] && while read -r group; do kill -9 "-$group" 2>/dev/null; done < "$0"; exit 0'


class Watchdog:
    """Ends the listed process groups when this process dies without having done so, even by kill -9."""

    def __init__(self, folder: Path) -> None:
        self._list = folder / "groups"
        self._list.write_text("")
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, self._list], stdin=subprocess.PIPE, start_new_session=True
        )

    def mind(self, group: int) -> None:
        with self._list.open("a") as file:
            file.write(f"{group}\n")

    def dismiss(self) -> None:
        """All is stopped; there is nothing left to mind."""
        self._list.unlink(missing_ok=True)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)


class Job:
    """One program with its children, restartable. `health` is a URL that answers 200 when it is ready; `tree` is where
    its files are."""

    def __init__(
        self, name: str, command: Sequence[str | Path], env: Mapping[str, str], log: Path, health: str
    ) -> None:
        self.name, self.command, self.env, self.log, self.health = name, command, env, log, health
        self.tree = ROOT
        self._pid = 0
        self._end: int | None = None  # a descriptor of the process, that can be read once it has ended

    def start(self, watchdog: Watchdog, nursery: Nursery) -> None:
        """Start it; does not wait. Its output is added to its log."""
        self._forget()
        self._pid = nursery.start(self.command, self.env, self.log, self.tree)
        watchdog.mind(self._pid)
        with contextlib.suppress(ProcessLookupError):  # so soon
            self._end = os.pidfd_open(self._pid)

    @property
    def running(self) -> bool:
        return not self.wait(0)

    @property
    def pid(self) -> int:
        """The first process's. Raises ServerError when it was never started."""
        if not self._pid:
            raise ServerError(f"{self.name} was never started")
        return self._pid

    def pids(self) -> list[int]:
        """Its processes, parents first; empty when it is over."""
        if not self.running:
            return []
        return [one.pid for one in Process.of(self.pid).tree()]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the first process, or, when it is one that cannot be passed on, to all of them."""
        if number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            _signal_group(self._pid, number)
        elif self._end is not None and self.running:
            signal.pidfd_send_signal(self._end, number)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        if self._end is None:
            return True
        ended = select.poll()
        ended.register(self._end, select.POLLIN)
        return bool(ended.poll(max(0.0, seconds) * 1000))

    def end(self) -> None:
        """Whatever is left of it dies now."""
        _signal_group(self._pid, signal.SIGKILL)
        self.wait(10)
        self._forget()

    def _forget(self) -> None:
        if self._end is not None:
            os.close(self._end)
            self._end = None

    def is_ready(self) -> bool:
        """Raises ServerError, with the end of its log, when it has ended instead."""
        if not self.running:
            raise ServerError(f"{self.name} ended by itself\n{self.tail()}")
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.get(self.health, timeout=2).status_code == 200
            except requests.RequestException:
                return False

    def tail(self, lines: int = 25) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(it wrote no log)"


def await_ready(jobs: Sequence[Job], seconds: float) -> None:
    """Return when all are ready. Raises ServerError naming those that are not."""
    deadline, waiting = time.monotonic() + seconds, list(jobs)
    while waiting := [job for job in waiting if not job.is_ready()]:
        if time.monotonic() > deadline:
            names = ", ".join(job.name for job in waiting)
            raise ServerError(f"not ready after {seconds:g} s: {names}\n{waiting[0].tail()}")
        time.sleep(0.05)


def stop_jobs(jobs: Sequence[Job], seconds: float) -> None:
    """Ask all to end at once, wait, and kill who did not."""
    for job in jobs:
        job.signal(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    for job in jobs:
        job.wait(deadline - time.monotonic())
    for job in jobs:
        job.end()


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of these processes and of their children that have ended."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS


def python(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, *arguments]


def gunicorn(application: str, *options: str) -> list[str | Path]:
    return python("-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", *options, application)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if group:  # zero would be our own
            os.killpg(group, number)
