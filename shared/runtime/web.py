"""A service's WSGI application, as gunicorn asks for it: settings from the environment, one node per process."""

from __future__ import annotations

from flask import Flask

from shared.kernel import settings
from shared.runtime.service import Service
from shared.runtime.wake import notifier
from shared.storage.unit_of_work import Node
from shared.telemetry import logs, spans
from shared.web.factory import create_app


def web(service: Service) -> Flask:
    """Connections are made on first use, so this may be called before or after a fork."""
    logs.configure(service.name)
    spans.configure(service.name)
    node = Node(settings.load(service.name))
    node.wake = notifier(node.database)
    return create_app(service, node)
