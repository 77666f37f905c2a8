"""What a fault is, and what it may use."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from chaos.standing import Target
from deploy.servers import ServerError
from deploy.stack import Stack
from deploy.stack.processes import Job, await_ready
from shared.kernel import clock

READY_SECONDS = 120.0
RELEASE = "release"


@dataclass
class Scene:
    """A stack under load, for so many `seconds`. `poisons` counts messages that nobody can handle and that were put
    there; `notes` are for whoever reads the report."""

    stack: Target
    dice: Random
    seconds: float
    poisons: int = 0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._until = 0.0

    @property
    def servers(self) -> Stack:
        """The stack, where it has servers. Raises TypeError for the platform in one process."""
        if isinstance(self.stack, Stack):
            return self.stack
        raise TypeError("it has no servers")

    def hold(self) -> None:
        """Let it last."""
        clock.pause(self.seconds)

    def goes_on(self) -> bool:
        """Whether it is still to last, counted from the first time this is asked."""
        self._until = self._until or clock.monotonic() + self.seconds
        return clock.monotonic() < self._until

    def pause(self, least: float, most: float) -> None:
        clock.pause(self.dice.uniform(least, most))

    def job(self, name: str) -> Job:
        return self.stack.jobs[name]

    def kill(self, name: str) -> None:
        """kill -9 of the process and its children."""
        self.job(name).signal(signal.SIGKILL)
        self.job(name).wait(10)

    def heal(self, *names: str) -> None:
        """Start again what has ended, and return when it is ready. Raises ServerError."""
        jobs = [self.job(name) for name in names]
        until = clock.monotonic() + READY_SECONDS
        while True:
            for job in jobs:
                if not job.running:
                    self.stack.revive(job.name)
            try:
                await_ready(jobs, until - clock.monotonic())
                return
            except ServerError:
                # Whoever stood on what was broken may end by its own fault, and is started again.
                if clock.monotonic() > until:
                    raise


Strike = Callable[[Scene], None]


@dataclass(frozen=True)
class Fault:
    """`needs`: what only some have: "ground" (a line to the broker that can be cut), "small disk", "shards"
    (room to grow), "cluster" (three nodes of the broker), RELEASE (that it begins as an earlier release, which is so
    only once), or "alone" (that all is one process)."""

    name: str
    what: str
    strike: Strike
    needs: str = ""
