"""What the commons look at by themselves, whoever else runs: every minute whether the broker has what is declared, and
whether the promises hold for what has changed; every ten, where there is not too much of it, for everything. A finding
is a warning in the log and a number among the metrics.

Several processes of the commons share one lease, so that each look is taken once.
"""

from __future__ import annotations

import threading
from datetime import timedelta

from deploy.ops import broker, promises
from deploy.ops.platform import Platform
from shared.kernel import clock
from shared.kernel.errors import Refusal
from shared.messaging import leases
from shared.telemetry import logs, metrics

EVERY = 60.0
EVERYTHING_EVERY = 600.0
FIRST = timedelta(hours=1)
"""How far back the first look at what has changed goes."""
LEASE = "ops.watch"


class Watch:
    """`start` it once a process; it ends with the process."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._owner = leases.owner_name()
        self._everything_at = clock.monotonic() + EVERYTHING_EVERY
        self._looked_at = clock.machine_now() - FIRST

    def start(self) -> None:
        """Nothing to watch in the embedded platform: it has no broker, and its demo recomputes the promises."""
        if not self.platform.embedded:
            threading.Thread(target=self._run, name="watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            clock.pause(EVERY)  # at the start of a platform nothing is declared yet
            try:
                self.look()
            except Exception as error:  # a store that is away; the watch outlives it
                logs.get("ops").warning("watch_failed", why=repr(error)[:300])

    def look(self) -> None:
        """One look, unless another process takes them."""
        held = leases.acquire(
            self.platform.nodes["account"].database, LEASE, self._owner, timedelta(seconds=1.5 * EVERY)
        )
        if held is None:
            return
        self.look_at_the_broker()
        self.look_at_the_promises()

    def look_at_the_promises(self) -> None:
        begun = clock.machine_now()
        if clock.monotonic() >= self._everything_at and promises.is_small(self.platform.stores):
            self._everything_at = clock.monotonic() + EVERYTHING_EVERY
            found = promises.live(self.platform)
        else:
            found = promises.live(self.platform, span=begun - self._looked_at)
        self._looked_at = begun
        for verdict in found:
            if verdict.breaches:
                logs.get("ops").error("invariant_broken", invariant=verdict.number, breaches=verdict.breaches[:5])

    def look_at_the_broker(self) -> None:
        try:
            found = broker.audit(self.platform)
        except Refusal as refusal:
            logs.get("ops").warning("topology_unknown", why=refusal.code)
            return
        for one in found:
            metrics.topology_missing.labels(one.service).set(len(one.missing))
            metrics.topology_altered.labels(one.service).set(len(one.altered))
            if one.missing or one.altered:
                logs.get("ops").warning(
                    "topology_differs", service=one.service, missing=one.missing, altered=one.altered
                )
