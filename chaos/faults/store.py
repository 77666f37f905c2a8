"""A PostgreSQL that dies, restarts, loses its backends, or has no room left."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from signal import SIGKILL

import psycopg

from chaos.faults.scene import Fault, Scene
from chaos.ground import Ground
from deploy.servers import Process

BALLAST = "ballast"
CHUNK, PAGE = 256 << 20, 4096


def kill(scene: Scene) -> None:
    """kill -9 of the server with all its backends."""
    scene.servers.postgres.kill9()
    try:
        scene.hold()
    finally:
        scene.servers.postgres.start()


def restart(scene: Scene) -> None:
    """Immediately: no checkpoint, no farewell."""
    scene.servers.postgres.restart("immediate")
    scene.hold()


def backend(scene: Scene) -> None:
    """kill -9 of one backend: the server ends all others and recovers. Once, since that is what takes long."""
    with _admin(scene) as admin:
        rows = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    Process.of(scene.dice.choice(rows)[0]).signal(SIGKILL)
    scene.hold()


def terminated(scene: Scene) -> None:
    """Every session is ended, again and again."""
    while scene.goes_on():
        with contextlib.suppress(psycopg.OperationalError), _admin(scene) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        scene.pause(0.5, 1.5)


def full(scene: Scene) -> None:
    """Its disk is full, to the last page, and stays so."""
    if not isinstance(scene.stack, Ground) or not scene.stack.small_disk:
        raise TypeError("only a small disk can be filled")
    ballast = scene.stack.disk / BALLAST
    try:
        _fill(ballast)
        while scene.goes_on():
            _fill(ballast)  # what others free meanwhile is taken too
            scene.pause(0.1, 0.3)
    finally:
        ballast.unlink(missing_ok=True)


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        size = CHUNK
        while size >= PAGE:
            try:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
            except OSError:
                size //= 2


def _admin(scene: Scene) -> psycopg.Connection[tuple[int]]:
    url = scene.servers.postgres.url().replace("+psycopg", "", 1)
    return psycopg.connect(url, autocommit=True, connect_timeout=5)


ALL = (
    Fault("postgres.kill", "kill -9 of PostgreSQL", kill),
    Fault("postgres.restart", "PostgreSQL restarts immediately", restart),
    Fault("postgres.backend", "kill -9 of one of PostgreSQL's backends", backend),
    Fault("postgres.terminated", "PostgreSQL ends all sessions, again and again", terminated),
    Fault("postgres.full", "PostgreSQL's disk is full", full, needs="small disk"),
)
