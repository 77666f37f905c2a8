"""How a stack stands: what waits, what is stuck, what is dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chaos.alone import Alone
from deploy.fleet import FLEET
from deploy.ops.backlog import backlog
from deploy.stack import Stack
from shared.kernel import clock
from shared.messaging.rabbit import dlq_name
from shared.storage.types import event_log, inbox_retry, intent, outbox, timer

Target = Stack | Alone


@dataclass(frozen=True)
class Before:
    """How things stood when a run began, since others may have used the stack: sizes of logs, dead letters, the last
    kept message of each service, what waited to be tried again, and what was stuck."""

    logs: Mapping[Path, int]
    dead: int
    letters: Mapping[str, int]
    waiting: frozenset[tuple[str, str, int]]
    stuck: Counter[str]


def text(statement: str, values: Mapping[str, Any]) -> sa.TextClause:
    """SQL for either database; ``column IN :name`` takes a list."""
    lists: list[sa.BindParameter[Any]] = [
        sa.bindparam(name, expanding=True) for name, value in values.items() if isinstance(value, list)
    ]
    return sa.text(statement).bindparams(*lists)


def before(stack: Target) -> Before:
    letters = {}
    for name, database in stack.stores.items():
        with database.read() as connection:
            letters[name] = int(connection.execute(sa.text("SELECT max(no) FROM inbox_retry")).scalar() or 0)
    sizes = {path: path.stat().st_size for path in worker_logs(stack)}
    return Before(sizes, dead_letters(stack), letters, waiting(stack), stuck(stack))


def waiting(stack: Target) -> frozenset[tuple[str, str, int]]:
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


def stuck(stack: Target) -> Counter[str]:
    """By service and kind: facts not published or not heard, messages kept, calls and timers overdue."""
    found: Counter[str] = Counter()
    for name, database in stack.stores.items():
        with database.read() as connection:
            now = {"machine": clock.machine_now(), "business": database.now(connection)}
            row = connection.execute(_STUCK, now).one()
        found.update({f"{name}: {what}": count for what, count in row._asdict().items() if count})
    for one in FLEET:
        found[f"{one.name}: not heard"] += backlog(stack.stores, one.name, one.service.on.bindings()).waiting
    return +found


def _count(table: sa.Table, *where: Any) -> Any:
    return sa.select(sa.func.count()).select_from(table).where(*where).scalar_subquery()


_STUCK = sa.select(
    _count(outbox).label("not published"),
    _count(inbox_retry, inbox_retry.c.status != "dead").label("kept"),
    _count(intent, sa.or_(intent.c.error.is_not(None), intent.c.next_at < sa.bindparam("machine"))).label("calls"),
    _count(timer, timer.c.due_at < sa.bindparam("business")).label("timers"),
)


def is_late(stack: Target, seconds: float) -> bool:
    """Whether a fact that is older than that was not published, or not heard."""
    for database in stack.stores.values():
        with database.read() as connection:
            oldest = connection.execute(_OLDEST).scalar()
        if oldest is not None and (clock.machine_now() - oldest).total_seconds() > seconds:
            return True
    return any(backlog(stack.stores, one.name, one.service.on.bindings()).age > seconds for one in FLEET)


_OLDEST = sa.select(sa.func.min(event_log.c.created_at)).join(outbox, outbox.c.pos == event_log.c.pos)


def dead_letters(stack: Target) -> int:
    """Dead rows of all services, and what lies in the broker's own dead-letter queues."""
    total = 0
    for store, database in stack.stores.items():
        with database.read() as connection:
            dead = "SELECT count(*) FROM inbox_retry WHERE status = 'dead'"
            total += connection.execute(sa.text(dead)).scalar_one()
        if isinstance(stack, Alone):
            continue
        queue = stack.rabbit.api("GET", f"queues/{stack.rabbit.vhost}/{dlq_name(store)}")
        total += int(queue.get("messages", 0))
    return total


def worker_logs(stack: Target) -> list[Path]:
    """Whose lines say what was handled."""
    return sorted((stack.home / "logs").glob("platform.log" if isinstance(stack, Alone) else "*.worker.*.log"))
