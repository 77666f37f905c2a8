"""The sandbox over HTTP, under `/v1/sandbox`: business time, faults and scenarios. Never there in production."""

from __future__ import annotations

import functools
import hmac
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import marshmallow as ma
import msgspec
from flask import Flask, Response, request

from deploy.sandbox.faults import Faults, Undo
from deploy.sandbox.world import World
from deploy.story.scenarios import SCENARIOS, Stage
from shared.kernel import clock, errors
from shared.kernel.errors import Invalid, Unauthenticated
from shared.storage.database import Database
from shared.web.door import Schema

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_ADVANCE = timedelta(days=3660)

Admit = Callable[[str], bool]


class ClockBody(Schema):
    """Exactly one of the two."""

    advance = ma.fields.String(validate=ma.validate.Length(1, 40))
    to = ma.fields.String(validate=ma.validate.Length(1, 40))


class Sandbox:
    """A running platform as its sandbox sees it; the grounds on which scenarios are played.

    `url` is the gateway's; `operator` makes the first operator known and answers e-mail address and password;
    `silence` makes a service deaf. Whoever brings `key`, or a token that `admit` takes, may drive it.
    """

    def __init__(
        self,
        world: World,
        *,
        url: str,
        key: str,
        operator: Callable[[], tuple[str, str]],
        silence: Callable[[str], Undo],
        admit: Admit = lambda _token: False,
    ) -> None:
        if len(key) < 16:
            raise ValueError("the sandbox key has at least 16 characters")
        self.world, self.url, self.sandbox_key, self.admit = world, url, key, admit
        self._operator = operator
        self.faults = Faults(world.desks, list(world.stores), silence)

    @property
    def stores(self) -> dict[str, Database]:
        return self.world.stores

    @property
    def provider_url(self) -> str:
        return self.faults.desks["provider"].url

    @property
    def carrier_url(self) -> str:
        return self.faults.desks["carrier"].url

    @functools.cached_property
    def operator(self) -> tuple[str, str]:
        return self._operator()

    @functools.cached_property
    def stage(self) -> Stage:
        return Stage(self, self.silent)

    def silent(self, service: str) -> AbstractContextManager[None]:
        return self.faults.silent(service)

    def settle(self, seconds: float = 60) -> None:
        self.world.settle(seconds)

    def advance(self, **span: float) -> int:
        return self.world.advance(timedelta(**span))

    def leap(self, **span: float) -> None:
        self.world.leap(**span)


def install(app: Flask, sandbox: Sandbox) -> None:
    """Put the doors into `app`."""
    world = sandbox.world

    @app.before_request
    def know_the_caller() -> None:
        if not request.path.startswith("/v1/sandbox"):
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), sandbox.sandbox_key.encode()) and not sandbox.admit(given):
            raise Unauthenticated()

    @app.get("/v1/sandbox")
    def get_sandbox() -> Response:
        """Where the fake provider and the fake carrier are, and how to drive them."""
        return shown({desk.name: {"url": desk.url, "key": desk.key} for desk in world.desks} | _time(world))

    @app.get("/v1/sandbox/clock")
    def get_clock() -> Response:
        """Business time."""
        return shown(_time(world))

    @app.post("/v1/sandbox/clock")
    def post_clock() -> Response:
        """Move business time on, from deadline to deadline; answers when all it set off has settled."""
        body = _clock_body()
        if "advance" in body:
            stops = world.advance(_span(body["advance"]))
        else:
            goal = _moment(body["to"])
            if goal > world.now() + LONGEST_ADVANCE:
                raise Invalid("at most ten years at once", field="to")
            stops = world.advance_to(goal)
        return shown(_time(world) | {"stops": stops, "failing": world.watch.failing()})

    @app.post("/v1/sandbox/settle")
    def post_settle() -> Response:
        """Answers when nothing is under way or due any more."""
        return shown({"failing": world.settle()} | _time(world))

    @app.get("/v1/sandbox/scenarios")
    def get_scenarios() -> Response:
        """The states and ends to which an order can be brought."""
        told = ("name", "state", "reason", "says")
        return shown({"items": [{name: getattr(one, name) for name in told} for one in SCENARIOS.values()]})

    @app.post("/v1/sandbox/scenarios/<name>")
    def post_scenario(name: str) -> Response:
        """Bring a new order there; answers the order, and how to sign in as its buyer and its seller."""
        return shown(sandbox.stage.play(name), 201)

    @app.get("/v1/sandbox/faults")
    def get_faults() -> Response:
        """The faults that are on."""
        return shown({"items": sandbox.faults.listed()})

    @app.post("/v1/sandbox/faults")
    def post_fault() -> Response:
        """Turn one on: `{where, kind, …}`."""
        wish = _json()
        where = wish.pop("where", None)
        if not isinstance(where, str):
            raise Invalid("where does it go wrong?", field="where")
        return shown(sandbox.faults.turn_on(where, wish), 201)

    @app.delete("/v1/sandbox/faults")
    def delete_faults() -> Response:
        """All is well again."""
        sandbox.faults.lift_all()
        return Response(status=204)

    @app.delete("/v1/sandbox/faults/<fault_id>")
    def delete_fault(fault_id: str) -> Response:
        """This fault is over."""
        sandbox.faults.lift(fault_id)
        return Response(status=204)


def shown(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, content_type="application/json")


def _json() -> dict[str, Any]:
    try:
        body = msgspec.json.decode(request.get_data() or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise errors.BadRequest("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise Invalid("the body is not an object")
    return body


def _clock_body() -> Mapping[str, str]:
    try:
        body: dict[str, str] = ClockBody().load(_json())
    except ma.ValidationError as error:
        messages = error.normalized_messages()  # type: ignore[no-untyped-call]
        raise Invalid(field=next(iter(messages), None), errors={"json": messages}) from error
    if len(body) != 1:
        raise Invalid("give advance or to", field="advance")
    return body


def _span(text: str) -> timedelta:
    """``15d``, ``1d12h``, ``90s``."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Invalid("a span reads like 15d, 1d12h or 90s", field="advance")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > LONGEST_ADVANCE.total_seconds():
        raise Invalid("at most ten years at once", field="advance")
    return timedelta(seconds=seconds)


def _moment(text: str) -> datetime:
    try:
        return clock.parse_rfc3339(text)
    except ValueError as error:
        raise Invalid("a time reads like 2027-01-31T08:00:00Z", field="to") from error


def _time(world: World) -> dict[str, Any]:
    return {"now": clock.rfc3339(world.now()), "offset_seconds": world.offset}
