"""The outside world in a box: a fake payment provider and a fake carrier, spoken to over HTTP only.

Both stand alone: they import nothing of the platform and keep books of their own, so that the platform's
ledger can be compared with somebody else's. `README.md` is their protocol. Neither starts in production.
"""
