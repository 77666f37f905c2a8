"""The support service put together."""

from __future__ import annotations

from flask import Flask

from services.support import api, commands, handlers, store
from shared.runtime.service import Service
from shared.runtime.web import web

service = Service(
    name="support",
    owns="What people are told: their inboxes and letters",
    doors=(api.door,),
    on=handlers.on,
    intents=commands.calls,
    metadata=store.metadata,
)


def create_app() -> Flask:
    """The WSGI application, with settings from the environment."""
    return web(service)
