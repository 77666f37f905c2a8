"""Run after run: on one stack as long as it stands, each control on a stack of its own, and everything written down at
once, so that a night's work is not lost with its last hour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import requests
import sqlalchemy as sa

from chaos import report
from chaos.alone import Alone
from chaos.controls import CONTROLS
from chaos.faults import FAULTS, Fault
from chaos.faults.scaling import MOST_WORKERS
from chaos.faults.scene import RELEASE
from chaos.figures import Outcome
from chaos.ground import Ground
from chaos.release import NoRelease
from chaos.run import Result, Size, run
from chaos.shop import Shop
from chaos.standing import Target
from chaos.upgrading import Upgraded
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
SPECIAL: dict[str, Callable[..., Ground]] = {
    SMALL_DISK: partial(Ground, small_disk=True),
    "shards": partial(Ground, shards=MOST_WORKERS),
    "cluster": partial(Ground, brokers=3),
    RELEASE: Upgraded,
}
"""What a fault may need that only some stacks have, and how to come by one."""
CONTROL_PATIENCE = 20.0
MOST_STACKS = 10
"""That one session starts for a mode: more must be given up for it to say that something is very wrong."""

_GONE = (ServerError, NotQuiet, Unexpected, requests.RequestException, sa.exc.SQLAlchemyError)
"""What says that a stack cannot be used any more."""


@dataclass(frozen=True)
class Planned:
    """A run that is to be made."""

    fault: Fault
    seed: int
    size: Size


@dataclass
class Session:
    """`say` hears every result; `previous` names an earlier release, if not the one before this; `why` is what went
    wrong beside the figures."""

    out: Path
    say: Callable[[str], None]
    previous: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    why: list[str] = field(default_factory=list)

    def runs(self, mode: str, plan: Iterable[Planned]) -> None:
        """All that fit the mode; those that need something special on a stack that has it."""
        fitting = [one for one in plan if _fits(one.fault, mode)]
        special = {needs: [one for one in fitting if one.fault.needs == needs] for needs in SPECIAL}
        self._runs(mode, [one for one in fitting if one.fault.needs not in SPECIAL], Ground)
        for needs, some in special.items():
            if some and needs == SMALL_DISK and os.geteuid() != 0:
                names = ", ".join(sorted({one.fault.name for one in some}))
                self.say(f"SKIPPED {names}: only root mounts a small disk")
            elif needs == RELEASE:
                for one in some:
                    self._runs(mode, [one], partial(Upgraded, self.previous))
            else:
                self._runs(mode, some, SPECIAL[needs])

    def _runs(self, mode: str, plan: list[Planned], make: Callable[..., Ground]) -> None:
        left, attempts = list(plan), 0
        while left and attempts < MOST_STACKS:
            attempts += 1
            try:
                target = Alone() if mode == EMBEDDED else make(scale=MODES[mode])
                with _opened(target) as (ground, shop):
                    while left and self._stands(ground, shop, mode, left.pop(0)):
                        continue
                    self._check(ground)
            except NoRelease as error:
                self._complain(str(error))
                break
            except _GONE as error:
                self._complain(f"a stack could not be had: {error}")
        if left:
            self._complain(f"{len(left)} runs were not made")

    def _stands(self, ground: Target, shop: Shop, mode: str, one: Planned) -> bool:
        """One run; whether the stack may be used for another."""
        try:
            self._note(run(ground, shop, one.fault, seed=one.seed, size=one.size, mode=mode))
        except _GONE as error:
            self._complain(f"{one.fault.name} (seed {one.seed}, {mode}): the stack did not come back: {error}")
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

    def control(self, name: str, seed: int, size: Size) -> None:
        """One control, on a stack that is spoilt afterwards."""
        control = CONTROLS[name]
        size = replace(size, patience=CONTROL_PATIENCE, seconds=max(size.seconds, control.seconds))
        with _opened(Ground(patches=control.patches)) as (ground, shop):
            fault = FAULTS[control.fault]
            self._note(run(ground, shop, fault, seed=seed, size=size, mode="stack", control=name))

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
