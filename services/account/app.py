"""The account service, put together."""

from __future__ import annotations

from flask import Flask

from services.account import api, handlers, store, timers
from shared.runtime.service import Service
from shared.runtime.web import web

service = Service(
    name="account",
    owns="People, their sessions and addresses, and the shops they open",
    doors=(api.door,),
    on=handlers.on,
    timers=timers.due,
    metadata=store.metadata,
)


def create_app() -> Flask:
    return web(service)
