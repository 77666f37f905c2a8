"""A house for each kind of guest: what one kind does to it, the next does not find."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.embedded import Platform
from tests.doors.house import House


@pytest.fixture(scope="module")
def house(platform: Platform) -> Iterator[House]:
    platform.settle()
    yield House(platform)
    platform.settle()
