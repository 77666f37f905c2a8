"""How risky a new order is: a table of rules, each with its weight, summed. Explainable, the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from shared.contracts.order import OrderPlaced
from shared.contracts.payment import RiskAssessed

MODEL = "rules-2"
HOUR, DAY, NEW_FOR = timedelta(hours=1), timedelta(days=1), timedelta(days=3)
REMOTE = ("CN-XJ", "CN-XZ")
"""Regions so far away that a refused parcel's way back costs more than most parcels are worth."""
Decision = Literal["allow", "review", "deny"]


@dataclass
class Habits:
    """What we know of a buyer: checkouts within the last hour and day, refusals at the door, and since when."""

    this_hour: int = 0
    today: int = 0
    cod_refusals: int = 0
    registered_at: datetime | None = None
    counted: set[str] = field(default_factory=set)

    def count(self, group_no: str) -> None:
        """One checkout more; the orders of one group are one checkout."""
        if group_no not in self.counted:
            self.counted.add(group_no)
            self.this_hour += 1
            self.today += 1


@dataclass(frozen=True)
class Rule:
    """`weight` of 100 when it `applies`."""

    code: str
    weight: int
    says: str
    applies: Callable[[OrderPlaced, Habits, datetime], bool]


def _abroad(order: OrderPlaced) -> bool:
    """Whether the cash would be of another country: a currency's code begins with its country's (ISO 4217)."""
    return order.region[:2] != order.currency[:2]


def _new(habits: Habits, now: datetime) -> bool:
    return habits.registered_at is None or habits.registered_at > now - NEW_FOR


RULES = (
    Rule(
        "amount_high", 20, "A checkout of 20,000.00 or more.",
        lambda o, h, now: o.group_payable >= 20_000_00,
    ),
    Rule(
        "amount_very_high", 25, "A checkout of 50,000.00 or more.",
        lambda o, h, now: o.group_payable >= 50_000_00,
    ),
    Rule(
        "bulk_quantity", 15, "A line of 100 units or more.",
        lambda o, h, now: any(line.qty >= 100 for line in o.lines),
    ),
    Rule("many_this_hour", 25, "Over 60 checkouts in an hour.", lambda o, h, now: h.this_hour > 60),
    Rule("many_today", 25, "Over 300 checkouts within a day.", lambda o, h, now: h.today > 300),
    Rule(
        "new_and_expensive", 25, "An account of less than three days spends 5,000.00 or more.",
        lambda o, h, now: _new(h, now) and o.group_payable >= 5_000_00,
    ),
    Rule(
        "cod_expensive", 40, "5,000.00 or more in cash at the door.",
        lambda o, h, now: o.payment_method == "cod" and o.payable >= 5_000_00,
    ),
    Rule(
        "cod_remote", 40, "Cash at a door from which few couriers come back.",
        lambda o, h, now: o.payment_method == "cod" and o.region.startswith(REMOTE),
    ),
    Rule(
        "cod_abroad", 80, "No courier takes this currency there.",
        lambda o, h, now: o.payment_method == "cod" and _abroad(o),
    ),
    Rule(
        "cod_refused_once", 40, "The buyer refused a cash order before.",
        lambda o, h, now: o.payment_method == "cod" and h.cod_refusals >= 1,
    ),
    Rule(
        "cod_refused_often", 40, "The buyer refused two cash orders: no more of them.",
        lambda o, h, now: o.payment_method == "cod" and h.cod_refusals >= 2,
    ),
)  # fmt: skip
DECISIONS: tuple[tuple[int, Decision], ...] = ((80, "deny"), (40, "review"), (0, "allow"))
"""From this score on."""


def assess(order: OrderPlaced, habits: Habits, now: datetime) -> RiskAssessed:
    """Weigh an order; the checkout itself counts among the buyer's."""
    habits.count(order.group_no)
    hit = [rule for rule in RULES if rule.applies(order, habits, now)]
    score = min(100, sum(rule.weight for rule in hit))
    return RiskAssessed(
        group_no=order.group_no, order_no=order.order_no, score=score, model_version=MODEL,
        decision=next(decision for least, decision in DECISIONS if score >= least),
        rules_hit=tuple(rule.code for rule in hit),
    )  # fmt: skip
