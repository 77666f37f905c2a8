"""How much room the platform takes: memory when nothing happens, and what an order leaves behind in the stores."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.ground import Ground
from deploy.servers import free_port
from deploy.stack.nursery import Nursery
from deploy.stack.processes import Job, Watchdog, await_ready, python, stop_jobs
from shared.kernel import clock

KIT = ("event_log", "inbox", "outbox")
QUIET_SECONDS = 3.0


@dataclass
class Footprint:
    """MiB of memory by part of the stack, and of the platform in one process. Bytes by table of the kit, indexes
    included: left behind by a completed order, and of the outboxes of all services at rest."""

    stack_mib: dict[str, float] = field(default_factory=dict)
    embedded_mib: float = 0.0
    bytes_per_order: dict[str, float] = field(default_factory=dict)
    outbox_bytes: int = 0
    outbox_rows: int = 0

    def __str__(self) -> str:
        left = ", ".join(f"{table} {size / 1024:.1f} KiB" for table, size in self.bytes_per_order.items())
        return (
            f"idle: stack {sum(self.stack_mib.values()):.0f} MiB, embedded {self.embedded_mib:.0f} MiB;"
            f" a completed order leaves {left};"
            f" {self.outbox_rows} rows in outboxes of {self.outbox_bytes / 1024:.0f} KiB"
        )


def memory(pids: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """MiB by part; what processes share is shared out among them. Those that have ended count nothing."""
    return {part: sum(map(_mib, several)) for part, several in pids.items()}


def _mib(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def embedded() -> float:
    """MiB of the whole platform in one process, a moment after its start."""
    home = Path(tempfile.mkdtemp(prefix="caravan-alone-"))
    watchdog, nursery, port = Watchdog(home), Nursery([]), free_port()
    env = {"CARAVAN_ENV": "development", "PATH": "/usr/bin:/bin"}
    command = python("-m", "deploy.embedded", "--home", home / "data", "--port", str(port))
    job = Job("platform", command, env, home / "log", f"http://127.0.0.1:{port}/v1/events/catalog")
    try:
        job.start(watchdog, nursery)
        await_ready([job], 120)
        clock.pause(QUIET_SECONDS)
        return sum(memory({"platform": job.pids()}).values())
    finally:
        stop_jobs([job], 20)
        nursery.stop()
        watchdog.dismiss()
        shutil.rmtree(home, ignore_errors=True)


def table_bytes(ground: Ground) -> dict[str, int]:
    """By table of the kit: what it takes in all stores together."""
    found = dict.fromkeys(KIT, 0)
    for store in ground.stores:
        for table in KIT:
            found[table] += ground.rows(store, "SELECT pg_total_relation_size(to_regclass(:name))", name=table)[0][0]
    return found


def outbox_rows(ground: Ground) -> int:
    return sum(ground.rows(store, "SELECT count(*) FROM outbox")[0][0] for store in ground.stores)
