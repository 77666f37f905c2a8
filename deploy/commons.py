"""What belongs to no service: the merged OpenAPI document, the catalogue of facts, operations and, outside
production, the sandbox.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import marshmallow as ma
import msgspec
from flask import Flask, Response, request

from shared.kernel import clock, errors
from shared.kernel.errors import Invalid, NotFound, Unauthenticated
from shared.kernel.ids import new_id
from shared.telemetry import metrics
from shared.web import problems
from shared.web.auth import Verifier
from shared.web.door import Schema

if TYPE_CHECKING:
    from deploy.ops.platform import Platform
    from deploy.sandbox.world import World

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_ADVANCE = timedelta(days=3660)

Admit = Callable[[str], bool]


class NoSuchFact(NotFound):
    """The catalogue has no fact of this type and version."""


class ClockBody(Schema):
    """Exactly one of the two."""

    advance = ma.fields.String(validate=ma.validate.Length(1, 40))
    to = ma.fields.String(validate=ma.validate.Length(1, 40))


def create_app(
    world: World | None = None,
    key: str = "",
    admit: Admit = lambda _token: False,
    platform: Platform | None = None,
) -> Flask:
    """The application. With a `platform` it answers operators, and watches the broker's topology; with a `world` it
    drives the sandbox, for whoever brings `key` or a token `admit` takes.
    """
    app = Flask("commons", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    problems.install(app)

    @app.before_request
    def begin() -> None:
        from flask import g

        g.request_id = new_id()

    @app.get("/livez")
    @app.get("/readyz")
    def alive() -> Response:
        return _shown({"status": "ready"})

    @app.get("/v1/openapi.json")
    def get_openapi() -> Response:
        """Every operation of the platform in one document."""
        from deploy.docs.openapi import merged

        return _shown(merged())

    @app.get("/v1/events/catalog")
    def get_catalog() -> Response:
        """Every fact: who says it, who hears it, its key, its personal fields and its schema."""
        from deploy.docs.events import catalogue

        return _shown({"items": list(catalogue().values())})

    @app.get("/v1/events/catalog/<kind>")
    def get_fact(kind: str) -> Response:
        """One fact, with the JSON Schema of its data."""
        from deploy.docs.events import catalogue

        found = catalogue().get(kind)
        if found is None:
            raise NoSuchFact()
        return _shown(found)

    if world is not None:
        _install_sandbox(app, world, key, admit)
    if platform is not None:
        _install_operations(app, platform)
    return app


def create_commons() -> Flask:
    """The application of a deployment, which operates it where the environment describes it (see `deploy.ops`)."""
    from deploy.ops.platform import Platform

    return create_app(platform=Platform.in_environment())


def create_sandbox(file: str) -> Flask:
    """The application with a sandbox over stores elsewhere: `file` is JSON, `{stores, subscribers, desks, key}`.

    Beside it lies `ops.json`, the platform as operators' tools see it.
    """
    from deploy.ops.platform import Platform
    from deploy.sandbox.world import Desk, World
    from shared.storage.database import Database

    given = msgspec.json.decode(Path(file).read_bytes())
    stores = {name: Database(url, pool_size=2) for name, url in given["stores"].items()}
    desks = [Desk(name, url, given["key"]) for name, url in given["desks"].items()]
    account = Verifier(stores["account"])
    return create_app(
        World(stores, given["subscribers"], desks),
        given["key"],
        lambda token: is_operator(account, token),
        Platform.described(Path(file).with_name("ops.json").read_bytes()),
    )


def is_operator(verifier: Verifier, token: str) -> bool:
    """Whether it is a valid access token of an operator."""
    try:
        return verifier.verify(token).has("operator")
    except Unauthenticated:
        return False


def _install_operations(app: Flask, platform: Platform) -> None:
    from deploy.ops.door import create_app as create_operations
    from deploy.ops.watch import Watch

    Watch(platform).start()
    operations, ours = create_operations(platform).wsgi_app, app.wsgi_app

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        is_theirs = environ.get("PATH_INFO", "").startswith("/v1/ops/")
        return (operations if is_theirs else ours)(environ, start_response)

    app.wsgi_app = answer  # type: ignore[method-assign]

    @app.get("/metrics")
    def get_metrics() -> Response:
        return Response(metrics.page(), content_type=metrics.CONTENT_TYPE)


def _install_sandbox(app: Flask, world: World, key: str, admit: Admit) -> None:
    if len(key) < 16:
        raise ValueError("the sandbox key has at least 16 characters")

    @app.before_request
    def know_the_caller() -> None:
        if not request.path.startswith("/v1/sandbox"):
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), key.encode()) and not admit(given):
            raise Unauthenticated()

    @app.get("/v1/sandbox")
    def get_sandbox() -> Response:
        """Where the fake provider and the fake carrier are, and how to drive them."""
        return _shown({desk.name: {"url": desk.url, "key": desk.key} for desk in world.desks} | _time(world))

    @app.get("/v1/sandbox/clock")
    def get_clock() -> Response:
        """Business time."""
        return _shown(_time(world))

    @app.post("/v1/sandbox/clock")
    def post_clock() -> Response:
        """Move business time on, from deadline to deadline; answers when all it set off has settled."""
        body = _body()
        if "advance" in body:
            stops = world.advance(_span(body["advance"]))
        else:
            goal = _moment(body["to"])
            if goal > world.now() + LONGEST_ADVANCE:
                raise Invalid("at most ten years at once", field="to")
            stops = world.advance_to(goal)
        return _shown(_time(world) | {"stops": stops, "failing": world.watch.failing()})

    @app.post("/v1/sandbox/settle")
    def post_settle() -> Response:
        """Answers when nothing is under way or due any more."""
        return _shown({"failing": world.settle()} | _time(world))


def _body() -> dict[str, Any]:
    try:
        body: dict[str, Any] = ClockBody().load(msgspec.json.decode(request.get_data() or b"{}"))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise errors.BadRequest("the body is not valid JSON") from error
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


def _moment(text: str) -> Any:
    try:
        return clock.parse_rfc3339(text)
    except ValueError as error:
        raise Invalid("a time reads like 2027-01-31T08:00:00Z", field="to") from error


def _time(world: World) -> dict[str, Any]:
    return {"now": clock.rfc3339(world.now()), "offset_seconds": world.offset}


def _shown(body: Any) -> Response:
    return Response(msgspec.json.encode(body), content_type="application/json")
