"""Run after run: on one stack as long as it stands, each control on a stack of its own, and everything written down at
once, so that a night's work is not lost with its last hour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from chaos import report
from chaos.alone import Alone
from chaos.controls import CONTROLS
from chaos.faults import FAULTS, Fault
from chaos.faults.scaling import MOST_WORKERS
from chaos.figures import Outcome
from chaos.ground import Ground
from chaos.run import Result, Size, run
from chaos.shop import Shop
from chaos.standing import Target
from deploy.ops.invariants import recompute
from deploy.sandbox.world import NotQuiet
from deploy.servers import ServerError
from deploy.story.people import Unexpected

EMBEDDED = "embedded"
MODES: dict[str, dict[str, int]] = {
    "stack": {},
    "scaled": {"order": 2, "payment": 2, "inventory": 2, "shipping": 2, "support": 2},
    EMBEDDED: {},
}
"""By name: worker processes by service. A scaled service has as many shards, and its workers share them. Embedded is
the platform in one process, with faults of its own."""
SMALL_DISK = "small disk"
SPECIAL: dict[str, dict[str, Any]] = {
    SMALL_DISK: {"small_disk": True},
    "shards": {"shards": MOST_WORKERS},
    "cluster": {"brokers": 3},
}
"""What a fault may need that only some stacks have, and how to come by one."""
CONTROL_PATIENCE = 20.0
MOST_STACKS = 10
"""That one session starts for a mode: more must be given up for it to say that something is very wrong."""

_GONE = (ServerError, NotQuiet, Unexpected, requests.RequestException, sa.exc.SQLAlchemyError)
"""What says that a stack cannot be used any more."""


@dataclass
class Session:
    """`say` hears every result; `why` is what went wrong beside the figures."""

    size: Size
    seeds: Sequence[int]
    out: Path
    say: Callable[[str], None]
    outcomes: list[Outcome] = field(default_factory=list)
    why: list[str] = field(default_factory=list)

    def faults(self, mode: str, faults: Iterable[Fault]) -> None:
        """Every fault with every seed; those that need something special on a stack that has it."""
        plan = [(fault, seed) for fault in faults if _fits(fault, mode) for seed in self.seeds]
        special = {needs: [one for one in plan if one[0].needs == needs] for needs in SPECIAL}
        self._runs(mode, [one for one in plan if one[0].needs not in SPECIAL], {})
        for needs, some in special.items():
            if some and needs == SMALL_DISK and os.geteuid() != 0:
                names = ", ".join(sorted({fault.name for fault, _ in some}))
                self.say(f"SKIPPED {names}: only root mounts a small disk")
            else:
                self._runs(mode, some, SPECIAL[needs])

    def _runs(self, mode: str, plan: list[tuple[Fault, int]], options: Mapping[str, Any]) -> None:
        left, attempts = list(plan), 0
        while left and attempts < MOST_STACKS:
            attempts += 1
            try:
                target = Alone() if mode == EMBEDDED else Ground(scale=MODES[mode], **options)
                with _opened(target) as (ground, shop):
                    while left and self._stands(ground, shop, mode, *left.pop(0)):
                        continue
                    self._check(ground)
            except _GONE as error:
                self._complain(f"a stack could not be had: {error}")
        if left:
            self._complain(f"{len(left)} runs were not made")

    def _stands(self, ground: Target, shop: Shop, mode: str, fault: Fault, seed: int) -> bool:
        """One run; whether the stack may be used for another."""
        try:
            self._note(run(ground, shop, fault, seed=seed, size=self.size, mode=mode))
        except _GONE as error:
            self._complain(f"{fault.name} (seed {seed}, {mode}): the stack did not come back: {error}")
            return False
        return True

    def _check(self, ground: Target) -> None:
        """All promises, recomputed over everything that was ever done on it."""
        try:
            self.why += [str(verdict) for verdict in recompute(ground.stores) if verdict.breaches]
        except _GONE as error:
            self.why.append(f"the promises could not be recomputed: {error}")

    def _complain(self, words: str) -> None:
        self.why.append(words)
        self.say(words)

    def control(self, name: str) -> None:
        """One control, on a stack that is spoilt afterwards."""
        control = CONTROLS[name]
        size = replace(self.size, patience=CONTROL_PATIENCE, seconds=max(self.size.seconds, control.seconds))
        with _opened(Ground(patches=control.patches)) as (ground, shop):
            fault = FAULTS[control.fault]
            self._note(run(ground, shop, fault, seed=self.seeds[0], size=size, mode="stack", control=name))

    def _note(self, found: Result) -> None:
        self.say(report.line(found))
        self.outcomes.append(found.outcome)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_bytes(report.document(self.outcomes))

    def failures(self) -> list[str]:
        """Everything that is not as it must be."""
        found = list(self.why)
        for one in self.outcomes:
            if words := report.failures(one):
                found.append(f"{one.control or one.fault} (seed {one.seed}, {one.mode}): {', '.join(words)}")
        return found


def _fits(fault: Fault, mode: str) -> bool:
    return fault.name == "nothing" or (fault.needs == "alone") == (mode == EMBEDDED)


@contextmanager
def _opened(ground: Target) -> Iterator[tuple[Target, Shop]]:
    """A stack, or the platform in one process, with a shop."""
    with ground:
        yield ground, Shop(ground)
