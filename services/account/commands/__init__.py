"""Use cases."""

from services.account.commands import people, rewrapping, sessions, shops, signing

__all__ = ["people", "rewrapping", "sessions", "shops", "signing"]
