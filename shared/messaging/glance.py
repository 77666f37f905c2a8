"""What a store of the embedded mode may have to do, asked so cheaply that it can be asked all the time.

The embedded platform looks at eight stores many times a second and nearly always finds nothing. What each
kind of work asks for itself costs a millisecond a store by SQLAlchemy; these two statements on SQLite's driver cost a
fiftieth of that. They may say yes where there is nothing to do after all, never no where there is something.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from shared.kernel import clock
from shared.storage.database import Database
from shared.storage.types import as_text


class Glance(NamedTuple):
    """Whether there may be facts to publish, timers to fire, kept facts to try again, calls to make."""

    facts: bool
    timers: bool
    kept: bool
    calls: bool


def glance(database: Database) -> Glance:
    """Raises sqlite3.Error. PostgreSQL is not asked: may be there is everything, and the work itself finds out."""
    if not database.is_sqlite:
        return Glance(True, True, True, True)
    machine = clock.machine_now()
    with database.driver() as driver:
        ahead = driver.execute("SELECT seconds FROM clock_offset").fetchone()
        business = machine + timedelta(seconds=ahead[0] if ahead else 0)
        moments = {"machine": as_text(machine), "business": as_text(business)}
        return Glance(*map(bool, driver.execute(_ANYTHING, moments).fetchone()))


_ANYTHING = """
SELECT EXISTS (SELECT 1 FROM outbox),
       EXISTS (SELECT 1 FROM timer WHERE due_at <= :business AND (not_before IS NULL OR not_before <= :machine)),
       EXISTS (SELECT 1 FROM inbox_retry WHERE next_at <= :machine OR status = 'held'),
       EXISTS (SELECT 1 FROM intent WHERE next_at <= :machine)
"""
