"""Column types that mean the same on both databases, and the kit's tables that every store has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


class Moment(sa.types.TypeDecorator[datetime]):
    """A point in time, always UTC and aware, to the microsecond."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(32))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return as_text(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value if value is None else value.astimezone(UTC)


def as_text(moment: datetime) -> str:
    """A `Moment` as SQLite keeps it: texts in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A 64-bit key that SQLite counts up by itself too."""

Body = sa.LargeBinary().with_variant(postgresql.BYTEA(), "postgresql")

MetaData = sa.MetaData

kit = sa.MetaData()
"""Tables that every store has beside its own. They are migrated by `shared.storage.migrate`, once for all services."""

event_log = sa.Table(
    "event_log",
    kit,
    sa.Column("pos", BigId, primary_key=True, autoincrement=True),
    sa.Column("event_id", sa.String(36), nullable=False, unique=True),
    sa.Column("agg_type", sa.String(32), nullable=False),
    sa.Column("agg_id", sa.String(64), nullable=False),
    sa.Column("agg_seq", sa.Integer, nullable=False),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("routing_key", sa.String(96), nullable=False),
    sa.Column("partition_key", sa.String(64), nullable=False),
    sa.Column("body", Body, nullable=False),
    sa.Column("correlation_id", sa.String(64), nullable=False),
    sa.Column("causation_id", sa.String(96), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("agg_type", "agg_id", "agg_seq"),
    sa.Index("event_log_partition", "partition_key"),
)
"""Every fact this service ever said, in commit order within one aggregate. Append only."""

aggregate_seq = sa.Table(
    "aggregate_seq",
    kit,
    sa.Column("agg_type", sa.String(32), primary_key=True),
    sa.Column("agg_id", sa.String(64), primary_key=True),
    sa.Column("last", sa.Integer, nullable=False),
)
"""The last sequence number of each aggregate. Its row lock puts the positions of one aggregate in commit order."""

outbox = sa.Table(
    "outbox",
    kit,
    sa.Column("pos", BigId, primary_key=True, autoincrement=False),
    sa.Column("partition_key", sa.String(64), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Moment, nullable=True),
    sa.Column("last_error", sa.String(500), nullable=True),
    sa.Index(
        "outbox_waiting",
        "next_at",
        postgresql_where=sa.text("next_at IS NOT NULL"),
        sqlite_where=sa.text("next_at IS NOT NULL"),
    ),
)
"""Pointers to facts the broker has not confirmed yet; a confirmed pointer is deleted, so the table stays small."""

inbox = sa.Table(
    "inbox",
    kit,
    sa.Column("consumer", sa.String(48), primary_key=True),
    sa.Column("event_id", sa.String(96), primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Index("inbox_at", "at"),
)
"""What was handled, so that a second copy does nothing. Written first in the handler's transaction."""

inbox_retry = sa.Table(
    "inbox_retry",
    kit,
    sa.Column("no", BigId, primary_key=True, autoincrement=True),
    sa.Column("consumer", sa.String(48), nullable=False),
    sa.Column("event_id", sa.String(96), nullable=False),
    sa.Column("type", sa.String(96), nullable=False),
    sa.Column("agg", sa.String(128), nullable=False),
    sa.Column("partition_key", sa.String(64), nullable=False),
    sa.Column("body", Body, nullable=False),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Moment, nullable=True),
    sa.Column("reason", sa.String(32), nullable=False, server_default=""),
    sa.Column("error", sa.Text, nullable=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("consumer", "event_id"),
    sa.CheckConstraint("status IN ('failed','held','early','dead','started')", name="inbox_retry_status"),
    sa.Index("inbox_retry_agg", "consumer", "agg"),
    sa.Index("inbox_retry_due", "status", "next_at"),
)
"""Messages that were taken from the bus but not handled: failed, held behind a failed one, too early, or dead."""

timer = sa.Table(
    "timer",
    kit,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("aggregate", sa.String(64), nullable=False),
    sa.Column("name", sa.String(48), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False, server_default="1"),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_before", Moment, nullable=True),
    sa.Column("error", sa.String(500), nullable=True),
    sa.Column("cause", sa.String(200), nullable=False, server_default=""),
    sa.UniqueConstraint("aggregate", "name"),
    sa.Index("timer_due", "due_at"),
)
"""Pending deadlines in business time. Setting one again moves it and bumps `generation`, which voids a firing under
way; firing deletes the row in the transaction of its effect. `not_before` (machine time) backs off a failing one."""

intent = sa.Table(
    "intent",
    kit,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("key", sa.String(128), nullable=False),
    sa.Column("data", Body, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Moment, nullable=False),
    sa.Column("error", sa.String(500), nullable=True),
    sa.Column("cause", sa.String(200), nullable=False, server_default=""),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("kind", "key"),
    sa.Index("intent_next", "next_at"),
)
"""Calls to the outside world that must be made: written with the decision, worked after it committed."""

idempotency = sa.Table(
    "idempotency",
    kit,
    sa.Column("principal", sa.String(64), primary_key=True),
    sa.Column("route", sa.String(128), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("headers", Body, nullable=False),
    sa.Column("body", Body, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index("idempotency_created", "created_at"),
)

lease = sa.Table(
    "lease",
    kit,
    sa.Column("name", sa.String(48), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("until", Moment, nullable=False),
)
"""Who may work a shard, the timers, the retries. A take-over bumps the epoch, which fences a sleeper's writes."""

clock_offset = sa.Table(
    "clock_offset",
    kit,
    sa.Column("one", sa.Integer, sa.CheckConstraint("one = 1"), primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
)
"""Moves business time in tests and the sandbox. Empty in production."""

signing_key = sa.Table(
    "signing_key",
    kit,
    sa.Column("key_id", sa.String(64), primary_key=True),
    sa.Column("jwk", Body, nullable=False),
    sa.Column("not_after", Moment, nullable=False),
)

revoked_session = sa.Table(
    "revoked_session",
    kit,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("expires_at", Moment, nullable=False),
)

audit = sa.Table(
    "audit",
    kit,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("action", sa.String(96), nullable=False),
    sa.Column("object", sa.String(128), nullable=False),
    sa.Column("result", sa.String(48), nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("why", sa.String(500), nullable=False, server_default=""),
    sa.Column("times", sa.Integer, nullable=False, server_default="1"),
    sa.Column("denied", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("audit_at", "at"),
    sa.Index(
        "audit_stranger", "at", "action", "result", unique=True,
        postgresql_where=sa.text("actor = 'nobody'"), sqlite_where=sa.text("actor = 'nobody'"),
    ),
)  # fmt: skip
"""Security events: who tried what on what, what came of it and, of operators' changes, why. Append only, but for the
number of `times` that nobody in particular was denied something in the minute `at`.
"""
