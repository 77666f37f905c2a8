"""How long things may take, and what each state lets people do. Numbers of business, not of machines."""

from __future__ import annotations

from datetime import timedelta

from services.order.domain.states import State

QUOTE_LIVES = timedelta(minutes=10)
PLACEMENT_ALERT = timedelta(seconds=30)
PLACEMENT_LIMIT = timedelta(minutes=15)
PAY_WITHIN = {"online": timedelta(minutes=30), "bank_transfer": timedelta(hours=72)}
ASK_ARBITER_EVERY = timedelta(minutes=2)
ALERT_ARBITER_AFTER = timedelta(minutes=5)
REVIEW_WITHIN = timedelta(hours=24)
REVIEW_LIMIT = timedelta(hours=48)
SHIP_WITHIN = timedelta(hours=48)
SHIP_LOOK_AGAIN = timedelta(hours=24)
CANCEL_ANSWER_WITHIN = timedelta(minutes=10)
RECEIPT_AFTER_SHIPPING = timedelta(days=15)
RECEIPT_AFTER_DELIVERY = timedelta(days=7)
RECEIPT_EXTENSION = timedelta(days=5)
AFTER_SALE_DAYS = 7
# Where a day begins, by country: how far its clocks are ahead of UTC. Only those with one clock and no summer time.
DAYS_BEGIN = {
    country: timedelta(hours=hours)
    for hours, countries in ((8, "CN HK MO MY PH SG TW"), (9, "JP KR"), (7, "KH LA TH VN"))
    for country in countries.split()
}
REVIEW_WINDOW = timedelta(days=7)
MAX_LINES = 200
MAX_QTY = 9_999

# What may be done in a state: action, who may, and the last part of its path under /v1/orders/<order_no>/.
ACTIONS: dict[State, tuple[tuple[str, str], ...]] = {
    State.PLACED: (("cancel", "buyer"),),
    State.AWAITING_PAYMENT: (("pay", "buyer"), ("cancel", "buyer"), ("address", "buyer"), ("price", "seller")),
    State.AWAITING_REVIEW: (("approve", "seller"), ("reject", "seller"), ("cancel", "buyer")),
    State.CONFIRMED: (("cancel", "buyer"), ("ship", "seller")),
    State.FULFILLING: (("cancel", "buyer"), ("ship", "seller")),
    State.PARTIALLY_SHIPPED: (("cancel", "buyer"), ("ship", "seller"), ("track", "buyer")),
    State.SHIPPED: (("receipt", "buyer"), ("receipt/extend", "buyer"), ("track", "buyer")),
    State.DELIVERED: (("receipt", "buyer"), ("receipt/extend", "buyer")),
    State.RECEIVED: (("review", "buyer"),),
    State.COMPLETED: (("review", "buyer"),),
}
