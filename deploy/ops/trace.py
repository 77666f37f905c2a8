"""One trace over all services, rebuilt from what they wrote down anyway: who told what, who heard it, how late, and
what they told because of it. No collector is needed, and nothing is sampled away.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from deploy.ops.platform import Platform
from deploy.ops.timeline import NothingTold, facts_where, mark
from shared.kernel import clock
from shared.storage.types import Body, event_log

Report = dict[str, Any]

DAYS = 1
"""How far back a trace or a request is looked for: the logs have no index by these."""
_TRACE = re.compile(r"[0-9a-f]{32}")
_REQUEST = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def trace(platform: Platform, name: str, days: int = DAYS) -> Report:
    """`{trace_ids, begun_at, seconds, spans}` of an order or group, a trace (32 hexadecimal digits), or a request (the
    `trace_id` of a refusal). A span follows what caused it, one deeper: `deed` is told or heard. Raises NothingTold.
    """
    facts = facts_where(platform, *_wanted(platform, name, days))
    if not facts:
        raise NothingTold()
    mark(platform, facts, [])
    begun = facts[0]["told_at"]
    spans = list(_spans(facts))
    for span in spans:
        span["after_seconds"] = None if span["at"] is None else round((span["at"] - begun).total_seconds(), 3)
    return {
        "trace_ids": sorted({fact["trace_id"] for fact in facts} - {""}),
        "begun_at": begun,
        "seconds": max(span["after_seconds"] or 0.0 for span in spans),
        "spans": spans,
    }


def _wanted(platform: Platform, name: str, days: int) -> list[sa.ColumnElement[bool]]:
    log = event_log.c
    lately = log.created_at > clock.machine_now() - timedelta(days=days)
    if _REQUEST.fullmatch(name):
        return [lately, log.correlation_id == name]
    if _TRACE.fullmatch(name):
        begins = sa.literal(f'"traceparent":"00-{name}-'.encode(), Body)
        if next(iter(platform.stores.values())).is_sqlite:
            return [lately, sa.func.instr(log.body, begins) > 0]
        return [lately, sa.func.position(begins.op("IN")(log.body)) > 0]
    return [log.partition_key == name.partition("-")[0]]


def _spans(facts: list[Report]) -> Iterator[Report]:
    """In the order of a tree: what a service told because of a fact stands under its hearing of it."""
    known = {fact["event_id"] for fact in facts}
    children: dict[str, list[Report]] = defaultdict(list)
    roots: list[Report] = []
    for fact in facts:
        cause = fact["causation_id"]
        (children[cause] if cause in known and cause < fact["event_id"] else roots).append(fact)
    waiting = [(fact, 0) for fact in reversed(roots)]
    while waiting:
        one, depth = waiting.pop()
        if "deed" in one:
            yield one | {"depth": depth}
            continue
        yield _told(one, known) | {"depth": depth}
        below: list[tuple[Report, int]] = []
        rest = children[one["event_id"]]
        for hearing in one["heard_by"]:
            below.append((_heard(one, hearing), depth + 1))
            below += [(child, depth + 2) for child in rest if child["publisher"] == hearing["service"]]
            rest = [child for child in rest if child["publisher"] != hearing["service"]]
        waiting += reversed([*below, *((child, depth + 1) for child in rest)])


def _told(fact: Report, known: set[str]) -> Report:
    return _about(fact) | {
        "service": fact["publisher"], "deed": "told", "at": fact["told_at"], "lag_seconds": None,
        "state": "published" if fact["published"] else "not published",
        "because": "" if fact["causation_id"] in known else fact["causation_id"].partition(":")[0],
    }  # fmt: skip


def _heard(fact: Report, hearing: Report) -> Report:
    lag = hearing["lag_seconds"]
    return _about(fact) | {
        "service": hearing["service"], "deed": "heard", "state": hearing["state"], "lag_seconds": lag, "because": "",
        "at": None if lag is None else fact["told_at"] + timedelta(seconds=lag),
    }  # fmt: skip


def _about(fact: Report) -> Report:
    return {name: fact[name] for name in ("event_id", "fact", "subject")}
