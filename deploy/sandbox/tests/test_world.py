"""The sandbox's clock moves on by what was asked for, on top of the time that the work itself took."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from deploy.sandbox.world import World
from shared.kernel import clock
from shared.kernel.settings import Settings
from shared.storage.types import kit, timer
from shared.storage.unit_of_work import Node

SLOW = timedelta(seconds=30)


class SlowShop:
    """A service that takes half a minute over each timer, and sets the next one an hour after it is through."""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node, self.fired = node, 0
        self.world = World({"shop": node.database}, {}, wake=self.work)
        machine_now = clock.machine_now
        self.taken = timedelta()
        monkeypatch.setattr(clock, "machine_now", lambda: machine_now() + self.taken)

    def set_timer(self) -> None:
        self.node.run(lambda tx: tx.set_timer("next", "one", tx.now() + timedelta(hours=1)))

    def work(self) -> None:
        with self.node.database.begin() as connection:
            due = sa.select(timer.c.id).where(timer.c.due_at <= self.node.database.now(connection))
            if not connection.execute(timer.delete().where(timer.c.id.in_(due))).rowcount:
                return
        self.fired += 1
        self.taken += SLOW
        self.set_timer()


@pytest.fixture
def shop(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowShop]:
    node = Node(Settings("shop", sqlite_url, "sqlite://"))
    kit.create_all(node.database.engine)
    found = SlowShop(node, monkeypatch)
    found.set_timer()
    yield found
    node.close()


def test_what_a_slow_service_puts_off_still_happens_within_the_time_that_was_asked_for(shop: SlowShop):
    before = shop.world.offset
    assert shop.world.advance(timedelta(hours=3)) == shop.fired == 3
    assert shop.world.offset - before == pytest.approx(3 * 3600, abs=1)


def test_a_moment_that_was_asked_for_stays_the_moment(shop: SlowShop):
    assert shop.world.advance_to(shop.world.now() + timedelta(hours=3)) == shop.fired == 2
