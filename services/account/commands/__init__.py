"""Use cases."""

from services.account.commands import people, sessions, shops, signing

__all__ = ["people", "sessions", "shops", "signing"]
