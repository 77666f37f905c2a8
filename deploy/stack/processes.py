"""Processes of our own programs: started in sessions of their own, told apart from strangers, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests

from deploy.servers import Process, ServerError

ROOT = Path(__file__).parents[2]
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
    """One program with its children, restartable. `health` is a URL that answers 200 when it is ready."""

    def __init__(
        self, name: str, command: Sequence[str | Path], env: Mapping[str, str], log: Path, health: str
    ) -> None:
        self.name, self.command, self.env, self.log, self.health = name, command, env, log, health
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, watchdog: Watchdog) -> None:
        """Start it; does not wait. Its output is added to its log."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT,
                env=dict(self.env), start_new_session=True,
            )  # fmt: skip
        watchdog.mind(self._child.pid)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The first process's. Raises ServerError when it was never started."""
        if self._child is None:
            raise ServerError(f"{self.name} was never started")
        return self._child.pid

    def pids(self) -> list[int]:
        """Its processes, parents first; empty when it is over."""
        if not self.running:
            return []
        return [one.pid for one in Process.of(self.pid).tree()]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the first process, or, when it is one that cannot be passed on, to all of them."""
        if self._child is None:
            return
        if number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            _signal_group(self._child.pid, number)
        elif self.running:
            self._child.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        if self._child is None:
            return True
        try:
            self._child.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """Whatever is left of it dies now."""
        if self._child is not None:
            _signal_group(self._child.pid, signal.SIGKILL)
            self._child.wait(10)

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
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
