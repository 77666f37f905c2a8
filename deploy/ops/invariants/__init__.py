"""The promises about money, stock and events, recomputed from the stores alone: V1 to V9.

They hold at any moment for the parts that one transaction guards (V1 to V4, V6, V9), and at quiescence for what
travels by events (V5, V7, V8). Each check answers the breaches it found, naming order, SKU or posting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deploy.ops.invariants.goods import lines_add_up, stock_is_never_promised_twice
from deploy.ops.invariants.money import (
    money_is_somewhere,
    no_money_leaves_that_was_not_here,
    refunds_stay_below_what_came,
)
from deploy.ops.invariants.progress import (
    ONCE,
    nothing_is_stuck,
    nothing_waits_for_nothing,
    the_services_agree,
    told_once,
)
from deploy.ops.invariants.seeing import Scope, Snapshot, Stores

__all__ = [
    "CHECKS", "ONCE", "Scope", "Snapshot", "Stores", "Verdict", "lines_add_up", "money_is_somewhere",
    "no_money_leaves_that_was_not_here", "nothing_is_stuck", "nothing_waits_for_nothing", "recompute",
    "refunds_stay_below_what_came", "stock_is_never_promised_twice", "the_services_agree", "told_once",
]  # fmt: skip

SHOWN = 5
Check = Callable[[Snapshot], tuple[int, list[str]]]


@dataclass(frozen=True)
class Verdict:
    """`breaches` is empty when the invariant holds; `checked` is how many things were looked at."""

    number: str
    promise: str
    checked: int
    breaches: list[str]

    def __str__(self) -> str:
        if not self.breaches:
            return f"{self.number} ok      {self.promise} ({self.checked} checked)"
        more = f" and {len(self.breaches) - SHOWN} more" if len(self.breaches) > SHOWN else ""
        return f"{self.number} BROKEN  {self.promise}: {'; '.join(self.breaches[:SHOWN])}{more}"


CHECKS: tuple[tuple[str, str, Check], ...] = (
    ("V1", "stock is never promised twice", stock_is_never_promised_twice),
    ("V2", "every order line adds up", lines_add_up),
    ("V3", "every cent that came is somewhere", money_is_somewhere),
    ("V4", "refunds stay below what came", refunds_stay_below_what_came),
    ("V5", "nothing waits for nothing", nothing_waits_for_nothing),
    ("V6", "what happens once is told once", told_once),
    ("V7", "the services agree", the_services_agree),
    ("V8", "no gap, nothing stuck, nothing dead", nothing_is_stuck),
    ("V9", "no money leaves that was not here", no_money_leaves_that_was_not_here),
)


def recompute(stores: Stores, scope: Scope | None = None) -> list[Verdict]:
    """All verdicts, from the stores as they are now: on everything, or on what is in the scope."""
    see = Snapshot(stores, scope)
    verdicts = []
    for number, promise, check in CHECKS:
        checked, breaches = check(see)
        verdicts.append(Verdict(number, promise, checked, breaches))
    return verdicts
