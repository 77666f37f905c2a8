"""The one list of services, and what is derived from it: names, databases, ports, vault rights and routes.

No other file knows all services. Nothing is imported before it is asked for: a process that needs only the list
pays only for the list.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from deploy.gateway.routes import Route, Table

if TYPE_CHECKING:
    from shared.runtime.service import Service

LIVE = "order-live"
"""Upstream of waiting GETs and streams: order's live process."""

STREAMS = frozenset({"/v1/orders/<order_no>/stream"})
WAITABLE = frozenset({"/v1/orders/<order_no>"})
"""GETs that answer at once, or are held by the live process when asked to wait."""

COMMONS = "commons"
"""Upstream of what belongs to no service: the documents, the sandbox, operations."""

CATALOG = "/v1/events/catalog"
COMMON_ROUTES = (
    Route("/v1/openapi.json", "GET", COMMONS),
    Route(CATALOG, "GET", COMMONS),
    Route(f"{CATALOG}/<kind>", "GET", COMMONS),
    Route("/v1/sandbox", "GET", COMMONS),
    Route("/v1/sandbox/clock", "GET", COMMONS),
    Route("/v1/sandbox/clock", "POST", COMMONS, slow=True),
    Route("/v1/sandbox/settle", "POST", COMMONS, slow=True),
    Route("/v1/sandbox/scenarios", "GET", COMMONS),
    Route("/v1/sandbox/scenarios/<name>", "POST", COMMONS, slow=True),
    Route("/v1/sandbox/faults", "GET", COMMONS),
    Route("/v1/sandbox/faults", "POST", COMMONS),
    Route("/v1/sandbox/faults", "DELETE", COMMONS),
    Route("/v1/sandbox/faults/<fault_id>", "DELETE", COMMONS),
)


@dataclass(frozen=True)
class Member:
    """One service: `number` is its place, from which ports are counted; `vault`: its rights on the keys of personal
    data."""

    number: int
    name: str
    vault: Literal["owner", "reader", "none"] = "none"
    database: str = ""
    web_workers: int = 1
    live: bool = False

    @property
    def store(self) -> str:
        """The name of its database, and of its role on it."""
        return self.database or self.name

    @property
    def module(self) -> str:
        return f"services.{self.name}.app"

    @property
    def service(self) -> Service:
        """What the service is made of; the first call imports it."""
        found: Service = importlib.import_module(self.module).service
        return found


FLEET: tuple[Member, ...] = (
    Member(0, "account", vault="owner"),
    Member(1, "catalog"),
    Member(2, "order", vault="reader", database="orders", web_workers=2, live=True),  # ORDER is a word of SQL
    Member(3, "payment", vault="reader"),
    Member(4, "inventory"),
    Member(5, "shipping", vault="reader"),
    Member(6, "support", vault="reader"),
)


def member(name: str) -> Member:
    """Raises KeyError for a name that is not in the fleet."""
    return next((one for one in FLEET if one.name == name), None) or _unknown(name)


def _unknown(name: str) -> Member:
    raise KeyError(f"no service {name!r}; there are {', '.join(one.name for one in FLEET)}")


def operations() -> Service:
    """What operators may do across services: answered by the commons, with no store of its own."""
    found: Service = importlib.import_module("deploy.ops.door").service
    return found


def answering(members: tuple[Member, ...] = FLEET) -> dict[str, Service]:
    """By name: everything with doors, the services and operations."""
    return {one.name: one.service for one in members} | {"ops": operations()}


@dataclass(frozen=True)
class Operation:
    """One operation of a service: Flask's rule, the method, who may ask, and the function behind the door."""

    rule: str
    method: str
    who: frozenset[str]
    view: Any


def operations_of(service: Service) -> list[Operation]:
    """What a service's doors answer."""
    from flask import Flask

    app = Flask(service.name, static_folder=None)
    for door in service.doors:
        app.register_blueprint(door)
    found = []
    for rule in app.url_map.iter_rules():
        view: Any = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            found.append(Operation(rule.rule, method, frozenset(view.operation.who), view))
    return found


def routes_of(service: Service) -> list[Route]:
    """What a service's doors answer, as routes to it; streams go to the live process."""
    return [
        Route(
            one.rule,
            one.method,
            LIVE if one.rule in STREAMS else service.name,
            live=one.rule in STREAMS,
            waits=one.method == "GET" and one.rule in WAITABLE,
            machine="signature" in one.who,
        )
        for one in operations_of(service)
    ]


@functools.cache
def table(members: tuple[Member, ...] = FLEET) -> Table:
    """All routes of the platform. Raises Ambiguous when two services claim one."""
    ours = (replace(route, upstream=COMMONS) for route in routes_of(operations()))
    return Table([*(route for one in members for route in routes_of(one.service)), *ours, *COMMON_ROUTES])


@functools.cache
def subscribers(members: tuple[Member, ...] = FLEET) -> dict[str, list[str]]:
    """By routing key: the services whose queues are bound to it."""
    found: dict[str, list[str]] = {}
    for one in members:
        service = one.service
        if service.on.consumer != one.name:
            raise ValueError(f"{one.name} consumes as {service.on.consumer}")
        for key in service.on.bindings():
            found.setdefault(key, []).append(one.name)
    return found
