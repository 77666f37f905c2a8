"""What a worker tells of itself is so now: numbers go up while something waits, and down again once it does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from shared.kernel import clock
from shared.kernel.ids import born, new_id
from shared.messaging.housekeeping import Housekeeper
from shared.messaging.memory import MemoryBroker
from shared.messaging.relay import Relay
from shared.testing.stage import Stage
from shared.testing.toys import inventory, suspended


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(inventory(), sqlite_url, tmp_path)
    made.service.metadata.create_all(made.node.database.engine)
    yield made
    made.close()


def told(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"service": "inventory"} | labels) or 0.0


def test_a_deadline_and_a_call_are_seen_while_they_wait_and_no_longer(stage: Stage) -> None:
    house = Housekeeper(stage.node, "inventory")
    stage.hear(*suspended("shop", "call"))
    stage.node.run(lambda tx: tx.set_timer("shop", "ring", tx.now() - timedelta(seconds=90)))

    house.measure()
    assert told("caravan_timer_lag_seconds") == pytest.approx(90, abs=30)
    assert told("caravan_calls_pending", kind="ring_up") == 1
    assert told("caravan_calls_oldest_age_seconds", kind="ring_up") >= 0

    stage.fire()
    stage.call()
    house.measure()
    assert told("caravan_timer_lag_seconds") == 0
    assert told("caravan_calls_pending", kind="ring_up") == 0
    assert told("caravan_calls_oldest_age_seconds", kind="ring_up") == 0


def test_facts_are_counted_by_name_when_they_leave_and_timed_when_they_are_handled(stage: Stage) -> None:
    sent = told("caravan_relay_published_total", fact="StockDepleted")
    handled = told("caravan_end_to_end_seconds_count")
    stage.hear(*suspended("shop", 1, 2, 3))
    assert told("caravan_end_to_end_seconds_count") == handled + 3

    Relay(stage.node, MemoryBroker()).step()
    assert told("caravan_relay_published_total", fact="StockDepleted") == sent + 3


def test_an_id_tells_when_it_was_made_and_what_is_none_tells_nothing() -> None:
    assert born(new_id()) == pytest.approx(clock.machine_seconds(), abs=5)
    for other in ("", "broken-0190a5b2", "0190a5b2-zzzz-7000-8000-000000000000", "x" * 36):
        assert born(other) is None
