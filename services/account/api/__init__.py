"""The HTTP door: one door, one module for each kind of thing behind it."""

from services.account.api import people, sessions, shops
from services.account.api.door import door

__all__ = ["door", "people", "sessions", "shops"]
