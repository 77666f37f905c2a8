"""What an event door has written down: marks of what was handled (inbox), and what it keeps (inbox_retry)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from shared.kernel import clock
from shared.storage.hot import Hot
from shared.storage.types import inbox, inbox_retry
from shared.storage.unit_of_work import UnitOfWork


class Standing(NamedTuple):
    """A kept row that stands in the way of a message, or waits for one."""

    no: int
    event_id: str
    agg: str
    status: str


_CLAIM = Hot(
    """
    INSERT INTO inbox (consumer, event_id, at)
    SELECT %(consumer)s::varchar, event_id, %(now)s::timestamptz FROM unnest(%(ids)s::varchar[]) AS event_id
    ON CONFLICT DO NOTHING RETURNING event_id
    """
)
_STANDING = Hot(
    """
    SELECT no, event_id, agg, status FROM inbox_retry
    WHERE consumer = %(consumer)s AND (
        event_id = ANY(%(ids)s::varchar[])
        OR status IN ('failed', 'held', 'dead') AND agg = ANY(%(aggs)s::varchar[])
        OR status = 'early' AND partition_key = ANY(%(keys)s::varchar[])
    ) ORDER BY no
    """
)


_KEPT = inbox_retry.c
_STANDING_PLAIN = (
    sa.select(_KEPT.no, _KEPT.event_id, _KEPT.agg, _KEPT.status)
    .where(
        _KEPT.consumer == sa.bindparam("consumer"),
        sa.or_(
            _KEPT.event_id.in_(sa.bindparam("ids", expanding=True)),
            sa.and_(_KEPT.status.in_(["failed", "held", "dead"]), _KEPT.agg.in_(sa.bindparam("aggs", expanding=True))),
            sa.and_(_KEPT.status == "early", _KEPT.partition_key.in_(sa.bindparam("keys", expanding=True))),
        ),
    )
    .order_by(_KEPT.no)
)


_BLOCKER = inbox_retry.alias().c
_DUE = (
    sa.select(_KEPT.no)
    .where(
        _KEPT.consumer == sa.bindparam("consumer"),
        sa.or_(
            sa.and_(_KEPT.status.in_(["failed", "early"]), _KEPT.next_at <= sa.bindparam("now")),
            sa.and_(
                _KEPT.status == "held",
                ~sa.exists().where(
                    _BLOCKER.consumer == _KEPT.consumer,
                    _BLOCKER.agg == _KEPT.agg,
                    _BLOCKER.no < _KEPT.no,
                    _BLOCKER.status.in_(["failed", "dead", "held"]),
                ),
            ),
        ),
    )
    .order_by(_KEPT.no)
    .limit(sa.bindparam("limit"))
)


def claim(tx: UnitOfWork, consumer: str, event_ids: Sequence[str]) -> set[str]:
    """Mark these as handled; answers those that were not before."""
    now, ids = clock.machine_now(), sorted(set(event_ids))
    if not tx.node.database.is_sqlite:
        return {event_id for (event_id,) in _CLAIM.rows(tx.connection, consumer=consumer, ids=ids, now=now)}
    statement = tx.insert(inbox).on_conflict_do_nothing().returning(inbox.c.event_id)
    rows = [{"consumer": consumer, "event_id": event_id, "at": now} for event_id in ids]
    return {event_id for (event_id,) in tx.execute(statement, rows)}


def unclaim(tx: UnitOfWork, consumer: str, event_id: str) -> None:
    """Take a mark back."""
    tx.execute(inbox.delete().where(inbox.c.consumer == consumer, inbox.c.event_id == event_id))


def standing(tx: UnitOfWork, consumer: str, *, ids: list[str], aggs: list[str], keys: list[str]) -> list[Standing]:
    """Kept rows that concern messages: the same event, the same aggregate, or early in the same partition."""
    wanted = {"consumer": consumer, "ids": ids, "aggs": aggs, "keys": keys}
    if tx.node.database.is_sqlite:
        rows: Sequence[Any] = tx.execute(_STANDING_PLAIN, wanted).all()
    else:
        rows = _STANDING.rows(tx.connection, **wanted)
    return [Standing(*row) for row in rows]


def due(connection: Connection, consumer: str, limit: int) -> list[int]:
    """The kept rows whose time has come, oldest first, and held ones whose blocker is gone."""
    wanted = {"consumer": consumer, "now": clock.machine_now(), "limit": limit}
    return list(connection.execute(_DUE, wanted).scalars())
