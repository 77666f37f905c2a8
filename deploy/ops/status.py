"""How each service is: its workers, what waits for them, and what they could not do.

Numbers come from the services' stores; those of queues, where it can be asked, from the broker. Ages are in seconds
of machine time, the lateness of timers in business time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Any

import sqlalchemy as sa

from deploy.fleet import FLEET
from deploy.ops import broker
from deploy.ops.backlog import Backlog, backlog
from deploy.ops.broker import BrokerAway, Depth, ManagementUnknown
from deploy.ops.platform import Platform
from shared.kernel import clock
from shared.messaging import leases
from shared.messaging.housekeeping import STATUSES
from shared.storage.database import Database, is_infrastructure
from shared.storage.types import event_log, inbox, inbox_retry, intent, outbox, timer

Report = dict[str, Any]

LATE_SECONDS = 60.0
"""What waits longer than this is worth a look."""
PACE_SECONDS = 60.0
"""The pace of a consumer is measured over this time, and a backlog should be gone within it."""
BUSY = 100
"""So many facts may wait without a reason to scale."""


def status(platform: Platform) -> list[Report]:
    """Of every service. One whose store is away is shown with `away` and nothing else."""
    queues = _queues(platform)
    found = []
    for one in FLEET:
        try:
            found.append(_service(platform, one.name, queues))
        except Exception as error:
            if not is_infrastructure(error):
                raise
            found.append({"service": one.name, "away": True, "worries": ["its store does not answer"]})
    return found


def scaling(platform: Platform) -> list[Report]:
    """Of every service: load, workers, and how many workers would have the backlog gone within a minute."""
    queues = _queues(platform)
    return [_scale(platform, one.name, queues) for one in FLEET]


def _queues(platform: Platform) -> Mapping[str, Depth]:
    if platform.embedded:
        return {}
    try:
        return broker.depths(platform)
    except (BrokerAway, ManagementUnknown):
        return {}


def _service(platform: Platform, name: str, queues: Mapping[str, Depth]) -> Report:
    database = platform.stores[name]
    shards = _shards(platform, name)
    waits = backlog(platform.stores, name, platform.service(name).on.bindings())
    report: Report = {
        "service": name,
        "workers": 1 if platform.embedded else leases.workers(database),
        "shards": shards,
        "queue": vars(queues[name]) if name in queues else None,
        "waiting": waits.waiting,
        "oldest_waiting_seconds": waits.age,
        "outbox": _outbox(database),
        "timers": _timers(database),
        "calls": _calls(database),
        "kept": _kept(database),
    }
    return report | {"worries": _worries(platform, report, waits)}


def _shards(platform: Platform, name: str) -> list[Report]:
    if platform.embedded:
        return [{"shard": 0, "owner": "the platform's one process"}]
    owners = leases.owners(platform.stores[name], "shard.")
    return [{"shard": no, "owner": owners.get(f"shard.{no}")} for no in range(platform.shards.get(name, 1))]


def _outbox(database: Database) -> Report:
    with database.read() as connection:
        pending, tried, first = connection.execute(
            sa.select(sa.func.count(), sa.func.count(outbox.c.next_at), sa.func.min(outbox.c.pos))
        ).one()
        since = sa.select(event_log.c.created_at).where(event_log.c.pos == first)
        oldest = connection.execute(since).scalar() if first is not None else None
    age = max(0.0, (clock.machine_now() - oldest).total_seconds()) if oldest else 0.0
    return {"pending": pending, "failing": tried, "oldest_age_seconds": age}


def _timers(database: Database) -> Report:
    with database.read() as connection:
        now = database.now(connection)
        pending = connection.execute(sa.select(sa.func.count()).select_from(timer)).scalar_one()
        overdue, first, failing = connection.execute(
            sa.select(sa.func.count(), sa.func.min(timer.c.due_at), sa.func.count(timer.c.error)).where(
                timer.c.due_at <= now
            )
        ).one()
    lag = max(0.0, (now - first).total_seconds()) if first else 0.0
    return {"pending": pending, "overdue": overdue, "failing": failing, "oldest_lag_seconds": lag}


def _calls(database: Database) -> Report:
    with database.read() as connection:
        pending, failing = connection.execute(sa.select(sa.func.count(), sa.func.count(intent.c.error))).one()
    return {"pending": pending, "failing": failing}


def _kept(database: Database) -> dict[str, int]:
    with database.read() as connection:
        rows = connection.execute(sa.select(inbox_retry.c.status, sa.func.count()).group_by(inbox_retry.c.status))
        return dict.fromkeys(STATUSES, 0) | dict(rows.all())


def _worries(platform: Platform, report: Report, waits: Backlog) -> list[str]:
    """In words, what a person should look at."""
    idle = [one["shard"] for one in report["shards"] if one["owner"] is None]
    queue = report["queue"] or {}
    leaving = report["outbox"]
    found = (
        (report["workers"] == 0, "no worker runs"),
        (bool(idle), f"nobody works shard {', '.join(map(str, idle))}"),
        (waits.age > LATE_SECONDS, f"{waits.waiting} facts wait, the oldest for {waits.age:.0f} s"),
        (leaving["oldest_age_seconds"] > LATE_SECONDS,
         f"{leaving['pending']} facts do not leave, the oldest for {leaving['oldest_age_seconds']:.0f} s"),
        (report["timers"]["oldest_lag_seconds"] > LATE_SECONDS, f"{report['timers']['overdue']} timers are overdue"),
        (report["calls"]["failing"] > 0, f"{report['calls']['failing']} outside calls fail and are tried again"),
        (report["kept"]["failed"] > 0, f"{report['kept']['failed']} messages fail and are tried again"),
        (report["kept"]["dead"] > 0, f"{report['kept']['dead']} dead letters wait for a decision"),
        (bool(waits.unread), f"what {', '.join(waits.unread)} told could not be read"),
        (queue.get("lost_sight", 0) > 0, "the broker cannot deliver its dead letters"),
        (not platform.embedded and report["queue"] is None, "the broker's management interface was not reached"),
    )  # fmt: skip
    return [words for is_so, words in found if is_so]


def _scale(platform: Platform, name: str, queues: Mapping[str, Depth]) -> Report:
    database = platform.stores[name]
    waits = backlog(platform.stores, name, platform.service(name).on.bindings())
    shards = _shards(platform, name)
    workers = 1 if platform.embedded else leases.workers(database)
    pace = _pace(database, name)
    suggested, why = suggestion(waits, workers=workers, shards=len(shards), pace=pace, dead=_kept(database)["dead"])
    if platform.embedded:
        suggested, why = 1, "the embedded platform is one process"
    return {
        "service": name,
        "queue": vars(queues[name]) if name in queues else None,
        "waiting": waits.waiting,
        "oldest_waiting_seconds": waits.age,
        "handled_per_second": pace,
        "outbox_oldest_age_seconds": _outbox(database)["oldest_age_seconds"],
        "workers": workers,
        "shards": shards,
        "suggested_workers": suggested,
        "why": why,
    }


def _pace(database: Database, consumer: str) -> float:
    since = clock.machine_now() - timedelta(seconds=PACE_SECONDS)
    with database.read() as connection:
        marks = sa.select(sa.func.count()).where(inbox.c.at > since, inbox.c.consumer == consumer)
        return float(connection.execute(marks).scalar_one()) / PACE_SECONDS


def suggestion(waits: Backlog, *, workers: int, shards: int, pace: float, dead: int) -> tuple[int, str]:
    """``(workers, why)``. Pure. `pace`: facts handled per second now, by all workers together."""
    if workers == 0:
        return 1, "no worker runs"
    if waits.waiting <= BUSY:
        return workers, "it keeps up"
    if pace == 0:
        blocked = "; dead letters hold others back" if dead else ""
        return workers, f"nothing was handled for a minute: find out why before adding workers{blocked}"
    needed = ceil(waits.waiting / (pace / workers * PACE_SECONDS))
    if needed <= workers:
        return workers, "the backlog is gone within a minute"
    if shards == workers:
        return workers, "every shard has a worker: more shards are needed first, see CARAVAN_SHARDS"
    if needed > shards:
        return shards, f"{needed} would be needed, but there are {shards} shards"
    return needed, "the backlog would be gone within a minute"


def outboxes(platform: Platform, service: str = "", limit: int = 50) -> list[Report]:
    """Facts that were committed and have not left, oldest first in each service: `attempts` and the last error."""
    found: list[Report] = []
    for name, database in platform.stores.items():
        if service and name != service:
            continue
        with database.read() as connection:
            rows = connection.execute(
                sa.select(outbox, event_log.c.event_id, event_log.c.type, event_log.c.created_at)
                .join(event_log, event_log.c.pos == outbox.c.pos)
                .order_by(outbox.c.pos)
                .limit(limit)
            ).all()
        for row in rows:
            found.append(
                {
                    "service": name, "pos": row.pos, "event_id": row.event_id, "fact": row.type,
                    "partition_key": row.partition_key, "told_at": row.created_at, "attempts": row.attempts,
                    "next_at": row.next_at, "error": row.last_error or "",
                }
            )  # fmt: skip
    return found[:limit]
