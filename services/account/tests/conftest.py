"""A stage for account, and a machine clock that can be turned forward."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from services.account.tests.makers import make_stage
from shared.kernel import clock
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


@pytest.fixture
def wait(monkeypatch) -> Callable[..., None]:
    """`wait(minutes=16)` turns the machine's clock forward, for this thread: others keep a platform going."""
    ahead = threading.local()
    now, seconds = clock.machine_now, clock.machine_seconds

    def waited() -> timedelta:
        return getattr(ahead, "span", timedelta())

    def forward(**span: float) -> None:
        ahead.span = waited() + timedelta(**span)

    monkeypatch.setattr(clock, "machine_now", lambda: now() + waited())
    monkeypatch.setattr(clock, "machine_seconds", lambda: seconds() + waited().total_seconds())
    return forward
