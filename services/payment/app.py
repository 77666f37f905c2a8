"""The payment service, put together."""

from __future__ import annotations

from flask import Flask

from services.payment import api, handlers, store, timers
from services.payment.commands import calls
from shared.runtime.service import Service
from shared.runtime.web import web

service = Service(
    name="payment",
    owns="Payments, channels, refunds, the escrow ledger and risk",
    doors=(api.door,),
    on=handlers.on,
    timers=timers.due,
    intents=calls.calls,
    metadata=store.metadata,
)


def create_app() -> Flask:
    """What gunicorn serves."""
    return web(service)
