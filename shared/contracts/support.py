"""Facts of the support service."""

from typing import Literal

from shared.contracts.event import Fact


class NotificationSent(Fact, about="notification/notification_id", key="notification_id"):
    """A message went out because of another fact. `account_id` is "operators" when it went to all of them.

    In order for each message alone: a shop's messages of a busy hour need not wait for one another.
    """

    notification_id: str
    to: Literal["buyer", "seller", "operator"]
    account_id: str
    template: str
    channel: str
    cause_event_id: str
    group_no: str | None = None
    order_no: str | None = None


class WebhookDisabled(Fact, about="webhook/webhook_id", key="seller_id"):
    """A merchant's system took nothing for three days, or is gone; nothing is sent there. The seller is told."""

    webhook_id: str
    seller_id: str
    host: str
    """Of its URL; the rest may hold secrets."""
    reason: Literal["failing", "gone"]
