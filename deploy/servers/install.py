"""Finds the programs of the servers on this machine and, where it may, installs them."""

import contextlib
import fcntl
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.servers.process import ServerError

# Programs for administrators are not on everyone's PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
SERVERS = ("postgres", "rabbit", "nginx")
"""What a platform stands on. Tests need promtool beside it, which checks what Prometheus is told."""
TESTED = (*SERVERS, "promtool")
_PACKAGES = {
    "postgres": "postgresql", "rabbit": "rabbitmq-server", "nginx": "nginx", "promtool": "prometheus",
    "docker": "docker.io", "compose": "docker-compose", "debootstrap": "debootstrap",
}  # fmt: skip
# Where a package's service is not named like it.
_UNITS = {"docker.io": ("docker.socket", "docker.service", "containerd.service")}
_POLICY = Path("/usr/sbin/policy-rc.d")


def _postgres() -> Path | None:
    """The folder with the newest PostgreSQL's programs."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    on_path = shutil.which("initdb", path=_PATH)
    return Path(on_path).resolve().parent if on_path else None


def _rabbit() -> Path | None:
    """The folder with RabbitMQ's own scripts, not with the distribution's wrappers, which want to be root."""
    for scripts in (Path("/usr/lib/rabbitmq/bin"), Path("/opt/rabbitmq/sbin")):
        if (scripts / "rabbitmq-server").exists():
            return scripts
    on_path = shutil.which("rabbitmq-server", path=_PATH)
    return Path(on_path).parent if on_path else None


def _program(name: str) -> Path | None:
    on_path = shutil.which(name, path=_PATH)
    return Path(on_path) if on_path else None


_FINDERS: dict[str, Callable[[], Path | None]] = {
    "postgres": _postgres,
    "rabbit": _rabbit,
    "nginx": lambda: _program("nginx"),
    "promtool": lambda: _program("promtool"),
    "docker": lambda: _program("dockerd"),
    "compose": lambda: _program("docker-compose"),
    "debootstrap": lambda: _program("debootstrap"),
}


def find(name: str) -> Path:
    """Where a server's programs are: a folder for postgres and rabbit, the program itself for all others.

    Raises ServerError saying what to install when they are missing.
    """
    found = _FINDERS[name]()
    if found is None:
        raise ServerError(
            f"{name} is not installed: install your system's package {_PACKAGES[name]!r} "
            "(on Debian or Ubuntu, `make servers` does it when run as root)"
        )
    return found


def missing(*names: str) -> list[str]:
    """Those of the named servers (default: those that tests need) that are not installed."""
    return [name for name in names or TESTED if _FINDERS[name]() is None]


def ensure_installed(*names: str) -> None:
    """See to it that the named servers (default: those that tests need) are installed; root on Debian or
    Ubuntu can add them.

    The packages' own services are neither started nor enabled. Raises ServerError when one stays missing.
    """
    if not missing(*names):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with _alone():
            if absent := missing(*names):  # another process may have done it while we waited
                _apt_install([_PACKAGES[name] for name in absent])
    for name in names or TESTED:
        find(name)


def versions(*names: str) -> dict[str, str]:
    """The versions of the named programs (default: the servers); raises ServerError when one is missing."""
    return {name: _VERSIONS[name]() for name in names or SERVERS}


@functools.cache
def rabbit_version() -> str:
    """RabbitMQ's version, from the name of its folder: asking it starts Erlang, which takes a second."""
    scripts = (find("rabbit") / "rabbitmq-server").resolve()
    if match := re.search(r"rabbitmq_server-([\d.]+)", str(scripts)):
        return match[1]
    return _version(find("rabbit") / "rabbitmqctl", "version")


def _version(program: Path, option: str) -> str:
    said = subprocess.run([program, option], capture_output=True, text=True, check=True)
    match = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return match[0] if match else "unknown"


_VERSIONS: dict[str, Callable[[], str]] = {
    "postgres": lambda: _version(find("postgres") / "postgres", "--version"),
    "rabbit": rabbit_version,
    "nginx": lambda: _version(find("nginx"), "-v"),
    "promtool": lambda: _version(find("promtool"), "--version"),
}


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One installing process at a time."""
    with (Path(tempfile.gettempdir()) / "caravan-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apt_install(packages: list[str]) -> None:
    print(f"Installing {', '.join(packages)} with apt-get (their services stay off)", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]
    with _no_service_starts():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            if subprocess.run([*apt, *command], env=environment, stdin=subprocess.DEVNULL, check=False).returncode:
                raise ServerError(f"apt-get {command[0]} failed; install {', '.join(packages)} by hand")
    if shutil.which("systemctl"):  # nor do they start with the machine
        for unit in (unit for package in packages for unit in _UNITS.get(package, (package,))):
            subprocess.run(["systemctl", "--quiet", "disable", unit], capture_output=True, check=False)


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian asks this file whether a package may start its service; 101 means no."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
