"""How a stack stands: what waits, what is stuck, what is dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from deploy.fleet import FLEET
from deploy.ops.backlog import backlog
from deploy.stack import Stack
from shared.kernel import clock
from shared.messaging.rabbit import dlq_name


@dataclass(frozen=True)
class Before:
    """How things stood when a run began, since others may have used the stack: sizes of logs, dead letters, the last
    kept message of each service, what waited to be tried again, and what was stuck."""

    logs: Mapping[Path, int]
    dead: int
    letters: Mapping[str, int]
    waiting: frozenset[tuple[str, str, int]]
    stuck: Counter[str]


def before(stack: Stack) -> Before:
    letters = {}
    for name, database in stack.stores.items():
        with database.read() as connection:
            letters[name] = int(connection.execute(sa.text("SELECT max(no) FROM inbox_retry")).scalar() or 0)
    sizes = {path: path.stat().st_size for path in worker_logs(stack)}
    return Before(sizes, dead_letters(stack), letters, waiting(stack), stuck(stack))


def waiting(stack: Stack) -> frozenset[tuple[str, str, int]]:
    """Messages and calls that will be tried again: service, table, id."""
    found: set[tuple[str, str, int]] = set()
    for name, database in stack.stores.items():
        with database.read() as connection:
            found |= {(name, table, number) for table, number in connection.execute(_WAITING)}
    return frozenset(found)


_WAITING = sa.text(
    "SELECT 'inbox_retry', no FROM inbox_retry WHERE status IN ('failed', 'early', 'started')"
    " UNION ALL SELECT 'intent', id FROM intent"
)


def stuck(stack: Stack) -> Counter[str]:
    """By service and kind: facts not published or not heard, messages kept, calls and timers overdue."""
    found: Counter[str] = Counter()
    for name, database in stack.stores.items():
        with database.read() as connection:
            row = connection.execute(_STUCK, {"now": clock.machine_now()}).one()
        found.update({f"{name}: {what}": count for what, count in row._asdict().items() if count})
    for one in FLEET:
        found[f"{one.name}: not heard"] += backlog(stack.stores, one.name, one.service.on.bindings()).waiting
    return +found


_STUCK = sa.text(
    """
    SELECT (SELECT count(*) FROM outbox) AS "not published",
           (SELECT count(*) FROM inbox_retry WHERE status <> 'dead') AS "kept",
           (SELECT count(*) FROM intent WHERE error IS NOT NULL OR next_at < :now) AS "calls",
           (SELECT count(*) FROM timer WHERE due_at
              < clock_timestamp() + coalesce((SELECT seconds FROM clock_offset), 0) * interval '1 second') AS "timers"
    """
)


def dead_letters(stack: Stack) -> int:
    """Dead rows of all services, and what lies in the broker's own dead-letter queues."""
    total = 0
    for store, database in stack.stores.items():
        with database.read() as connection:
            dead = "SELECT count(*) FROM inbox_retry WHERE status = 'dead'"
            total += connection.execute(sa.text(dead)).scalar_one()
        queue = stack.rabbit.api("GET", f"queues/{stack.rabbit.vhost}/{dlq_name(store)}")
        total += int(queue.get("messages", 0))
    return total


def worker_logs(stack: Stack) -> list[Path]:
    return sorted((stack.home / "logs").glob("*.worker.*.log"))
