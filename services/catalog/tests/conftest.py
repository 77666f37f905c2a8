"""Stages for catalog."""

from collections.abc import Iterator

import pytest

from services.catalog.tests.makers import make_stage
from shared.testing.stage import Stage


@pytest.fixture
def stage(sqlite_url, tmp_path) -> Iterator[Stage]:
    one = make_stage(sqlite_url, tmp_path)
    yield one
    one.close()


@pytest.fixture
def both(database_url, tmp_path) -> Iterator[Stage]:
    """A stage on either kind of store."""
    one = make_stage(database_url, tmp_path)
    yield one
    one.close()
