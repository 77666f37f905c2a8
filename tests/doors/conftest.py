"""A house for each kind of guest: what one kind does to it, the next does not find."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.embedded import Platform
from tests.doors.house import House


@pytest.fixture(scope="session")
def premises(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of our own: operators who try every door suspend shops that other stories need."""
    with Platform(tmp_path_factory.mktemp("premises")) as platform:
        yield platform


@pytest.fixture(scope="module")
def house(premises: Platform) -> Iterator[House]:
    premises.settle()
    yield House(premises)
    premises.settle()
