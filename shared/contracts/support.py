"""Facts of the support service."""

from typing import Literal

from shared.contracts.event import Fact


class NotificationSent(Fact, about="notification/notification_id", key="account_id"):
    """A message went out because of another fact. `account_id` is "operators" when it went to all of them."""

    notification_id: str
    to: Literal["buyer", "seller", "operator"]
    account_id: str
    template: str
    channel: str
    cause_event_id: str
    group_no: str | None = None
    order_no: str | None = None
