"""The pytest plugin: ``pytest_plugins = ["deploy.replay.plugin"]``. Its fixtures are described in docs/replay.md.

Nothing of the platform is imported before a test asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from deploy.embedded import Platform
    from deploy.replay.calls import Called
    from deploy.replay.faults import Switch
    from deploy.replay.recording import Recording
    from deploy.replay.replaying import Difference
    from deploy.replay.world import World
    from shared.storage.copies import Tables

WORLDS = ["embedded", pytest.param("stack", marks=[pytest.mark.servers, pytest.mark.xdist_group("stack")])]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-tapes", action="store_true", help="write tapes anew instead of comparing with them")


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """All services in this process. Shared by all tests of it."""
    from deploy.embedded import Platform
    from shared.telemetry import logs

    logs.configure("tests", "WARNING")
    with Platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def embedded_world(platform: Platform) -> World:
    """The platform in one process, at rest, with an empty tape."""
    from deploy.replay.world import World

    platform.settle()
    return World(platform)


@pytest.fixture
def stack_world(request: pytest.FixtureRequest) -> World:
    """The platform on real servers, at rest, with an empty tape."""
    from deploy.replay.world import World

    stack = request.getfixturevalue("stack")
    stack.settle()
    return World(stack)


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    """The same story in both worlds."""
    found: World = request.getfixturevalue(f"{request.param}_world")
    return found


class Taping:
    """What the fixture `tape` gives. `folder` is where its tapes are: `tapes` beside the test."""

    def __init__(self, world: World, folder: Path, record: bool, calls: list[Called]) -> None:
        from deploy.story.tape import Tape

        self.world, self.folder, self._record, self._calls = world, folder, record, calls
        self._people = Tape(world.stores)
        self._people.news()

    def record(self, order_no: str) -> Recording:
        """What was said of the order's group until now, byte for byte, once nothing is under way; on the platform in
        one process also what provider and carrier have answered since this tape began."""
        from deploy.replay.recording import record

        self.world.settle()
        return record(self.world.stores, order_no, self._calls)

    def golden(self, name: str, order_no: str) -> None:
        """The story as people read it is that of `<name>.txt`; with ``--record-tapes`` it becomes that of today."""
        from deploy.replay.golden import compared, tape_of

        found = tape_of(self._people.news(), order_no.partition("-")[0])
        found, golden = compared(self.folder / f"{name}.txt", found, record=self._record)
        assert found == golden

    def before(self, service: str) -> Tables:
        """What the service's tables hold now: a base for a replay of what is about to be told."""
        from deploy import fleet
        from deploy.replay.sandbox import tables_of

        self.world.settle()
        return tables_of(fleet.member(service).service, self.world.stores[service])

    def from_here(self, service: str) -> dict[str, Any]:
        """What `replay` needs to begin in the middle of a story: ``replay(order_no, into=…, **tape.from_here(…))``."""
        from shared.kernel import clock

        return {"base": self.before(service), "since": clock.machine_now()}


@pytest.fixture
def tape(world: World, request: pytest.FixtureRequest) -> Iterator[Taping]:
    """Records what is told from here on; compares it with golden tapes."""
    from deploy.replay.calls import noted

    with noted() as calls:
        yield Taping(world, request.path.parent / "tapes", bool(request.config.getoption("--record-tapes")), calls)


Replay = Callable[..., "Difference"]


@pytest.fixture
def replay(request: pytest.FixtureRequest) -> Replay:
    """``replay(order_no | Recording | Path, into="order", order="same", base=None, seed=0)`` answers the difference.

    An order number needs the fixture `world`, and is compared with its store too.
    """
    from deploy import fleet
    from deploy.replay.recording import load
    from deploy.replay.replaying import replay
    from deploy.replay.sandbox import tables_of

    def run(what: str | Path | Recording, into: str, order: Any = "same", **how: Any) -> Difference:
        if isinstance(what, str):
            world: World = request.getfixturevalue("world")
            recording = request.getfixturevalue("tape").record(what)
            original = tables_of(fleet.member(into).service, world.stores[into])
            return replay(recording, into, order, original=original, **how)
        return replay(load(what) if isinstance(what, Path) else what, into, order, **how)

    return run


@pytest.fixture
def misdeliver(platform: Platform) -> Iterator[Switch]:
    """``misdeliver("order", duplicate=0.3, delay=0.1, seed=7)``: what the embedded bus does to a consumer until the
    test ends. Answers a counter of what it has done."""
    from deploy.replay.faults import misdelivered

    with ExitStack() as switched:

        def switch(consumer: str, **how: Any) -> Counter[str]:
            one = platform.dispatcher.consumers[consumer]
            return switched.enter_context(misdelivered(one, **how))

        yield switch
        platform.settle()
