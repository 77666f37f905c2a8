"""Merchants' systems, called in the form of Standard Webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.support.domain.webhooks import Tried, excerpt, retry_after
from shared.kernel import clock
from shared.storage.unit_of_work import Node
from shared.web.outbound import Guarded, NoAnswer
from shared.web.signatures import sign


@dataclass(frozen=True)
class Message:
    """What is sent where. `secrets` in plain text; it is signed with each of them."""

    url: str
    message_id: str
    body: bytes
    secrets: Sequence[str]


def guarded(node: Node) -> Guarded:
    """The way out to addresses that users gave us, made on first use."""
    found: Guarded = node.outside.get("webhooks") or node.outside.setdefault(
        "webhooks", Guarded(node.settings.outbound_allowed)
    )
    return found


def send(node: Node, message: Message) -> Tried:
    """One attempt. Its signature is new, its id and body are those of every other attempt."""
    timestamp = int(clock.machine_seconds())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Caravan-Webhooks/1",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            sign(secret, message.message_id, timestamp, message.body) for secret in message.secrets
        ),
    }
    begun = clock.monotonic()
    try:
        reply = guarded(node).post(message.url, message.body, headers)
    except NoAnswer as error:
        return Tried(None, error.why, _since(begun))
    header = next((text for name, text in reply.headers.items() if name.lower() == "retry-after"), "")
    return Tried(
        reply.status, None, _since(begun), excerpt(reply.body, message.secrets), retry_after(reply.status, header)
    )


def _since(begun: float) -> int:
    return round((clock.monotonic() - begun) * 1000)
