"""Named crash points: ``CARAVAN_CRASH_AT=relay.after_confirm:3`` kills this process the third time it gets there.

They stand at every boundary where a death could lose or double something; tests walk through all of them.
"""

from __future__ import annotations

import os

POINTS = (
    "tx.before_commit",
    "tx.after_commit",
    "relay.after_publish",
    "relay.after_confirm",
    "relay.after_delete",
    "consumer.after_delivery",
    "consumer.after_inbox",
    "consumer.after_handler",
    "consumer.after_commit",
    "timer.after_claim",
    "intent.before_call",
    "intent.after_call",
    "retry.after_handler",
)

_name, _left = "", 1


def choose(chosen: str) -> None:
    """Die at this point from now on (``relay.after_confirm:3``, as above), or at none."""
    global _name, _left
    _name, _, count = chosen.partition(":")
    _left = int(count or 1)


choose(os.environ.get("CARAVAN_CRASH_AT", ""))  # noqa: TID251  (before any settings are read)


def crash_point(name: str) -> None:
    """Die here, without cleaning up, if this is the chosen point."""
    global _left
    if name == _name:
        _left -= 1
        if _left <= 0:
            os._exit(137)
