"""Calls to the outside world, bounded in time and size, and never with a transaction open.

`Outbound` is for parties we chose ourselves; `Guarded` for addresses that users gave us, and the only way to call one.
"""

from shared.web.outbound.guarded import Guarded, NoAnswer, Reply, UrlNotAllowed
from shared.web.outbound.party import Outbound

__all__ = ["Guarded", "NoAnswer", "Outbound", "Reply", "UrlNotAllowed"]
