"""What can be looked up."""

from services.support.queries import inbox, webhooks

__all__ = ["inbox", "webhooks"]
