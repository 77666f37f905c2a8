"""The stack under measurement, seen from outside: its rest, its clock, and the CPU time of its processes.

What the benchmark itself asks the stores is asked over connections of its own, whose cost is left out.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.bench import FLOOR, Bench
from deploy import fleet
from deploy.stack import processes
from deploy.story.people import Courier, Grounds, Outsider, Provider
from shared.kernel import clock
from shared.messaging.quiet import Watch, nudge
from shared.storage.database import Database
from shared.storage.inspect import clock_ahead, move_clock

OURS = "benchmarks"
CALM_POLL = 0.1


class NotCalm(AssertionError):
    """The platform did not come to rest in time."""


class Ground:
    """A stack, with connections to its stores that are the benchmark's own. Close it."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self.stores = {name: _ours(database) for name, database in grounds.stores.items()}
        self.desks: list[Outsider] = [Provider(grounds), Courier(grounds)]
        self._watch = Watch(self.stores, fleet.subscribers(), [self._callbacks])

    def calm(self, seconds: float = 180.0) -> None:
        """Return once nothing is under way or due. Raises NotCalm."""
        until = clock.monotonic() + seconds
        while left := self._watch.unrest():
            if clock.monotonic() > until:
                raise NotCalm("; ".join(left))
            clock.pause(CALM_POLL)
        if failing := {name: count for name, count in self._watch.failing().items() if count}:
            raise NotCalm(f"facts were not handled: {failing}")

    def jump(self, span: timedelta) -> None:
        """Set business time forward at one go, in every store and outside; what came due meanwhile follows at once."""
        ahead = clock_ahead(next(iter(self.stores.values()))) + span.total_seconds()
        for desk in self.desks:
            desk.do("POST", "/sandbox/clock", {"offset_seconds": ahead})
        for database in self.stores.values():
            move_clock(database, ahead)
            nudge(database)

    def rows(self, store: str, statement: str, **values: Any) -> Sequence[Any]:
        """The rows of a query on one store."""
        with self.stores[store].read() as connection:
            return connection.execute(sa.text(statement), values).all()

    def close(self) -> None:
        for database in self.stores.values():
            database.close()

    def _callbacks(self) -> str:
        pending = sum(desk.do("GET", "/sandbox/quiet")["pending"] for desk in self.desks)
        return f"{pending} callbacks" if pending else ""


def _ours(database: Database) -> Database:
    return Database(database.url + ("&" if "?" in database.url else "?") + f"application_name={OURS}")


def cpu_seconds(bench: Bench) -> dict[str, float]:
    """CPU seconds so far by part of the stack (``order.worker``, ``postgres orders``, ``rabbit`` …), user and system,
    those of ended children included, and the floor's, where it runs. The load generator, the fake provider and carrier,
    the sandbox and what the benchmark itself asks are left out."""
    with bench.postgres_connection() as admin:
        mine = admin.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [OURS]).fetchall()
    spared = {pid for (pid,) in mine}
    found: dict[str, float] = defaultdict(float)
    for name, pids in bench.pids().items():
        if name in bench.servers or name == FLOOR or name.split(".")[0] in bench.stores:
            for pid in pids:
                if pid not in spared:
                    part = _database_of(pid) if name == "postgres" else ".".join(name.split(".")[:2])
                    found[part] += processes.cpu_seconds([pid])
    return found


@contextlib.contextmanager
def metered(bench: Bench) -> Iterator[dict[str, float]]:
    """CPU seconds used within the block, by part, filled in at its end; under ``"wall"`` the time that passed."""
    used: dict[str, float] = {}
    before, start = cpu_seconds(bench), clock.monotonic()
    yield used
    after = cpu_seconds(bench)
    used.update({part: seconds - before.get(part, 0.0) for part, seconds in after.items()})
    used["wall"] = clock.monotonic() - start


def less_idle(used: Mapping[str, float], idle: Mapping[str, float]) -> dict[str, float]:
    """`used` without what the parts would have used in that time anyway."""
    share = used["wall"] / idle["wall"]
    return {part: used[part] - idle.get(part, 0.0) * share for part in used if part != "wall"}


def _database_of(pid: int) -> str:
    """PostgreSQL's backends bear their database's name: ``postgres: role database address``."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    except (FileNotFoundError, ProcessLookupError):
        return "postgres itself"
    is_backend = len(words) > 3 and words[0] == "postgres:" and "(" in words[3]
    return f"postgres {words[2]}" if is_backend else "postgres itself"
