"""What was told and not heard yet, computed from the stores alone: the publishers' logs against a consumer's inbox.

A log is read backwards in chunks until one was heard entirely: what waits is at its end, except for what a stopped
shard has left behind, which lies in every chunk since. So a look costs as much as the backlog is long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from shared.kernel import clock
from shared.messaging.housekeeping import INBOX_DAYS
from shared.storage.database import Database, is_infrastructure
from shared.storage.types import event_log, inbox, inbox_retry

CHUNK = 500
MOST = 20_000
"""Facts read per log: beyond, `Backlog.waiting` is a lower bound and `oldest` may be older still."""


@dataclass(frozen=True)
class Backlog:
    """`waiting` facts, the oldest told at `oldest` (machine time; None when nothing waits); `unread` are publishers
    whose logs could not be read."""

    waiting: int
    oldest: datetime | None
    unread: tuple[str, ...] = ()

    @property
    def age(self) -> float:
        """Seconds since the oldest was told."""
        return max(0.0, (clock.machine_now() - self.oldest).total_seconds()) if self.oldest else 0.0


def backlog(stores: Mapping[str, Database], consumer: str, bindings: Sequence[str]) -> Backlog:
    """What `consumer` has neither handled nor kept of the facts it is bound to."""
    times: list[datetime] = []
    unread = []
    for publisher in sorted({key.split(".")[0] for key in bindings} & stores.keys()):
        keys = [key for key in bindings if key.startswith(f"{publisher}.")]
        try:
            times += _unheard(stores[publisher], stores[consumer], consumer, keys)
        except Exception as error:
            if not is_infrastructure(error):
                raise
            unread.append(publisher)
    return Backlog(len(times), min(times, default=None), tuple(unread))


def _unheard(log: Database, store: Database, consumer: str, keys: Sequence[str]) -> list[datetime]:
    columns = event_log.c
    since = clock.machine_now() - timedelta(days=INBOX_DAYS - 1)  # the inbox forgets too
    found: list[datetime] = []
    before, seen = None, 0
    while seen < MOST:
        query = sa.select(columns.pos, columns.event_id, columns.created_at)
        query = query.where(columns.routing_key.in_(keys), columns.created_at > since)
        if before is not None:
            query = query.where(columns.pos < before)
        with log.read() as connection:
            rows = connection.execute(query.order_by(columns.pos.desc()).limit(CHUNK)).all()
        heard = heard_of(store, consumer, [row.event_id for row in rows])
        fresh = [row.created_at for row in rows if row.event_id not in heard]
        found += fresh
        if not fresh or len(rows) < CHUNK:
            break
        before, seen = rows[-1].pos, seen + len(rows)
    return found


def heard_of(store: Database, consumer: str, event_ids: Sequence[str]) -> dict[str, datetime | None]:
    """Of these facts: those that `consumer` handled, with the machine time, or keeps (None)."""
    if not event_ids:
        return {}
    with store.read() as connection:
        kept = sa.select(inbox_retry.c.event_id).where(
            inbox_retry.c.consumer == consumer, inbox_retry.c.event_id.in_(event_ids)
        )
        found: dict[str, datetime | None] = dict.fromkeys(connection.execute(kept).scalars())
        marks = sa.select(inbox.c.event_id, inbox.c.at).where(
            inbox.c.consumer == consumer, inbox.c.event_id.in_(event_ids)
        )
        return found | dict(connection.execute(marks).all())
