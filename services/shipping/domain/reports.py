"""What a carrier reports, in our own words and without anybody's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.contracts.shipping import TrackingStatus

Kind = Literal["moved", "delivered", "failed", "refused", "returned", "lost", "cash"]
SignedBy = Literal["recipient", "neighbour", "locker", "front_desk"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One scan. `sequence` counts from 1 without gaps per booking, so what is missing shows."""

    sequence: int
    kind: Kind
    status: TrackingStatus
    at: datetime
    location: str = ""
    signed_by: SignedBy = "recipient"
    reason: str = "unspecified"
    """A code."""
    amount: int = 0
    currency: str = ""
    method: Literal["cash", "qr_at_door"] = "cash"
