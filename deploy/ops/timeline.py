"""Everything that happened around one order, over all services: each fact, who has heard it, and what is to come.

It speaks of facts by name and number and shows nothing of what is in them, hence nothing personal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from deploy.ops.platform import Platform
from shared.kernel import clock
from shared.kernel.errors import NotFound
from shared.storage.types import event_log, inbox, inbox_retry, intent, outbox, timer
from shared.telemetry.logs import trace_id

Report = dict[str, Any]


class _Traced(msgspec.Struct):
    traceparent: str = ""


_traced = msgspec.json.Decoder(_Traced)

SOON_SECONDS = 5.0
"""A fact that is younger than this is on its way; what waits longer is named."""


class NothingTold(NotFound):
    """No fact was ever told about an order or a group of this number."""


def timeline(platform: Platform, number: str) -> Report:
    """`{group_no, facts, letters, timers, calls, stuck}` of an order's group. Raises NothingTold."""
    group_no = number.partition("-")[0]
    facts = facts_where(platform, event_log.c.partition_key == group_no)
    if not facts:
        raise NothingTold()
    letters = list(_letters(platform, group_no))
    mark(platform, facts, letters)
    names = {group_no, number} | {fact["subject"].split("/", 1)[1] for fact in facts}
    flows = {fact["correlation_id"] for fact in facts}
    timers, calls = list(_timers(platform, names)), list(_calls(platform, group_no, names, flows))
    return {
        "group_no": group_no,
        "facts": facts,
        "letters": letters,
        "timers": sorted(timers, key=lambda one: one["due_at"]),
        "calls": calls,
        "stuck": [*_stuck_facts(facts), *_stuck_letters(letters), *_stuck_others(timers, calls)],
    }


def facts_where(platform: Platform, *wanted: sa.ColumnElement[bool]) -> list[Report]:
    """Of all services, in the order of time; `mark` says who heard them."""
    return sorted(_facts(platform, wanted), key=lambda fact: fact["event_id"])  # UUIDv7


def _facts(platform: Platform, wanted: Sequence[sa.ColumnElement[bool]]) -> Iterator[Report]:
    log = event_log.c
    for name, database in platform.stores.items():
        with database.read() as connection:
            rows = connection.execute(
                sa.select(log.event_id, log.type, log.agg_type, log.agg_id, log.agg_seq, log.routing_key,
                          log.correlation_id, log.causation_id, log.created_at, log.body,
                          outbox.c.pos.label("waits"), outbox.c.attempts, outbox.c.last_error)
                .select_from(event_log.outerjoin(outbox, outbox.c.pos == log.pos))
                .where(*wanted)
            ).all()  # fmt: skip
        for row in rows:
            yield {
                "event_id": row.event_id,
                "publisher": name,
                "fact": row.type,
                "subject": f"{row.agg_type}/{row.agg_id}",
                "sequence": row.agg_seq,
                "told_at": row.created_at,
                "published": row.waits is None,
                "publishing_attempts": row.attempts or 0,
                "publishing_error": row.last_error or "",
                "correlation_id": row.correlation_id,
                "causation_id": row.causation_id,
                "trace_id": trace_id(_traced.decode(bytes(row.body)).traceparent),
                "heard_by": [
                    {"service": one, "state": "on its way", "lag_seconds": None, "attempts": 0, "why": ""}
                    for one in platform.subscribers().get(row.routing_key, [])
                ],
            }


def _letters(platform: Platform, group_no: str) -> Iterator[Report]:
    """Messages of the group that some service keeps: facts it could not handle yet, or corrected ones."""
    for service, database in platform.stores.items():
        with database.read() as connection:
            rows = connection.execute(
                sa.select(inbox_retry).where(inbox_retry.c.partition_key == group_no).order_by(inbox_retry.c.no)
            ).all()
        for row in rows:
            yield {
                "letter_id": f"{service}-{row.no}", "service": service, "status": row.status, "fact": row.type,
                "event_id": row.event_id, "subject": row.agg, "partition_key": row.partition_key,
                "reason": row.reason, "error": (row.error or "")[:500], "attempts": row.attempts,
                "created_at": row.created_at, "next_at": row.next_at,
            }  # fmt: skip


def mark(platform: Platform, facts: list[Report], letters: list[Report]) -> None:
    """What each consumer made of each fact."""
    ids = [fact["event_id"] for fact in facts]
    kept = {(letter["service"], letter["event_id"]): letter for letter in letters}
    for name, database in platform.stores.items():
        with database.read() as connection:
            heard = sa.select(inbox.c.event_id, inbox.c.at).where(inbox.c.consumer == name, inbox.c.event_id.in_(ids))
            marks = dict(connection.execute(heard).all())
        for fact in facts:
            for hearing in fact["heard_by"]:
                if hearing["service"] == name:
                    event_id = fact["event_id"]
                    hearing |= _hearing(fact, marks.get(event_id), kept.get((name, event_id)))


def _hearing(fact: Report, at: datetime | None, letter: Report | None) -> Report:
    if letter is not None:
        return {
            "state": letter["status"],
            "attempts": letter["attempts"],
            "why": letter["error"] or letter["reason"],
            "letter_id": letter["letter_id"],
            "next_at": letter["next_at"],
        }
    if at is not None:
        return {"state": "handled", "lag_seconds": round((at - fact["told_at"]).total_seconds(), 3)}
    return {"state": "on its way" if fact["published"] else "not published"}


def _timers(platform: Platform, names: set[str]) -> Iterator[Report]:
    for service, database in platform.stores.items():
        with database.read() as connection:
            now = database.now(connection)
            for row in connection.execute(sa.select(timer).where(timer.c.aggregate.in_(sorted(names)))):
                yield {
                    "service": service, "aggregate": row.aggregate, "timer": row.name, "due_at": row.due_at,
                    "late_seconds": max(0.0, (now - row.due_at).total_seconds()),
                    "attempts": row.attempts, "error": row.error or "",
                }  # fmt: skip


def _calls(platform: Platform, group_no: str, names: set[str], flows: set[str]) -> Iterator[Report]:
    """Outside calls to be made: those that belong to the flows of these facts and name one of these things."""
    for service, database in platform.stores.items():
        with database.read() as connection:
            rows = connection.execute(
                sa.select(intent).where(
                    sa.or_(
                        intent.c.key.contains(group_no, autoescape=True),
                        *(intent.c.cause.startswith(flow, autoescape=True) for flow in sorted(flows)),
                    )
                )
            ).all()
        for row in rows:
            if any(name in f"{row.key} {bytes(row.data).decode(errors='replace')}" for name in names):
                yield {
                    "service": service, "call": row.kind, "key": row.key, "since": row.created_at,
                    "next_at": row.next_at, "attempts": row.attempts, "error": row.error or "",
                }  # fmt: skip


def _stuck_facts(facts: list[Report]) -> Iterator[str]:
    now = clock.machine_now()
    for fact in facts:
        age = (now - fact["told_at"]).total_seconds()
        name, publisher = fact["fact"], fact["publisher"]
        if not fact["published"] and age > SOON_SECONDS:
            error = f": {fact['publishing_error']}" if fact["publishing_error"] else ""
            yield f"{publisher} has not published {name} for {age:.0f} s{error}"
        for hearing in fact["heard_by"]:
            if hearing["state"] == "on its way" and age > SOON_SECONDS:
                yield f"{hearing['service']} has not heard {name} of {publisher} for {age:.0f} s"


def _stuck_letters(letters: list[Report]) -> Iterator[str]:
    for one in letters:
        yield (
            f"{one['service']} keeps {one['fact']} of {one['subject']} as {one['letter_id']}, {one['status']} after"
            f" {one['attempts']} tries: {one['error'] or one['reason']}"
        )


def _stuck_others(timers: list[Report], calls: list[Report]) -> Iterator[str]:
    for one in timers:
        if one["late_seconds"] > SOON_SECONDS:
            error = f": {one['error']}" if one["error"] else ""
            late = f"{one['late_seconds']:.0f} s late"
            yield f"{one['service']} is {late} with {one['timer']} of {one['aggregate']}{error}"
    for one in calls:
        if one["error"]:
            yield f"{one['service']} has tried {one['call']} {one['attempts']} times: {one['error']}"
