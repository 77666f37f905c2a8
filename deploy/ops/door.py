"""`/v1/ops`: what operators see and do across services, over HTTP. The `caravan` command does the same without it.

The door stands on account's store: tokens are verified and refusals are noted there. What changes another store does
so after that transaction, in one of its own: it is safe to repeat, so its answer is not kept under a key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask, current_app, g

from deploy.ops import broker, letters, promises
from deploy.ops import schemas as say
from deploy.ops import status as services
from deploy.ops import timeline as orders
from deploy.ops import trace as traces
from deploy.ops.platform import Platform
from shared.messaging.subscriptions import Subscriptions
from shared.runtime.service import Service
from shared.storage import trust
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import OPERATOR, Principal
from shared.web.door import Door, Reading, page
from shared.web.factory import create_app as create_web

STAFF = frozenset({OPERATOR})
PLATFORM = "caravan.platform"

door = Door("ops", __name__, description="Operations: how the services are, and what to do about it")
service = Service(name="ops", owns="Operations", doors=(door,), on=Subscriptions("ops"), metadata=sa.MetaData())


def create_app(platform: Platform) -> Flask:
    """The application."""
    app = create_web(service, platform.nodes["account"])
    app.extensions[PLATFORM] = platform
    return app


def _platform() -> Platform:
    found: Platform = current_app.extensions[PLATFORM]
    return found


def _afterwards(work: Callable[[], Any]) -> tuple[None, dict[str, str], Callable[[], Any]]:
    """`work` once the door's own transaction is over: two writers of one store would wait for each other."""
    return None, {}, work


@door.get("/ops/status", who=STAFF, answer=say.StatusView)
def get_ops_status(reading: Reading, who: Principal) -> Any:
    """How each service is: workers, shards, what waits, what is kept, and what to worry about."""
    return {"items": services.status(_platform())}


@door.get("/ops/scaling", who=STAFF, answer=say.ScalingView)
def get_ops_scaling(reading: Reading, who: Principal) -> Any:
    """The load of each service and how many workers it should have."""
    return {"items": services.scaling(_platform())}


@door.get("/ops/outbox", who=STAFF, query=say.OutboxQuery, answer=say.OutboxView)
def get_ops_outbox(reading: Reading, who: Principal, query: dict[str, Any]) -> Any:
    """Facts that have not left their service yet."""
    return {"items": services.outboxes(_platform(), **query)}


@door.get("/ops/timelines/<order_no>", who=STAFF, answer=say.WholeTimeline)
def get_ops_timeline(reading: Reading, who: Principal, order_no: str) -> Any:
    """Everything that happened around an order or a group: who has heard which fact, and what should have happened."""
    return orders.timeline(_platform(), order_no)


@door.get("/ops/traces/<order_no>", who=STAFF, answer=say.TraceView)
def get_ops_trace(reading: Reading, who: Principal, order_no: str) -> Any:
    """Who told what, who heard it and how late, and what came of it: of an order or a group; or, within a day, of
    a trace (the 32 digits of a traceparent) or a request (the `trace_id` of a refusal)."""
    return traces.trace(_platform(), order_no)


@door.get("/ops/invariants", who=STAFF, query=say.InvariantsQuery, answer=say.InvariantsView)
def get_ops_invariants(reading: Reading, who: Principal, query: dict[str, Any]) -> Any:
    """The promises about money, stock and facts, recomputed from the stores now; of one order where it is named.

    Of what has changed within so many `minutes`, where they are given; of everything, where they are 0."""
    span = timedelta(minutes=query["minutes"]) if query["minutes"] else None
    verdicts = promises.live(_platform(), query["order_no"], span)
    return {"holds": not any(one.breaches for one in verdicts), "items": [asdict(one) for one in verdicts]}


@door.get("/ops/topology", who=STAFF, answer=say.TopologyView)
def get_ops_topology(reading: Reading, who: Principal) -> Any:
    """What the services declare against what the broker has."""
    return _topology()


@door.post("/ops/topology", who=STAFF, body=say.Why, answer=say.TopologyView, key="none")
def post_ops_topology(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Declare what is missing on the broker. Nothing is taken away."""

    def declare() -> Any:
        broker.apply(_platform())
        return _topology()

    trust.note_change(tx, who.account_id, "topology.apply", "-", g.request_id, body["why"])
    return _afterwards(declare)


def _topology() -> Any:
    platform = _platform()
    return {"embedded": platform.embedded, "items": [asdict(one) for one in broker.audit(platform)]}


@door.get("/ops/dead-letters", who=STAFF, query=say.LetterQuery, answer=say.LetterPage)
def list_ops_dead_letters(reading: Reading, who: Principal, query: dict[str, Any]) -> Any:
    """Messages that were not handled, of all services or one."""
    limit = query.pop("limit")
    found = letters.find(_platform(), limit=limit + 1, **query)
    return page(found, limit, lambda letter: letter["letter_id"])


@door.post("/ops/dead-letters/retry", who=STAFF, body=say.RetryLetters, answer=say.RetriedLetters, key="none")
def post_ops_dead_letters_retry(tx: UnitOfWork, who: Principal, body: dict[str, Any]) -> Any:
    """Have all dead letters that match tried again, at a bounded rate."""
    platform, by = _platform(), _by(who)
    return _afterwards(lambda: {"retried": letters.retry_all(platform, **by, **body)})


@door.get("/ops/dead-letters/<letter_id>", who=STAFF, answer=say.WholeLetter)
def get_ops_dead_letter(reading: Reading, who: Principal, letter_id: str) -> Any:
    """One letter with its message as it came."""
    return letters.show(_platform(), letter_id)


@door.post("/ops/dead-letters/<letter_id>/retry", who=STAFF, body=say.Why, answer=say.LetterView, key="none")
def post_ops_dead_letter_retry(tx: UnitOfWork, who: Principal, letter_id: str, body: dict[str, Any]) -> Any:
    """Have it tried again now."""
    platform, by = _platform(), _by(who)
    return _afterwards(lambda: letters.retry(platform, letter_id, **by, **body))


@door.post("/ops/dead-letters/<letter_id>/edit", who=STAFF, body=say.EditLetter, answer=say.EditedLetter, key="none")
def post_ops_dead_letter_edit(tx: UnitOfWork, who: Principal, letter_id: str, body: dict[str, Any]) -> Any:
    """Put a corrected message in its place, under a new id, and have it tried. Only this service hears it."""
    platform, by = _platform(), _by(who)
    return _afterwards(lambda: letters.edit(platform, letter_id, **by, **body))


@door.post("/ops/dead-letters/<letter_id>/discard", who=STAFF, body=say.Why, status=204, key="none")
def post_ops_dead_letter_discard(tx: UnitOfWork, who: Principal, letter_id: str, body: dict[str, Any]) -> Any:
    """Give up on it: it is never handled, and what waits behind it goes on."""
    platform, by = _platform(), _by(who)
    return _afterwards(lambda: letters.discard(platform, letter_id, **by, **body))


def _by(who: Principal) -> dict[str, Any]:
    return {"actor": who.account_id, "request_id": g.request_id}
