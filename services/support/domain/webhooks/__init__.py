"""Merchants' systems: what they are told, and how long somebody who does not answer is tried again."""

from services.support.domain.webhooks.endpoint import OldSecret, Webhook
from services.support.domain.webhooks.messages import SHOWN, TEST, TYPES, Message, encode, messages
from services.support.domain.webhooks.trying import (
    HOLDS_FOR,
    KEPT_FOR,
    Tried,
    excerpt,
    next_try,
    retry_after,
)

__all__ = [
    "HOLDS_FOR", "KEPT_FOR", "SHOWN", "TEST", "TYPES", "Message", "OldSecret", "Tried", "Webhook", "encode",
    "excerpt", "messages", "next_try", "retry_after",
]  # fmt: skip
