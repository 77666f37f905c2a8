"""The stack that is fired at: its line to the broker can be cut, and its processes can be started without a
protection (see `chaos.child`).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from chaos.alone import Alone
from chaos.cable import Cable
from chaos.child import patched
from deploy.fleet import Member
from deploy.ops.platform import Platform
from deploy.stack import Stack
from deploy.stack.processes import Job

SMALL_DISK = "1500m"


class Ground(Stack):
    """See the module. `patches` are in every process of every service; `small_disk` puts PostgreSQL's data on a file
    system of its own, which can be filled (needs root); `shards` is how far a service's workers can grow; `brokers`
    are nodes of one cluster."""

    def __init__(
        self,
        *,
        patches: Sequence[str] = (),
        scale: Mapping[str, int] | None = None,
        small_disk: bool = False,
        shards: int = 1,
        brokers: int = 1,
    ) -> None:
        super().__init__(keep=False, durable=True, scale=scale, shards=shards, brokers=brokers)
        self.patches, self.small_disk = tuple(patches), small_disk
        self.cable: Cable | None = None

    def start(self) -> Self:
        if self.small_disk:
            (self.home / "postgres").mkdir(parents=True, exist_ok=True)
            command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(self.home / "postgres")]
            subprocess.run(command, check=True, capture_output=True)
        return super().start()

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            if self.cable is not None:
                self.cable.close()
                self.cable = None
            if self.small_disk:
                subprocess.run(["umount", "-l", str(self.home / "postgres")], check=False, capture_output=True)
                shutil.rmtree(self.home, ignore_errors=True)

    @property
    def disk(self) -> Path:
        """Where PostgreSQL's data is."""
        return self.home / "postgres"

    def _plan(self) -> Iterator[tuple[str, Job]]:
        for name, job in super()._plan():
            if self.patches and "." in name:
                job.command = patched(job.command, self.patches)
            yield name, job

    def _environment(self, one: Member) -> dict[str, str]:
        if self.cable is None:
            self.cable = Cable(lambda: self.rabbit.port)
        env = super()._environment(one)
        direct, through = f"127.0.0.1:{self.rabbit.port}/", f"127.0.0.1:{self.cable.port}/"
        return env | {"CARAVAN_BROKER_URL": env["CARAVAN_BROKER_URL"].replace(direct, through)}


def operated(stack: Stack | Alone) -> Platform:
    """The stack as operators' tools see it. Close it."""
    return Platform.in_folder(stack.home)
