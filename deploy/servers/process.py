"""What all private servers have in common: a folder, ports, processes of their own, and an orderly end."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import ClassVar, NamedTuple, Self

import msgspec

# Below the range that outgoing connections draw their ports from: a server that is killed and started again
# must find its port free, and no client's socket may have taken it meanwhile.
_PORTS = range(15_000, 32_000)


class ServerError(RuntimeError):
    """A server is missing, did not start or did not do as told; the text says what its log says."""


class Process(msgspec.Struct, frozen=True):
    """A process named so that it cannot be mistaken for a later one with the same number."""

    pid: int
    born: int  # clock ticks since boot

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this number now; raises ProcessLookupError when there is none."""
        stat = _stat(pid)
        if stat is None:
            raise ProcessLookupError(pid)
        return cls(pid, stat.born)

    @property
    def alive(self) -> bool:
        """Whether it runs; one that ended but was not yet waited for does not.

        Its first thread may end before the others, which still hold its files and ports.
        """
        stat = _stat(self.pid)
        return stat is not None and stat.born == self.born and (stat.state not in "ZX" or stat.threads > 1)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone."""
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def reap(self) -> None:
        """If it has ended and was started by us, take note of that, so that no zombie stays."""
        stat = _stat(self.pid)
        if stat is not None and stat.state == "Z" and stat.born == self.born:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)

    def children(self) -> "list[Process]":
        """The processes it has started itself and that still run."""
        return [child for parent, child in _everyone() if parent == self.pid and child.alive]

    def tree(self) -> "list[Process]":
        """Itself and all that descend from it, parents first."""
        offspring: dict[int, list[Process]] = {}
        for parent, child in _everyone():
            offspring.setdefault(parent, []).append(child)
        tree = [self] if self.alive else []
        for member in tree:
            tree.extend(offspring.get(member.pid, []))
        return tree


class _Stat(NamedTuple):
    state: str
    parent: int
    threads: int
    born: int


def _stat(pid: int) -> _Stat | None:
    """What the kernel tells of a process (proc_pid_stat(5)), or None."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return _Stat(fields[0], int(fields[1]), threads=int(fields[17]), born=int(fields[19]))


def _everyone() -> list[tuple[int, Process]]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))):
            found.append((stat.parent, Process(int(entry), stat.born)))
    return found


def wait_until(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Look often until it is done; raises ServerError(otherwise) after so many seconds."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise ServerError(f"{otherwise} (waited {seconds:g} s)")
        time.sleep(0.02)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that is free now; drawn by lot, so that two who ask at once do not collide."""
    lot = SystemRandom()
    return next(port for port in iter(lambda: lot.choice(_PORTS), None) if port_is_free(port))


def accepts(port: int) -> bool:
    """Whether something on 127.0.0.1 takes connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class State(msgspec.Struct):
    """What another process has to know about a server to use it or to stop it; kept in its folder."""

    ports: dict[str, int]
    secrets: dict[str, str] = {}
    processes: dict[str, Process] = {}


class Server:
    """A server of our own on this machine: own folder, own ports on 127.0.0.1, no root, nothing shared.

    Given a folder, the server keeps its data there, and any process may construct it again from that folder
    to use or to stop it. Without one it lives in a temporary folder. `keep=False` throws the data away at
    the stop, which then need not be polite, so it is quick.
    """

    kind: ClassVar[str]
    user: ClassVar[str]  # who runs it when we are root
    ports: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path | None = None, *, keep: bool | None = None) -> None:
        self.keep = folder is not None if keep is None else keep
        self.folder = folder.resolve() if folder else Path(tempfile.mkdtemp(prefix=f"caravan-{self.kind}-"))
        self.state = self._recall()

    # -------------------------------------------------------------------------------------- for all to use
    @property
    def port(self) -> int:
        """The port on which clients are served."""
        return self.state.ports[self.ports[0]]

    @property
    def process(self) -> Process | None:
        """The server's main process, or None when it was never started."""
        return self.state.processes.get(self.kind)

    @property
    def running(self) -> bool:
        """Whether the main process lives; says nothing about its health."""
        return self.process is not None and self.process.alive

    def start(self) -> Self:
        """Start and return when clients are served; does nothing when it runs already.

        Raises ServerError, with the end of the server's log, when it does not come up.
        """
        if self.running:
            return self
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._own(self.folder)
            self._launch()
            self._await(self._ready, 90, "did not get ready")
        except BaseException:
            self.kill9()
            self._clear()
            raise
        return self

    def stop(self) -> None:
        """Stop all processes and, unless the data is kept, remove the folder; harmless when stopped."""
        try:
            if self.keep and self.running:
                self._halt()
        finally:
            self.kill9()
            self._clear()

    def kill9(self) -> None:
        """Crash: kill -9 of the server and all its processes at once; the data stays as it lies."""
        self._kill(*self.state.processes)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ----------------------------------------------------------------------------- for each kind to fill in
    def _launch(self) -> None:
        """Prepare the folder if it is new, and start the processes."""
        raise NotImplementedError

    def _ready(self) -> bool:
        raise NotImplementedError

    def _halt(self) -> None:
        """Ask the server politely to end, and wait for it."""
        raise NotImplementedError

    # --------------------------------------------------------------------------------- for the kinds to use
    def _secret(self, name: str) -> str:
        """The password of this name, made when first asked for."""
        if name not in self.state.secrets:
            self.state.secrets[name] = secrets.token_urlsafe(18)
            self._remember()
        return self.state.secrets[name]

    def _environment(self) -> dict[str, str]:
        """A small environment: no variable of the caller's may bend a private server."""
        return {"PATH": os.defpath + ":/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": str(self.folder)}

    def _spawn(self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        """Start a lasting process, leader of a session of its own, so that Ctrl-C spares it for `stop`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=env or self._environment(),
                start_new_session=True,
                umask=0o077,
                user=self._who,
                group=self._who,
                extra_groups=[] if self._who else None,
            )
        # It may outlive this object and this process; whoever stops it sees to its end, not Popen.
        child.returncode = 0
        self.state.processes[name] = Process.of(child.pid)
        self._remember()

    def _run(self, *command: str | Path, env: Mapping[str, str] | None = None, check: bool = True) -> str:
        """Run a short command as the server's user and return what it says; raises ServerError."""
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=env or self._environment(),
            timeout=120,
            check=False,
            umask=0o077,
            user=self._who,
            group=self._who,
            extra_groups=[] if self._who else None,
        )
        if check and done.returncode:
            raise ServerError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stdout.strip()}")
        return done.stdout

    def _await(self, done: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """`wait_until` that gives up at once when the server dies, and shows its log."""

        def done_or_dead() -> bool:
            return done() or not self.running

        try:
            wait_until(done_or_dead, seconds, otherwise)
        except ServerError as error:
            raise ServerError(f"{self.kind} {error}\n{self._tail()}") from None
        if not self.running:
            raise ServerError(f"{self.kind} ended by itself\n{self._tail()}")

    def _await_end(self, tree: Sequence[Process]) -> None:
        """Wait until all these have ended after a signal; raises ServerError."""
        wait_until(lambda: not any(one.alive for one in tree), 60, f"{self.kind} did not end when asked")
        self._reap()

    def _write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """A file in the folder that the server's user owns."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
        self._own(path)
        return path

    def _kill(self, *names: str) -> None:
        tree = [one for name in names if name in self.state.processes for one in self.state.processes[name].tree()]
        for one in tree:
            one.signal(signal.SIGKILL)
        wait_until(lambda: not any(one.alive for one in tree), 30, f"{self.kind} survived kill -9")
        self._reap()

    def _reap(self) -> None:
        for process in self.state.processes.values():
            process.reap()

    def _clear(self) -> None:
        self._reap()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ----------------------------------------------------------------------------------------- for itself
    @property
    def _who(self) -> str | None:
        return self.user if os.geteuid() == 0 else None

    def _own(self, path: Path) -> None:
        if self._who:
            shutil.chown(path, self._who, self._who)

    def _tail(self) -> str:
        try:
            return "\n".join((self.folder / f"{self.kind}.log").read_text(errors="replace").splitlines()[-25:])
        except FileNotFoundError:
            return "(it wrote no log)"

    def _recall(self) -> State:
        try:
            state = msgspec.json.decode((self.folder / "server.json").read_bytes(), type=State)
        except FileNotFoundError:
            return State({name: free_port() for name in self.ports})
        if not any(process.alive for process in state.processes.values()):
            # A folder of long ago: another program may have taken a port since.
            state.ports = {n: p if port_is_free(p) else free_port() for n, p in state.ports.items()}
        return state

    def _remember(self) -> None:
        # Written aside and renamed: another process may be reading it.
        fresh = self.folder / "server.json.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(self.state))
        fresh.replace(self.folder / "server.json")
