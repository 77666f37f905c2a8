"""The inventory service, put together."""

from __future__ import annotations

from flask import Flask

from services.inventory import api, handlers, store, timers
from shared.runtime.service import Service
from shared.runtime.web import web

service = Service(
    name="inventory",
    owns="Warehouses, stock, reservations and returns",
    doors=(api.door,),
    on=handlers.on,
    timers=timers.due,
    metadata=store.metadata,
)


def create_app() -> Flask:
    """For gunicorn: ``services.inventory.app:create_app()``."""
    return web(service)
