"""Invented requests: whatever is asked, no answer is a fault of ours or other than the documents say."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from deploy.embedded import Platform
from deploy.serving import Server
from tests.doors import fuzzing
from tests.doors.house import House
from tests.doors.seeds import sow

pytestmark = [pytest.mark.xdist_group("doors"), pytest.mark.fuzz]


@pytest.fixture
def front(premises: Platform) -> Iterator[Server]:
    """The gateway, to which each request comes from another address: no limit is what is asked about here."""
    numbers = itertools.count()
    gateway = premises.server.app

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        number = next(numbers)
        environ["REMOTE_ADDR"] = f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        return gateway(environ, start_response)

    with Server(name="front").start(app) as server:
        yield server


def test_no_invented_request_breaks_anything_and_every_operation_does_its_work(
    front: Server, house: House, request: pytest.FixtureRequest
) -> None:
    try:
        report = fuzzing.run(front.url, house, sow(house), request.config.getoption("--fuzz-examples"), seed=1)
    finally:
        house.remove_letters()
    assert not report.faults, report.show()
    # Machines' callbacks are signed: the provider and the carrier of the house's own story did their work.
    unreached = {name: said for name, said in report.unreached().items() if not name.startswith("POST /v1/callbacks/")}
    assert unreached == {}, "no request got through"
