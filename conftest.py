"""Fixtures for every test: real servers and fresh databases, schemas and vhosts on them.

The servers are started when the first test asks, once for all xdist workers (a file lock keeps the others
waiting), and stopped by the pytest process that was called, which outlives its workers. A missing server
fails the test: nothing is skipped. A test that stops, kills or alarms a server must start its own.
"""

import fcntl
import gc
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from _pytest.nodeid import NodeId
from hypothesis import Phase, settings

from deploy.servers import PostgresServer, Process, RabbitServer, Server
from shared.telemetry import logs

if TYPE_CHECKING:
    from deploy.stack import Stack

pytest_plugins = ["deploy.replay.plugin", "deploy.containers.plugin"]

# A busy machine is no reason to call a property false. No property of ours says what to aim for; schemathesis aims at
# accepted requests, which takes a third of its time and finds what the seeds have found before.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
settings.register_profile("caravan", deadline=None, phases=PHASES)
settings.register_profile("proof", deadline=None, phases=PHASES, max_examples=1000)  # --hypothesis-profile=proof
settings.load_profile("caravan")

LONG = (
    "stack", "doors", "shared/messaging/tests/test_brokers.py", "shared/messaging/tests/test_crashes.py",
    "shared/messaging/tests/test_rabbit.py", "deploy/tests/test_servers.py",
)  # fmt: skip
S = TypeVar("S", bound=Server)
_KINDS: dict[str, type[Server]] = {"postgres": PostgresServer, "rabbit": RabbitServer}
_MEMORY = Path("/dev/shm")  # noqa: S108  (what lies there has a folder of its own)
_ROOM = 4 * 2**30
_FOLDER = pytest.StashKey[Path]()


def _home() -> Path:
    """In memory where there is room: databases come and go by the hundred, a few hundred files each, and making files
    while others are being deleted costs a disk's file system more than all their contents."""
    is_roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    return (_MEMORY if is_roomy else Path(tempfile.gettempdir())) / f"caravan-tests-{os.getuid()}"


_HOME = _home()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-examples", type=int, default=20, help="requests invented for each operation")


# -------------------------------------------------------------- one set of servers a run
def pytest_configure(config: pytest.Config) -> None:
    # Named after the process in charge, so that a later run can tell that a folder's owner died.
    myself = Process.of(os.getpid())
    given = getattr(config, "workerinput", {}).get("caravan_folder")
    config.stash[_FOLDER] = Path(given) if given else _HOME / f"{myself.pid}-{myself.born}"
    logs.configure("tests", "WARNING")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["caravan_folder"] = str(node.config.stash[_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _stop_servers(config.stash[_FOLDER])


def pytest_collection_finish() -> None:
    """What has been imported by now stays: nobody needs to look through it for garbage."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around all others: before -m "not servers" makes its choice
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        if item.get_closest_marker("fuzz") is not None:
            item.add_marker(pytest.mark.timeout(45 * item.config.getoption("--fuzz-examples")))
        if {"postgres_server", "rabbit_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
        if item.get_closest_marker("xdist_group") is None:
            # A file's tests share fixtures, so they stay together; what runs on the stack shares one stack.
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
        if getattr(item.config.option, "loadgroup", False):
            _name_its_group(item)
    yield
    items.sort(key=_begins)  # after whoever shuffled them


def _begins(item: pytest.Item) -> int:
    """What takes minutes begins first, so that nobody waits for it alone at the end."""
    group = item.get_closest_marker("xdist_group")
    return LONG.index(group.args[0]) if group is not None and group.args[0] in LONG else len(LONG)


def _name_its_group(item: pytest.Item) -> None:
    """As xdist does, which writes the group where pytest 9.2 does not read it, so that nothing was grouped."""
    group = item.get_closest_marker("xdist_group")
    if group is not None and "@" not in item.nodeid.rpartition("]")[2]:
        item._id = NodeId.parse(f"{item.nodeid}@{group.args[0]}")


def _start(server: type[S], config: pytest.Config, **options) -> S:
    folder = config.stash[_FOLDER]
    _HOME.mkdir(exist_ok=True)
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _stop_orphans()
        folder.mkdir(exist_ok=True)
        for path in (_HOME, folder):
            path.chmod(0o755)  # the servers' users have to pass
    with (folder / f"{server.kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return server(folder / server.kind, keep=False, **options).start()


def _stop_servers(folder: Path) -> None:
    for kind, server in _KINDS.items():
        if (folder / kind).exists():
            server(folder / kind, keep=False).stop()
    shutil.rmtree(folder, ignore_errors=True)


def _stop_orphans() -> None:
    """Stop what a run left behind that was itself killed."""
    for folder in _HOME.glob("*-*"):
        pid, born = map(int, folder.name.split("-"))
        if not Process(pid, born).alive:
            _stop_servers(folder)


@pytest.fixture(scope="session")
def run_folder(pytestconfig: pytest.Config) -> Path:
    """A folder of this run, the same in all its processes; it goes when the run ends."""
    folder = pytestconfig.stash[_FOLDER]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> PostgresServer:
    """The run's PostgreSQL. Not durable, and shared: leave it running."""
    if pytestconfig.getoption("--servers") == "containers":
        lent: PostgresServer = request.getfixturevalue("postgres_container")
        return lent
    return _start(PostgresServer, pytestconfig, fsync=False)


@pytest.fixture(scope="session")
def rabbit_server(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> RabbitServer:
    """The run's RabbitMQ. Shared: leave it running, and its alarms alone."""
    if pytestconfig.getoption("--servers") == "containers":
        lent: RabbitServer = request.getfixturevalue("rabbit_container")
        return lent
    return _start(RabbitServer, pytestconfig)


# -------------------------------------------------------------- something fresh a test
@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh, empty database, owned by a role that may do nothing else."""
    name = f"t_{secrets.token_hex(8)}"
    yield postgres_server.create_database(name, "tester", "tester")
    postgres_server.drop_database(name)


@pytest.fixture
def rabbit_url(rabbit_server: RabbitServer) -> Iterator[str]:
    """A fresh, empty vhost, and a user who may do everything in it."""
    name = f"t-{secrets.token_hex(8)}"
    yield rabbit_server.add_vhost(name)
    rabbit_server.delete_vhost(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A fresh SQLite file, not yet made."""
    return f"sqlite:///{tmp_path / 'caravan.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same test on both kinds of store."""
    return str(request.getfixturevalue(f"{request.param}_url"))


# ------------------------------------------------------------------------ one platform on real servers a run
@pytest.fixture(scope="session")
def stack() -> Iterator["Stack"]:
    """All services as processes on real servers. Tests that use it are of the xdist group `stack`."""
    from deploy.stack import Stack  # most runs need none

    with Stack(durable=False) as stack:
        yield stack
