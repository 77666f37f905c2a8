"""A process that has imported what our programs need, and forks them: none imports it again.

What is decided while modules are imported is not decided again after it: programs that differ there are executed anew.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from deploy.fleet import FLEET
from deploy.servers import ServerError

ROOT = Path(__file__).parents[2]
PROGRAMS = ("gunicorn", "deploy.sandbox.provider", "deploy.sandbox.carrier", *(f"services.{one.name}" for one in FLEET))
IMPORTED = (
    "gunicorn.app.wsgiapp", "gunicorn.workers.gthread", "shared.runtime.cli", "shared.runtime.web",
    "shared.messaging.worker", "shared.messaging.health", "deploy.commons", "deploy.ops.door",
    "deploy.sandbox.provider", "deploy.sandbox.carrier", "deploy.sandbox.world", *(one.module for one in FLEET),
)  # fmt: skip
READ_ON_IMPORT = ("PROMETHEUS_MULTIPROC_DIR", "CARAVAN_CRASH_AT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Program(msgspec.Struct):
    """What to start, and in which tree of files."""

    command: list[str]
    env: dict[str, str]
    log: str
    tree: str = str(ROOT)

    @property
    def forks(self) -> bool:
        """Whether it is no other for what was imported before. (gevent changes modules, and has to come first.)"""
        known = self.command[:2] == [sys.executable, "-m"] and self.command[2] in PROGRAMS
        here = self.tree == str(ROOT)
        return here and known and "gevent" not in self.command and self.env.keys().isdisjoint(READ_ON_IMPORT)


class Nursery:
    """Started first, with the modules to import; what it has started lives on without it."""

    def __init__(self, imported: Sequence[str] = IMPORTED) -> None:
        self._process: Any = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()", *imported], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid

    def start(self, command: Sequence[str | Path], env: Mapping[str, str], log: Path, tree: Path = ROOT) -> int:
        """The process id, which is also its group's. Raises ServerError when the nursery is gone."""
        program = Program([str(part) for part in command], dict(env), str(log), str(tree))
        try:
            self._process.stdin.write(msgspec.json.encode(program) + b"\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())
        except (BrokenPipeError, ValueError) as error:
            raise ServerError(f"nothing can be started any more: {error!r}") from error

    def stop(self) -> None:
        """Harmless twice."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait(10)


def main() -> None:
    """Fork a program for each line; its first process returns from here as that program."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for them
    for line in sys.stdin.buffer:
        program = msgspec.json.decode(line, type=Program)
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.close(theirs)
            os.close(ours)
            return _become(program)
        os.close(ours)
        os.read(theirs, 1)  # until it leads a group of its own
        os.close(theirs)
        sys.stdout.write(f"{pid}\n")
    return None


def _become(program: Program) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with Path(program.log).open("ab") as log, Path(os.devnull).open("rb") as nothing:
        for number, file in enumerate((nothing, log, log)):
            os.dup2(file.fileno(), number)
    if not program.forks:
        os.chdir(program.tree)
        os.execve(program.command[0], program.command, program.env)  # noqa: S606  (what a stack is told to start)
    os.environ.clear()
    os.environ.update(program.env)
    _, _, module, *arguments = program.command
    sys.argv = ["", *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
