"""The worlds in which stories are told. Each worker process of a test run has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.embedded import Platform
from deploy.stack import Stack
from shared.telemetry import logs
from tests.world import World


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """All services in this process."""
    logs.configure("tests", "WARNING")
    with Platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def embedded_world(platform: Platform) -> World:
    """The platform in one process, at rest, with an empty tape."""
    platform.settle()
    return World(platform)


@pytest.fixture
def stack_world(stack: Stack) -> World:
    """The platform on real servers, at rest, with an empty tape."""
    stack.settle()
    return World(stack)


@pytest.fixture(
    params=["embedded", pytest.param("stack", marks=[pytest.mark.servers, pytest.mark.xdist_group("stack")])]
)
def world(request: pytest.FixtureRequest) -> World:
    """The same story in both worlds."""
    found: World = request.getfixturevalue(f"{request.param}_world")
    return found
