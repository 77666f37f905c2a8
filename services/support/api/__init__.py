"""What people may ask of support: one door, one module for each kind of thing behind it."""

from services.support.api import inbox, webhooks
from services.support.api.door import door

__all__ = ["door", "inbox", "webhooks"]
