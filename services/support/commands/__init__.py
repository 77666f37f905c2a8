"""Use cases."""

from services.support.commands import deliveries, notices, webhooks
from services.support.commands.calls import calls

__all__ = ["calls", "deliveries", "notices", "webhooks"]
