"""Where groups, quotes and the copies of others' offers are kept."""

from services.order.store.groups import (
    NoSuchOrder,
    group_number_of,
    groups,
    heard_of,
    lock_by_number,
    own_order,
)
from services.order.store.market import (
    delist,
    freight_of,
    keep_freight,
    keep_offers,
    keep_price,
    keep_seller,
    market,
    on_sale,
    suspend_seller,
)
from services.order.store.quotes import NoSuchQuote, forget_quotes, plan_sweep, quotes
from services.order.store.tables import history, metadata, order_index

__all__ = [
    "NoSuchOrder", "NoSuchQuote", "delist", "forget_quotes", "freight_of", "group_number_of", "groups", "heard_of",
    "history", "keep_freight", "keep_offers", "keep_price", "keep_seller", "lock_by_number", "market", "metadata",
    "on_sale", "order_index", "own_order", "plan_sweep", "quotes", "suspend_seller",
]  # fmt: skip
