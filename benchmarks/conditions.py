"""Under what conditions a run was made: what must be known to compare it with another."""

from __future__ import annotations

import os
import platform
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.bench import Bench
from deploy.servers import versions

if TYPE_CHECKING:
    from benchmarks.run import Size

DURABLE = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")
YARDSTICK_LOOPS = 20_000
YARDSTICK_PAUSE = 0.2


def conditions(bench: Bench, size: Size) -> dict[str, Any]:
    """Machine, versions, counts, durable settings, workers and threads."""
    with bench.postgres_connection() as admin:
        durable = {name: admin.execute("SELECT current_setting(%s)", [name]).fetchone() for name in DURABLE}
    return {
        "machine": {
            "cpus": os.cpu_count(),
            "cpu": _cpu_model(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
            "load_before": [round(value, 2) for value in os.getloadavg()],
        },
        "versions": {"python": platform.python_version(), **versions()},
        "durable": {name: row[0] for name, row in durable.items() if row},
        "processes": {
            "web": {one.name: one.web_workers for one in bench.members},
            "threads_per_web_worker": 4,
            "workers": dict.fromkeys(bench.services, 1),
            "nginx_workers": 1,
        },
        "counts": asdict(size),
        "yardstick_best_ms": min(_stick() for _ in range(20)),
    }


def _stick() -> float:
    """CPU milliseconds of a fixed piece of work."""
    start = time.thread_time()
    total = 0
    for number in range(YARDSTICK_LOOPS):
        total += len(str(number * number))
    return (time.thread_time() - start) * 1000


class Yardstick:
    """What a fixed piece of work costs, measured again and again by a thread while something else is measured.

    Neighbours on the same silicon make the very same work dearer, in CPU time too: by half as much again is common.
    `mean_ms` divided into a CPU time gives a number that can be compared between moments and machines.
    """

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="yardstick", daemon=True)

    @property
    def mean_ms(self) -> float:
        return sum(self.samples) / len(self.samples)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.samples.append(_stick())
            if self._stop.wait(YARDSTICK_PAUSE):
                return


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
