"""Whether a fleet is at rest, told from its stores alone: nothing to publish, to handle, to fire or to call.

The stores are read one after another, so one look proves nothing by itself: a handler may have been at work while we
looked, and its fact appear behind our back. `Watch.unrest` therefore looks again until a look brings no fact that the
look before did not know, with every known fact handled in between; then nothing was at work that could start anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from shared.kernel import clock
from shared.runtime.wake import CALLS, CHANNEL
from shared.storage.database import Database
from shared.storage.types import as_text, clock_offset, event_log, inbox, inbox_retry, intent, outbox, timer

PATIENCE = timedelta(seconds=2)
"""What is tried again sooner than this is waited for; what backs off longer is failing, and reported as that."""

REMEMBERED = timedelta(days=1)
"""Facts older than this when the watch begins are taken as handled: the inbox forgets too."""

GAP_SECONDS = 90.0
"""How long a missing position may belong to a transaction that has not committed yet."""

CHUNK = 5_000


@dataclass(frozen=True)
class Sight:
    """What one look at one store saw. `due` is its earliest deadline that is not failing, `now` its business time."""

    now: datetime
    due: datetime | None
    offset: float
    outbox: int
    calls: int
    kept: int
    last: int

    def unrest(self) -> str:
        """What is to be done here, in words; empty when nothing is."""
        parts = [f"{count} {what}" for count, what in ((self.outbox, "to publish"), (self.calls, "calls")) if count]
        if self.due is not None and self.due <= self.now:
            parts.append("a timer is due")
        return ", ".join(parts)


class _Place:
    """One store as the watch knows it: how far its log was read, and which of its positions are missing."""

    def __init__(self, name: str, database: Database) -> None:
        self.name, self.database = name, database
        self.position = -1  # not looked yet
        self.gaps: dict[int, float] = {}
        self.unhandled: set[str] = set()
        self.sight: Sight | None = None

    def look(self) -> tuple[Sight, Sequence[Any]]:
        """The store as it is now, and ``(event_id, routing_key)`` of facts not seen before."""
        machine = clock.machine_now()
        moments = {"machine": machine, "soon": machine + PATIENCE}
        seen, news = self._see_plainly(moments) if self.database.is_sqlite else self._see(moments)
        self._note([pos for pos, _, _ in news])
        due, offset, waiting, calls, kept, last, moment = seen
        seconds = offset or 0.0
        now = (moment or machine).astimezone(UTC) + timedelta(seconds=seconds)
        self.sight = Sight(now, due, seconds, waiting, calls, kept, last or 0)
        return self.sight, [(event_id, routing_key) for _, event_id, routing_key in news]

    def _see(self, moments: Mapping[str, datetime]) -> tuple[Sequence[Any], Sequence[Any]]:
        with self.database.read() as connection:
            seen = connection.execute(_LOOK, moments).one()
            if self.position < 0:
                self.position = connection.execute(_BEFORE, self._begun()).scalar() or 0
            if (seen.last or 0) <= self.position and not self.gaps:
                return seen, ()
            return seen, connection.execute(_NEWS, {"position": self.position, "gaps": list(self.gaps) or [-1]}).all()

    def _see_plainly(self, moments: Mapping[str, datetime]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The same of SQLite, which commits one after another and so leaves no gaps; see `messaging.glance`."""
        if self.position < 0:
            with self.database.read() as connection:
                self.position = connection.execute(_BEFORE, self._begun()).scalar() or 0
        with self.database.driver() as driver:
            asked = {name: as_text(moment) for name, moment in moments.items()}
            due, *rest = driver.execute(_LOOK_PLAINLY, asked).fetchone()
            news = driver.execute(_NEWS_PLAINLY, {"position": self.position}).fetchall()
        return (due and datetime.fromisoformat(due), *rest, None), news

    def _begun(self) -> dict[str, datetime]:
        return {"moment": clock.machine_now() - REMEMBERED}

    def _note(self, found: list[int]) -> None:
        """Positions that are missing below the last one may still be committed, by whoever took them."""
        until = clock.monotonic() + GAP_SECONDS
        top = max([self.position, *found])
        if not self.database.is_sqlite:
            fresh = set(found)
            missing = (pos for pos in range(self.position + 1, top) if pos not in fresh)
            self.gaps |= dict.fromkeys(islice(missing, CHUNK), until)
        for pos in found:
            self.gaps.pop(pos, None)
        self.gaps = {pos: end for pos, end in self.gaps.items() if end > clock.monotonic()}
        self.position = top

    def forget_handled(self) -> None:
        """Strike off the facts that this store has handled or kept."""
        if not self.unhandled:
            return
        with self.database.read() as connection:
            waiting = iter(sorted(self.unhandled))
            while some := list(islice(waiting, CHUNK)):
                for table in (inbox, inbox_retry):
                    known = sa.select(table.c.event_id).where(table.c.consumer == self.name, table.c.event_id.in_(some))
                    self.unhandled.difference_update(connection.execute(known).scalars())

    def kept_unrest(self) -> str:
        """Kept rows that will be tried again at once or soon."""
        soon = clock.machine_now() + PATIENCE
        with self.database.read() as connection:
            rows = connection.execute(_KEPT).all()
        blocked: set[str] = set()
        busy = 0
        for row in rows:
            if row.status in ("failed", "dead"):
                blocked.add(row.agg)
            if row.status in ("failed", "early"):
                busy += row.next_at <= soon
            elif row.status == "held":
                busy += row.agg not in blocked
            else:
                busy += row.status == "started"
        return f"{busy} kept facts to try again" if busy else ""


class Watch:
    """Of all stores. `stores` by service; `subscribers`: by routing key, the services that hear the fact.

    Not thread safe. `others` answer for what lies outside the stores (the sandbox's provider and carrier): what is
    under way there, in words, or nothing.
    """

    def __init__(
        self,
        stores: Mapping[str, Database],
        subscribers: Mapping[str, Sequence[str]],
        others: Sequence[Callable[[], str]] = (),
    ) -> None:
        self.places = {name: _Place(name, database) for name, database in stores.items()}
        self.subscribers, self.others = subscribers, others

    def unrest(self) -> list[str]:
        """What is under way or due; empty when the fleet is at rest and was so all through this look."""
        busy, news = self._look()
        if busy:
            return busy
        for place in self.places.values():
            place.forget_handled()
            if place.unhandled:
                busy.append(f"{place.name}: {len(place.unhandled)} facts to handle")
        if busy:
            return busy
        if news:
            busy, news = self._look()
            if busy or news:
                return busy or ["facts come in"]
        busy = [what for what in (other() for other in self.others) if what]
        if busy:
            return busy
        # A callback may have come in, and been taken, after the first stores were read.
        busy, news = self._look()
        return busy or (["facts come in"] if news else [])

    def due(self) -> datetime | None:
        """The earliest deadline over all stores, as of the last look."""
        found = [place.sight.due for place in self.places.values() if place.sight and place.sight.due]
        return min(found, default=None)

    def failing(self) -> dict[str, int]:
        """By store: kept facts, dead ones included."""
        return {place.name: place.sight.kept for place in self.places.values() if place.sight and place.sight.kept}

    def _look(self) -> tuple[list[str], int]:
        busy, count = [], 0
        for place in self.places.values():
            sight, news = place.look()
            count += len(news)
            for event_id, routing_key in news:
                for name in self.subscribers.get(routing_key, ()):
                    self.places[name].unhandled.add(event_id)
            what = sight.unrest() or (place.kept_unrest() if sight.kept else "")
            if what:
                busy.append(f"{place.name}: {what}")
        return busy, count


def nudge(database: Database) -> None:
    """Tell a store's workers in other processes to look: its clock was moved."""
    if not database.is_sqlite:
        with database.read() as connection:
            connection.exec_driver_sql(f"NOTIFY {CHANNEL}, '{CALLS}'")


def _one(value: Any, label: str) -> Any:
    return value.label(label)


def _count(table: sa.Table, *where: Any) -> Any:
    return sa.select(sa.func.count()).select_from(table).where(*where).scalar_subquery()


_ready = sa.or_(timer.c.not_before.is_(None), timer.c.not_before <= sa.bindparam("machine"))
# A call that was claimed has no error until it failed: new ones and those under way are both waited for.
_call = sa.or_(intent.c.error.is_(None), intent.c.next_at <= sa.bindparam("soon"))
_COLUMNS = (
    _one(sa.select(sa.func.min(timer.c.due_at)).where(_ready).scalar_subquery(), "due"),
    _one(sa.select(clock_offset.c.seconds).scalar_subquery(), "offset"),
    _one(_count(outbox), "outbox"),
    _one(_count(intent, _call), "calls"),
    _one(_count(inbox_retry), "kept"),
    _one(sa.select(sa.func.max(event_log.c.pos)).scalar_subquery(), "last"),
)
_LOOK = sa.select(*_COLUMNS, _one(sa.func.clock_timestamp(type_=sa.DateTime(timezone=True)), "moment"))
_LOOK_PLAINLY = str(sa.select(*_COLUMNS).compile(dialect=sqlite.dialect(paramstyle="named")))
_BEFORE = sa.select(sa.func.max(event_log.c.pos)).where(event_log.c.created_at < sa.bindparam("moment"))
_NEWS = (
    sa.select(event_log.c.pos, event_log.c.event_id, event_log.c.routing_key)
    .where(
        sa.or_(event_log.c.pos > sa.bindparam("position"), event_log.c.pos.in_(sa.bindparam("gaps", expanding=True)))
    )
    .order_by(event_log.c.pos)
)
_NEWS_PLAINLY = "SELECT pos, event_id, routing_key FROM event_log WHERE pos > :position ORDER BY pos"
_KEPT = sa.select(inbox_retry.c.status, inbox_retry.c.agg, inbox_retry.c.next_at).order_by(inbox_retry.c.no)
