"""A container engine: the one that answers, or one of our own that ends with us.

Our own changes nothing on the machine: neither its firewall nor its routing. Containers see each other and nothing
beyond; what they publish is on loopback. Images stay in its folder, so that a second start finds them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from deploy.servers import Process, ServerError, ensure_installed, wait_until
from deploy.servers.install import find

READY_SECONDS = 60.0
END_SECONDS = 60.0
# If its standard input ends, whoever started us is gone: the engine is asked to end, and its containers with it.
_WATCHDOG = 'read -r _; [ "$(cut -d" " -f22 /proc/$0/stat 2>/dev/null)" = "$1" ] && kill "$0"; exit 0'


class EngineError(RuntimeError):
    """No engine answers and none can be started, or it refused a command; the text says what it said."""


class Engine:
    """What answers `docker`; `host` as in DOCKER_HOST, empty for the client's own choice; `own` if it ends with us."""

    def __init__(self, host: str = "", *, own: bool = False) -> None:
        self.host, self.own = host, own

    @property
    def environment(self) -> dict[str, str]:
        """For a process that talks to it."""
        # The builder that every engine has; the newer one is a plugin.
        return {**os.environ, "DOCKER_BUILDKIT": "0", **({"DOCKER_HOST": self.host} if self.host else {})}

    @property
    def build_options(self) -> list[str]:
        """What `docker build` needs to reach packages: our own engine lends its containers no way out."""
        return ["--network", "host"] if self.own else []

    def docker(
        self, *arguments: str, stdin: IO[bytes] | None = None, seconds: float = 600, with_errors: bool = False
    ) -> str:
        """Run `docker` and return what it prints. Raises EngineError."""
        command = ["docker", *arguments]
        return run(command, self.environment, stdin=stdin, seconds=seconds, with_errors=with_errors)

    def answers(self) -> bool:
        try:
            return bool(self.version())
        except EngineError:
            return False

    def version(self) -> str:
        return self.docker("version", "--format", "{{.Server.Version}}", seconds=20).strip()

    def compose_command(self) -> list[str]:
        """`docker compose`, or the older program of its own. Raises EngineError."""
        with contextlib.suppress(EngineError):
            self.docker("compose", "version", seconds=20)
            return ["docker", "compose"]
        if shutil.which("docker-compose") is None:
            raise EngineError("neither `docker compose` nor docker-compose is installed")
        return ["docker-compose"]


def run(
    command: list[str],
    environment: Mapping[str, str],
    *,
    stdin: IO[bytes] | None = None,
    cwd: Path | None = None,
    seconds: float = 600,
    with_errors: bool = False,
) -> str:
    """What a command prints on standard output, `with_errors` on standard error too.

    Raises EngineError with the end of what it said.
    """
    try:
        done = subprocess.run(
            command, env=dict(environment), stdin=stdin or subprocess.DEVNULL, capture_output=True, cwd=cwd,
            timeout=seconds, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise EngineError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{' '.join(command[:3])} took more than {seconds:g} s") from error
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise EngineError(f"{' '.join(command)} ended with {done.returncode}\n{said[-4000:]}")
    return (done.stdout + (done.stderr if with_errors else b"")).decode(errors="replace")


@contextlib.contextmanager
def engine(home: Path | None = None) -> Iterator[Engine]:
    """The engine that answers on this machine; else one of our own, started now and stopped at the end.

    `home` is where ours keeps its images. Raises EngineError when there is none to be had, saying why.
    """
    there = Engine()
    if there.answers():
        yield there
        return
    with _started(home or default_home()) as own:
        yield own


def default_home() -> Path:
    """Where our own engine keeps its images: in the user's cache, as they are made from packages again at any time."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache") / "caravan" / "engine"


@contextlib.contextmanager
def _started(home: Path) -> Iterator[Engine]:
    if os.geteuid():
        raise EngineError("no container engine answers (`docker version`), and only root can start one")
    try:
        ensure_installed("docker", "compose")
    except ServerError as error:
        raise EngineError(f"no container engine answers, and none can be installed: {error}") from error
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time has the folder; others wait for its end
        had_bridge = _bridge().exists()
        daemon = _launch(home)
        own = Engine(f"unix://{home}/docker.sock", own=True)
        watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, str(daemon.pid), str(daemon.born)], stdin=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        try:
            _await(own, daemon, home)
            _sweep(own)
            yield own
        finally:
            _end(daemon)
            if watchdog.stdin is not None:
                watchdog.stdin.close()
            watchdog.wait(10)
            if not had_bridge:
                subprocess.run(["ip", "link", "delete", _bridge().name], capture_output=True, check=False)


def _bridge() -> Path:
    """The interface that the engine makes and leaves behind."""
    return Path("/sys/class/net/docker0")


def _launch(home: Path) -> Process:
    command = [
        str(find("docker")), "--data-root", str(home / "data"), "--exec-root", str(home / "exec"),
        "--pidfile", str(home / "pid"), "--host", f"unix://{home}/docker.sock", "--log-level", "warn",
        "--ip", "127.0.0.1", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
    ]  # fmt: skip
    with (home / "log").open("wb") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"},
        )  # fmt: skip
    child.returncode = 0  # its end is seen to by number, below, as with every server of ours
    return Process.of(child.pid)


def _await(own: Engine, daemon: Process, home: Path) -> None:
    try:
        wait_until(lambda: own.answers() or not daemon.alive, READY_SECONDS, "it did not answer")
        if daemon.alive:
            return
        reason = "it ended by itself"
    except ServerError as error:
        reason = str(error)
    said = (home / "log").read_text(errors="replace").splitlines()[-15:]
    raise EngineError("\n".join([f"no container engine can run here: {reason}", *said]))


def _sweep(own: Engine) -> None:
    """What a run that was itself killed has left: the engine is ours alone, so all of it goes, images apart."""
    if left := own.docker("ps", "--all", "--quiet").split():
        own.docker("rm", "--force", "--volumes", *left)
    own.docker("volume", "prune", "--force")
    own.docker("network", "prune", "--force")


def _end(daemon: Process) -> None:
    daemon.signal(signal.SIGTERM)
    try:
        wait_until(lambda: not daemon.alive, END_SECONDS, "the engine did not end")
    finally:
        daemon.signal(signal.SIGKILL)
        daemon.reap()
