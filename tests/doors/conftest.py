"""One house for all that knocks at its doors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.embedded import Platform
from tests.doors.house import House


@pytest.fixture(scope="session")
def house(platform: Platform) -> Iterator[House]:
    platform.settle()
    yield House(platform)
    platform.settle()
