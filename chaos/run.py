"""One run: orders at a steady rate, one fault in their middle, its end whatever happens, rest, and the figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import requests
import sqlalchemy as sa

from chaos import standing
from chaos.faults import Fault, Scene
from chaos.figures import Measured, Outcome
from chaos.ground import operated
from chaos.shop import Shop
from chaos.standing import Before, Target
from chaos.traffic import Traffic
from deploy.fleet import FLEET
from deploy.sandbox.world import NotQuiet
from shared.kernel import clock

FRESH = 1.0
"""Seconds: what waits no longer than this does not wait."""
ACTOR = "chaos"


@dataclass(frozen=True)
class Size:
    """How much a run is. `orders` at least, so many a second; a fault lasts `seconds`; `patience` for what it left."""

    orders: int = 100
    rate: float = 6.0
    seconds: float = 5.0
    patience: float = 150.0


@dataclass
class Result:
    """An outcome, and in words what is wrong with it; `missed`: the fault found nothing to strike."""

    outcome: Outcome
    words: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def run(stack: Target, shop: Shop, fault: Fault, *, seed: int, size: Size, mode: str, control: str = "") -> Result:
    """Raises ServerError when the stack does not come back."""
    dice = Random(f"{seed} {fault.name}")
    shop.open(size.orders)
    since = standing.before(stack)
    traffic = Traffic(stack, shop, size.orders, size.rate, Random(dice.random()))
    scene = Scene(stack, Random(dice.random()), size.seconds)
    traffic.start()
    try:
        traffic.wait_placed(size.orders // 3)
        with traffic.counted() as count:
            fault.strike(scene)
        over = clock.monotonic() + size.patience
        recovery = _recovery(stack, over)
    finally:
        traffic.finish(size.patience / 2)
    calm(stack, over, since)
    measured = Measured(stack, shop, traffic, since)
    dead = standing.dead_letters(stack) - since.dead
    outcome = Outcome(
        mode=mode,
        fault=fault.name,
        seed=seed,
        orders=len(traffic.journal),
        lost=measured.lost(),
        doubled=measured.doubled(),
        oversold=measured.oversold(),
        money_error=measured.money_error(),
        order_violations=measured.order_violations(),
        dead_letters=max(0, dead - scene.poisons),
        stuck=measured.stuck(),
        recovery_s=round(recovery, 1),
        availability=round(count.share, 4),
        control=control,
    )
    if dead < scene.poisons:
        scene.notes.append(f"{scene.poisons - dead} poisons were not found among the dead")
    bury(stack, since)
    return Result(outcome, measured.words, scene.notes)


def calm(stack: Target, until: float, since: Before) -> bool:
    """Whether all came to rest in time: nothing under way, nothing kept to be tried again, no call backing off, those
    apart that waited before the run."""
    while (left := until - clock.monotonic()) > 0:
        try:
            stack.world.settle(left)
        except NotQuiet:
            return False
        except (sa.exc.SQLAlchemyError, requests.RequestException):
            clock.pause(0.5)
            continue
        if standing.waiting(stack) <= since.waiting:
            return True
        clock.pause(0.5)
    return False


def _recovery(stack: Target, until: float) -> float:
    """Seconds until nothing that was said is older than a moment and not published or not handled."""
    begun = clock.monotonic()
    while clock.monotonic() < until:
        try:
            if not standing.is_late(stack, FRESH):
                break
        except sa.exc.SQLAlchemyError:
            pass
        clock.pause(0.3)
    return clock.monotonic() - begun


def bury(stack: Target, since: Before) -> None:
    """Discard what has died in this run, so that the next begins without it."""
    platform = operated(stack)
    try:
        for one in FLEET:
            letters = platform.letters(one.name, ACTOR, "a run is over")
            for row in letters.rows(limit=1000, after=since.letters[one.name]):
                letters.discard(row["no"])
    finally:
        platform.close()
