"""The catalog service, put together."""

from __future__ import annotations

from flask import Flask

from services.catalog import api, handlers, store
from shared.runtime.service import Service
from shared.runtime.web import web

service = Service(
    name="catalog",
    owns="Categories, products, what is found and what buyers say of it",
    doors=(api.door,),
    on=handlers.on,
    metadata=store.metadata,
)


def create_app() -> Flask:
    return web(service)
