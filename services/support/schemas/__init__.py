"""What support's bodies look like."""

from services.support.schemas import inbox, webhooks

__all__ = ["inbox", "webhooks"]
