"""The order service: quotes, groups, orders, and the life of each order."""

from __future__ import annotations

from flask import Flask

from services.order import api, handlers, store, timers
from shared.runtime.service import Service
from shared.runtime.web import web

service = Service(
    name="order",
    owns="Quotes, order groups, orders, their states, deadlines and timelines",
    doors=(api.door,),
    on=handlers.on,
    timers=timers.due,
    metadata=store.metadata,
)


def create_app() -> Flask:
    """The process that takes orders."""
    return web(service)


def create_live() -> Flask:
    """The process that holds waiting GETs and streams (gevent); the same doors."""
    return web(service)
