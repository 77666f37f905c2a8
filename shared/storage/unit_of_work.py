"""One transaction of one service: rows, facts, timers and intents commit together or not at all.

The doors (HTTP and events) open it; nothing below a door commits. What is emitted inside is written to `event_log` and
`outbox` at the end, after every row it speaks of, and published by the relay once it is committed.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from shared.contracts.event import Fact, decode_envelope, encode, routing_key
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.kernel.settings import Settings
from shared.storage.database import Database, is_conflict, is_duplicate
from shared.storage.hot import Hot
from shared.storage.types import aggregate_seq, event_log, intent, outbox, timer
from shared.storage.vault import Vault
from shared.telemetry import logs
from shared.telemetry.faults import crash_point

R = TypeVar("R")


@dataclass(frozen=True)
class Cause:
    """Why something happens: the flow it belongs to and the message, request or timer being handled."""

    correlation_id: str
    causation_id: str
    traceparent: str = ""
    time: datetime | None = None
    """When the fact being handled was said, in its publisher's business time; None for anything else."""

    def pack(self) -> str:
        return f"{self.correlation_id}|{self.causation_id}|{self.traceparent}"

    @classmethod
    def unpack(cls, packed: str, causation_id: str) -> Cause:
        """The cause of what a stored timer or intent does: its own id, in the flow that set it."""
        correlation_id, _, rest = (packed or f"{new_id()}||").partition("|")
        return cls(correlation_id, causation_id[:96], rest.rpartition("|")[2])

    @classmethod
    def fresh(cls, causation_id: str | None = None) -> Cause:
        flow = new_id()
        return cls(flow, causation_id or f"request:{flow}")


class Node:
    """One running service in this process: its store, vault and settings, and whom to wake when it spoke."""

    def __init__(self, settings: Settings, database: Database | None = None, vault: Vault | None = None) -> None:
        self.name = settings.service
        self.settings = settings
        self.database = database or Database(settings.database_url, pool_size=settings.pool_size)
        self.vault = vault or Vault(settings.vault_url)
        self.wake: Callable[[bool], None] = lambda _calls: None
        """Called after a commit that left something to do; whether it asks for outside calls."""
        self.outside: dict[str, Any] = {}  # clients of the outside world, by name; tests put their own here

    @contextlib.contextmanager
    def transaction(self, cause: Cause | None = None) -> Iterator[UnitOfWork]:
        """One attempt. Use `run` where a conflict should simply be tried again."""
        with _marked_open(), self.database.begin() as connection:
            tx = UnitOfWork(self, connection, cause or Cause.fresh())
            yield tx
            tx.flush()
            crash_point("tx.before_commit")
        crash_point("tx.after_commit")
        if tx.spoke:
            self.wake(tx.intends)
        for callback in tx.callbacks:
            callback()

    def run(self, work: Callable[[UnitOfWork], R], cause: Cause | None = None, *, attempts: int = 5) -> R:
        """`work` in a transaction of its own, run again on a serialisation conflict, deadlock or busy store."""
        cause = cause or Cause.fresh()
        for attempt in range(1, attempts + 1):
            try:
                with self.transaction(cause) as tx:
                    return work(tx)
            except Exception as error:
                # Who loses a race for a new key looks again once, and then sees the other's row and can say so.
                again = is_conflict(error) or (attempt == 1 and is_duplicate(error))
                if attempt == attempts or not again:
                    raise
                clock.pause_jittered(0.01, 0.2)
        raise AssertionError("unreachable")

    def close(self) -> None:
        self.database.close()
        self.vault.close()


class UnitOfWork:
    """See the module. `cause` changes from message to message inside one batch."""

    def __init__(self, node: Node, connection: Connection, cause: Cause) -> None:
        self.node = node
        self.connection = connection
        self.cause = cause
        self.callbacks: list[Callable[[], None]] = []
        self.spoke = self.intends = False
        self.repositories: dict[Any, Any] = {}
        self._now: datetime | None = None
        self._traces: dict[tuple[str, str], str] = {}
        self._facts: list[tuple[Fact, Cause]] = []
        self._timers: dict[tuple[str, str], tuple[datetime | None, Cause]] = {}
        self._intents: list[dict[str, Any]] = []

    @property
    def vault(self) -> Vault:
        return self.node.vault

    @property
    def settings(self) -> Settings:
        return self.node.settings

    def now(self) -> datetime:
        """Business time, the same throughout one transaction."""
        if self._now is None:
            if self.node.database.is_sqlite:
                self._now = self.node.database.now(self.connection)
            else:
                self._now = _NOW.rows(self.connection)[0][0]
        return self._now

    def is_now(self, moment: datetime) -> None:
        """A statement that was needed anyway has told the business time too (`BUSINESS_TIME`)."""
        self._now = self._now or moment

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        result: sa.CursorResult[Any] = self.connection.execute(statement, parameters)
        return result

    def insert(self, table: sa.Table) -> postgresql.Insert:
        """An INSERT that knows ON CONFLICT on either database (the two dialects' methods are alike)."""
        if self.node.database.is_sqlite:
            return sqlite.insert(table)  # type: ignore[return-value]
        return postgresql.insert(table)

    def among(self, column: sa.ColumnElement[str], values: list[str]) -> sa.ColumnElement[bool]:
        """``column IN values`` as one prepared statement whatever the number of values."""
        if self.node.database.is_sqlite:
            return column.in_(values)
        return column == sa.func.any(sa.bindparam(None, values, type_=postgresql.ARRAY(sa.String), unique=True))

    def rejoin(self, aggregate: str, key: str) -> None:
        """Go on in the trace in which we first spoke of this: a party outside that calls us knows nothing of it."""
        if (aggregate, key) not in self._traces:
            self.recall(aggregate, [key])
        if trace := self._traces[aggregate, key]:
            self.cause = replace(self.cause, traceparent=trace)
            logs.follow(trace, self.cause.correlation_id)

    def recall(self, aggregate: str, keys: Sequence[str]) -> None:
        """Look up the traces that `rejoin` will go on in, with one statement."""
        self._traces |= {(aggregate, key): "" for key in keys}
        if self.node.database.is_sqlite:
            rows: Sequence[Any] = self.connection.execute(_FIRST, {"aggregate": aggregate, "keys": list(keys)}).all()
        else:
            rows = _FIRST_HOT.rows(self.connection, aggregate=aggregate, keys=list(keys))
        for key, body in rows:
            self._traces[aggregate, key] = decode_envelope(bytes(body)).traceparent

    def emit(self, *facts: Fact) -> None:
        """Say that something happened. Written at the end of the transaction, published after it."""
        self._facts += [(fact, self.cause) for fact in facts]

    def set_timer(self, aggregate: str, name: str, due_at: datetime) -> None:
        """(Re)set the deadline `name` of `aggregate` to `due_at` in business time."""
        self._timers[aggregate, name] = (due_at, self.cause)

    def cancel_timer(self, aggregate: str, name: str) -> None:
        """Forget the deadline; a firing under way becomes void."""
        self._timers[aggregate, name] = (None, self.cause)

    def intend(self, kind: str, key: str, data: dict[str, Any] | None = None) -> None:
        """Ask for a call to the outside world, made after commit with the deterministic `key`; the same key once."""
        self._intents.append(
            {"kind": kind, "key": key, "data": msgspec.json.encode(data or {}), "cause": self.cause.pack()}
        )

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run `callback` once this is committed. It may be lost when the process dies: for wake-ups only."""
        self.callbacks.append(callback)

    def flush(self) -> None:
        """Write everything kept so far; the doors call it before they commit."""
        for repository in self.repositories.values():
            repository.flush(self)
        self._flush_timers()
        self._flush_intents()
        self._flush_facts()

    def _flush_timers(self) -> None:
        if not self._timers:
            return
        changes, self._timers = sorted(self._timers.items(), key=lambda item: item[0]), {}
        moved = [
            {"aggregate": aggregate, "name": name, "due_at": due_at, "cause": cause.pack()}
            for (aggregate, name), (due_at, cause) in changes
            if due_at is not None
        ]
        gone = [{"a": aggregate, "n": name} for (aggregate, name), (due_at, _) in changes if due_at is None]
        if not self.node.database.is_sqlite:
            if moved:
                _SET_TIMERS.count(self.connection, **{name: [row[name] for row in moved] for name in moved[0]})
            if gone:
                _DELETE_TIMERS.count(self.connection, a=[row["a"] for row in gone], n=[row["n"] for row in gone])
            self.spoke = self.spoke or bool(moved)
            return
        if moved:
            statement = self.insert(timer)
            self.connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[timer.c.aggregate, timer.c.name],
                    set_={
                        "due_at": statement.excluded.due_at,
                        "cause": statement.excluded.cause,
                        "generation": timer.c.generation + 1,
                        "attempts": 0,
                        "not_before": None,
                        "error": None,
                    },
                ),
                moved,
            )
            self.spoke = True
        if gone:
            self.connection.execute(_DELETE_TIMER, gone)

    def _flush_intents(self) -> None:
        if not self._intents:
            return
        rows, self._intents = self._intents, []
        moment = clock.machine_now()
        self.connection.execute(
            self.insert(intent).on_conflict_do_nothing(index_elements=[intent.c.kind, intent.c.key]),
            [row | {"next_at": moment, "created_at": moment} for row in rows],
        )
        self.spoke = self.intends = True

    def _flush_facts(self) -> None:
        if not self._facts:
            return
        facts, self._facts = self._facts, []
        last = self._next_sequences(Counter((fact.aggregate, fact.aggregate_id) for fact, _ in facts))
        time, created = self.now(), clock.machine_now()
        rows = []
        for fact, cause in facts:
            about = fact.aggregate, fact.aggregate_id
            last[about] += 1
            event_id = new_id()
            body = encode(
                fact,
                publisher=self.node.name,
                event_id=event_id,
                time=time,
                sequence=last[about],
                correlation_id=cause.correlation_id,
                causation_id=cause.causation_id,
                traceparent=cause.traceparent,
            )
            rows.append(
                {
                    "event_id": event_id,
                    "agg_type": about[0],
                    "agg_id": about[1],
                    "agg_seq": last[about],
                    "type": fact.name,
                    "routing_key": routing_key(self.node.name, type(fact)),
                    "partition_key": fact.partition_key,
                    "body": body,
                    "correlation_id": cause.correlation_id,
                    "causation_id": cause.causation_id,
                    "created_at": created,
                }
            )
        if self.node.database.is_sqlite:
            pointers = self.connection.execute(_INSERT_LOG, rows).all()
            self.connection.execute(sa.insert(outbox), [{"pos": pos, "partition_key": key} for pos, key in pointers])
        else:
            _TELL.count(self.connection, **{name: [row[name] for row in rows] for name in rows[0]})
        self.spoke = True

    def _next_sequences(self, counts: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Reserve sequence numbers; answers the last number already used, per aggregate."""
        if not self.node.database.is_sqlite:
            abouts = sorted(counts)
            kinds, keys = [kind for kind, _ in abouts], [key for _, key in abouts]
            numbers = [counts[about] for about in abouts]
            reserved = _NUMBER.rows(self.connection, kinds=kinds, keys=keys, counts=numbers)
            self.is_now(reserved[0][3])
            return {(kind, key): last - counts[kind, key] for kind, key, last, _ in reserved}
        insert = self.insert(aggregate_seq)
        statement = insert.on_conflict_do_update(
            index_elements=[aggregate_seq.c.agg_type, aggregate_seq.c.agg_id],
            set_={"last": aggregate_seq.c.last + insert.excluded.last},
        ).returning(aggregate_seq.c.agg_type, aggregate_seq.c.agg_id, aggregate_seq.c.last)
        rows = [{"agg_type": kind, "agg_id": key, "last": counts[kind, key]} for kind, key in sorted(counts)]
        return {(kind, key): last - counts[kind, key] for kind, key, last in self.connection.execute(statement, rows)}


_FIRST = sa.select(event_log.c.agg_id, event_log.c.body).where(
    event_log.c.agg_type == sa.bindparam("aggregate"),
    event_log.c.agg_id.in_(sa.bindparam("keys", expanding=True)),
    event_log.c.agg_seq == 1,
)
_FIRST_HOT = Hot(
    "SELECT agg_id, body FROM event_log"
    " WHERE agg_type = %(aggregate)s AND agg_id = ANY(%(keys)s::varchar[]) AND agg_seq = 1"
)
_DELETE_TIMER = timer.delete().where(timer.c.aggregate == sa.bindparam("a"), timer.c.name == sa.bindparam("n"))
_INSERT_LOG = sa.insert(event_log).returning(event_log.c.pos, event_log.c.partition_key, sort_by_parameter_order=True)
BUSINESS_TIME = "clock_timestamp() + coalesce((SELECT seconds FROM clock_offset), 0) * interval '1 second'"
_NOW = Hot(f"SELECT {BUSINESS_TIME}")
_NUMBER = Hot(
    f"""
    INSERT INTO aggregate_seq (agg_type, agg_id, last)
    SELECT * FROM unnest(%(kinds)s::varchar[], %(keys)s::varchar[], %(counts)s::integer[])
    ON CONFLICT (agg_type, agg_id) DO UPDATE SET last = aggregate_seq.last + excluded.last
    RETURNING agg_type, agg_id, last, {BUSINESS_TIME}
    """  # noqa: S608  (a text of our own)
)
# Positions are drawn after the sort, so they follow the order of the facts.
_TELL = Hot(
    """
    WITH told AS (
        INSERT INTO event_log (event_id, agg_type, agg_id, agg_seq, type, routing_key, partition_key, body,
                               correlation_id, causation_id, created_at)
        SELECT event_id, agg_type, agg_id, agg_seq, type, routing_key, partition_key, body,
               correlation_id, causation_id, created_at
        FROM unnest(%(event_id)s::varchar[], %(agg_type)s::varchar[], %(agg_id)s::varchar[], %(agg_seq)s::integer[],
                    %(type)s::varchar[], %(routing_key)s::varchar[], %(partition_key)s::varchar[], %(body)s::bytea[],
                    %(correlation_id)s::varchar[], %(causation_id)s::varchar[], %(created_at)s::timestamptz[])
             WITH ORDINALITY AS fact (event_id, agg_type, agg_id, agg_seq, type, routing_key, partition_key, body,
                                      correlation_id, causation_id, created_at, turn)
        ORDER BY turn
        RETURNING pos, partition_key
    )
    INSERT INTO outbox (pos, partition_key) SELECT pos, partition_key FROM told
    """
)
_SET_TIMERS = Hot(
    """
    INSERT INTO timer (aggregate, name, due_at, cause)
    SELECT * FROM unnest(%(aggregate)s::varchar[], %(name)s::varchar[], %(due_at)s::timestamptz[], %(cause)s::varchar[])
    ON CONFLICT (aggregate, name) DO UPDATE SET
        due_at = excluded.due_at, cause = excluded.cause, generation = timer.generation + 1,
        attempts = 0, not_before = NULL, error = NULL
    """
)
_DELETE_TIMERS = Hot(
    "DELETE FROM timer USING unnest(%(a)s::varchar[], %(n)s::varchar[]) AS gone (aggregate, name)"
    " WHERE timer.aggregate = gone.aggregate AND timer.name = gone.name"
)
_open = threading.local()


@contextlib.contextmanager
def _marked_open() -> Iterator[None]:
    _open.depth = getattr(_open, "depth", 0) + 1
    try:
        yield
    finally:
        _open.depth -= 1


def forbid_open_transaction() -> None:
    """Raise when this thread holds a transaction: the outside world is never called with rows locked."""
    if getattr(_open, "depth", 0):
        raise RuntimeError("a gateway was called with a transaction open; write an intent instead")
