"""Where accounts, sessions, signing keys and shops are kept."""

from services.account.store import people, sessions, shops, signing
from services.account.store.tables import metadata

__all__ = ["metadata", "people", "sessions", "shops", "signing"]
