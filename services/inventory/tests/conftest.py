"""What a test opened is closed after it."""

from collections.abc import Iterator

import pytest

from services.inventory.tests import makers


@pytest.fixture(autouse=True)
def close_stages() -> Iterator[None]:
    yield
    while makers.opened:
        makers.opened.pop().close()
