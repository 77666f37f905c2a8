"""Puts a service's doors on a Flask application: problems, request ids, health, metrics, OpenAPI."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Flask, Response, g, request
from flask.json.provider import JSONProvider
from werkzeug.routing import Rule

from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.storage.database import Database
from shared.storage.migrate import is_current
from shared.storage.unit_of_work import Node
from shared.telemetry import logs, metrics
from shared.web import problems
from shared.web.auth import Verifier
from shared.web.documents import document_of

if TYPE_CHECKING:
    from shared.runtime.service import Service

MAX_BODY = 1024 * 1024
_TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class _Rule(Rule):
    """Addresses are matched here and never built; what building needs is most of what an application's start costs."""

    def _compile_builder(self, append_unknown: bool = True) -> Any:
        return _not_built


def _not_built(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("addresses are written out, not built from rules")


class _Service(Flask):
    url_rule_class = _Rule


class _Json(JSONProvider):
    def dumps(self, obj: Any, **_: Any) -> str:
        return msgspec.json.encode(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return msgspec.json.decode(s)


def create_app(service: Service, node: Node) -> Flask:
    """The service's WSGI application on `node`."""
    app = _Service(service.name, static_folder=None)
    app.json = _Json(app)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY,
        PROPAGATE_EXCEPTIONS=False,
        TRAP_HTTP_EXCEPTIONS=False,
    )
    app.extensions["caravan"] = node
    app.extensions["caravan.verifier"] = Verifier(node.database)
    for door in service.doors:
        app.register_blueprint(door)
    problems.install(app)
    _install_request_context(app, service.name, node.database)
    _install_health(app, service, node)
    return app


def _install_request_context(app: Flask, name: str, database: Database) -> None:
    @app.before_request
    def begin() -> None:
        g.started = clock.monotonic()
        g.request_id = new_id()
        given = request.headers.get("traceparent", "")
        g.traceparent = (
            given if _TRACEPARENT.match(given) else f"00-{g.request_id.replace('-', '')}-{new_id()[-12:]}0000-01"
        )

        logs.follow(g.traceparent, g.request_id)

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        logs.unfollow()

    @app.after_request
    def end(response: Response) -> Response:
        for header, value in HEADERS.items():
            response.headers.setdefault(header, value)
        response.headers["X-Request-Id"] = g.request_id
        rule = request.url_rule.rule if request.url_rule else "none"
        seconds = clock.monotonic() - g.started
        metrics.pool_in_use.labels(name).set(database.in_use)
        metrics.requests.labels(name, request.method, rule, str(response.status_code)).observe(seconds)
        return response


def _install_health(app: Flask, service: Service, node: Node) -> None:
    current, document = False, functools.cache(functools.partial(document_of, service))

    @app.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        """Database and migrations only: a lost broker must not take the shop off the net."""
        nonlocal current
        current = current or is_current(node.database, service.migrations)
        with node.database.read() as connection:
            connection.exec_driver_sql("SELECT 1")
        return ({"status": "ready"}, 200) if current else ({"status": "migrations pending"}, 503)

    @app.get("/metrics")
    def metrics_page() -> Response:
        return Response(metrics.page(), content_type=metrics.CONTENT_TYPE)

    @app.get(f"/v1/openapi/{service.name}.json")
    def openapi() -> Any:
        return document()
