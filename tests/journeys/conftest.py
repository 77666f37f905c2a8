"""Whole-shop stories run twice: on the embedded platform, and on the stack through nginx and real processes.

One platform of each kind serves all journeys of a test process; every journey brings its own people and goods, and at
its end all invariants must hold over everything that ever happened there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from deploy.ops.invariants import recompute
from deploy.story.people import Grounds
from tests.ends import compare_ends, names_of
from tests.journeys.depot import Depot
from tests.journeys.market import Market
from tests.journeys.town import Town


@pytest.fixture(
    params=["platform", pytest.param("stack", marks=[pytest.mark.servers, pytest.mark.xdist_group("stack")])]
)
def grounds(request: pytest.FixtureRequest) -> Iterator[Grounds]:
    found: Grounds = request.getfixturevalue(request.param)
    found.settle()
    yield found
    found.settle()
    broken = [str(verdict) for verdict in recompute(found.stores) if verdict.breaches]
    assert broken == []


@pytest.fixture
def idle_shop(grounds: Grounds) -> None:
    """What other stories left open has run out, so that a story of many days stops at its own deadlines only."""
    for _ in range(3):  # a receipt that nobody confirmed opens the last window, and its end releases money
        grounds.world.leap(days=15)
        grounds.settle()


@pytest.fixture
def ends_alike(grounds: Grounds, run_folder: Path) -> Callable[..., None]:
    """``ends_alike("name", ids)``: the story ended as in the other world, see `tests/ends.py`."""
    return partial(compare_ends, run_folder / "ends", grounds)


@pytest.fixture
def told_alike(
    request: pytest.FixtureRequest, grounds: Grounds, ends_alike: Callable[..., None]
) -> Callable[..., None]:
    """``told_alike(place)``: all that the story's buyer ordered there ended as in the other world."""

    def compare(place: Depot | Market) -> None:
        if place.buyer.groups:
            grounds.settle()
            ends_alike(request.node.originalname, names_of(place.buyer.groups), {place.mark: "PLACE"})

    return compare


@pytest.fixture
def town(grounds: Grounds) -> Town:
    return Town(grounds)


@pytest.fixture(scope="session")
def depots() -> dict[str, Depot]:
    """The depot of each world, by its address."""
    return {}


@pytest.fixture
def depot(grounds: Grounds, depots: dict[str, Depot], told_alike: Callable[..., None]) -> Iterator[Depot]:
    """A shop that is there already, and a buyer who is new."""
    if grounds.url not in depots:
        depots[grounds.url] = Depot(grounds)
    depots[grounds.url].open()
    yield depots[grounds.url]
    told_alike(depots[grounds.url])


@pytest.fixture(scope="session")
def markets() -> dict[str, Market]:
    """The market of each world, by its address."""
    return {}


@pytest.fixture
def market(grounds: Grounds, markets: dict[str, Market], told_alike: Callable[..., None]) -> Iterator[Market]:
    """Shops that are there already, and a buyer who is new."""
    if grounds.url not in markets:
        markets[grounds.url] = Market(grounds)
    markets[grounds.url].open()
    yield markets[grounds.url]
    told_alike(markets[grounds.url])
