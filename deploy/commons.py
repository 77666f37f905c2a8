"""What belongs to no service: the merged OpenAPI document, the catalogue of facts, operations and, outside
production, the sandbox.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Flask, Response

from shared.kernel.errors import NotFound, Unauthenticated
from shared.kernel.ids import new_id
from shared.telemetry import metrics
from shared.web import problems
from shared.web.auth import Verifier

if TYPE_CHECKING:
    from deploy.ops.platform import Platform
    from deploy.sandbox.door import Sandbox


class NoSuchFact(NotFound):
    """The catalogue has no fact of this type and version."""


def create_app(sandbox: Sandbox | None = None, platform: Platform | None = None) -> Flask:
    """The application. With a `platform` it answers operators, and watches the broker's topology; with a `sandbox` it
    drives that, for whoever may.
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

    if sandbox is not None:
        from deploy.sandbox import door

        door.install(app, sandbox)
    if platform is not None:
        _install_operations(app, platform)
    return app


def create_commons() -> Flask:
    """The application of a deployment, which operates it where the environment describes it (see `deploy.ops`)."""
    from deploy.ops.platform import Platform

    return create_app(platform=Platform.in_environment())


def create_sandbox(file: str) -> Flask:
    """The application with a sandbox over stores elsewhere.

    `file` is JSON: `{stores, vault, secret, subscribers, desks, url, key, operator_password}`. Beside it lies
    `ops.json`, the platform as operators' tools see it.
    """
    from deploy import seed
    from deploy.ops.platform import Platform
    from deploy.sandbox.door import Sandbox
    from deploy.sandbox.faults import usurper
    from deploy.sandbox.world import Desk, World
    from shared.kernel.settings import Settings
    from shared.storage.database import Database
    from shared.storage.unit_of_work import Node

    given = msgspec.json.decode(Path(file).read_bytes())
    stores = {name: Database(url, pool_size=2) for name, url in given["stores"].items()}
    desks = [Desk(name, url, given["key"]) for name, url in given["desks"].items()]

    def operator() -> tuple[str, str]:
        node = Node(Settings("account", given["stores"]["account"], given["vault"], secret=given["secret"]))
        try:
            return seed.operator(node, given["operator_password"])
        finally:
            node.close()

    verifier = Verifier(stores["account"])
    sandbox = Sandbox(
        World(stores, given["subscribers"], desks),
        url=given["url"],
        key=given["key"],
        operator=operator,
        silence=usurper(stores),
        admit=lambda token: is_operator(verifier, token),
    )
    return create_app(sandbox, Platform.described(Path(file).with_name("ops.json").read_bytes()))


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


def _shown(body: Any) -> Response:
    return Response(msgspec.json.encode(body), content_type="application/json")
