"""The support service put together."""

from __future__ import annotations

from flask import Flask

from services.support import api, commands, handlers, store, timers
from shared.runtime.service import Service
from shared.runtime.web import web

service = Service(
    name="support",
    owns="What people and merchants' systems are told: inboxes, letters and webhooks",
    doors=(api.door,),
    on=handlers.on,
    timers=timers.due,
    intents=commands.calls,
    metadata=store.metadata,
)


def create_app() -> Flask:
    """The WSGI application, with settings from the environment."""
    return web(service)
