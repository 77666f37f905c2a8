"""Who hears what: read from the services themselves, so that it is never out of date."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from shared.runtime.service import Service
from shared.telemetry import logs

SERVICES = Path(__file__).parents[2] / "services"


class Incomplete(Exception):
    """A service of this tree cannot be loaded, so nobody knows all subscribers."""


def names() -> list[str]:
    """The services of this tree."""
    return sorted(path.parent.name for path in SERVICES.glob("*/app.py"))


@cache
def services() -> tuple[Service, ...]:
    """All services of this tree. Raises Incomplete."""
    found = []
    for name in names():
        try:
            found.append(importlib.import_module(f"services.{name}.app").service)
        except Exception as error:
            raise Incomplete(f"{name}: {error!r}") from error
    return tuple(found)


def subscribers() -> dict[str, list[str]]:
    """Of each routing key that is heard at all: the consumers that hear it. Raises Incomplete."""
    found: dict[str, list[str]] = {}
    for service in services():
        for key in service.on.bindings():
            found.setdefault(key, []).append(service.on.consumer)
    return found


def subscribed() -> frozenset[str] | None:
    """Routing keys with at least one consumer; None when nobody can say, so that each fact must reach somebody."""
    try:
        return frozenset(subscribers())
    except Incomplete as error:
        logs.get("catalogue").error("catalogue_incomplete", why=str(error))
        return None
