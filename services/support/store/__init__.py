"""Where contacts, shops' accounts, notifications, webhooks and their deliveries are kept."""

from services.support.store.deliveries import (
    AT_ONCE,
    Mailbag,
    NoSuchDelivery,
    add_attempt,
    change,
    delivery,
    delivery_attempt,
    find_delivery,
    forget,
    forget_old,
    insert,
    listeners,
    load_listeners,
    lock_webhooks_of,
    start,
)
from services.support.store.inbox import (
    add,
    contact,
    keep_contact,
    keep_shop,
    load_shops,
    mark_read,
    move_mail,
    notification,
    recipient,
    sent,
    shop,
)
from services.support.store.rows import metadata
from services.support.store.webhooks import NoSuchWebhook, count_webhooks, url_is_taken, webhooks

__all__ = [
    "AT_ONCE", "Mailbag", "NoSuchDelivery", "NoSuchWebhook", "add", "add_attempt", "change", "contact",
    "count_webhooks", "delivery", "delivery_attempt", "find_delivery", "forget", "forget_old", "insert",
    "keep_contact", "keep_shop", "listeners", "load_listeners", "load_shops", "lock_webhooks_of", "mark_read",
    "metadata", "move_mail", "notification", "recipient", "sent", "shop", "start", "url_is_taken", "webhooks",
]  # fmt: skip
