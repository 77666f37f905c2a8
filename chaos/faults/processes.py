"""Processes that die, stand still, or believe that it is another time."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from chaos.alone import NAME
from chaos.child import patched
from chaos.faults.scene import READY_SECONDS, Fault, Scene
from deploy.fleet import FLEET, Member
from deploy.servers import ServerError
from deploy.stack.processes import Job, await_ready
from shared.telemetry.faults import POINTS

DESKS = ("provider", "carrier")
AFTER = 25
"""How often a point is passed before the death: the process must be in the middle of its work."""
ZOMBIE_SECONDS = 24.0
"""Longer than a lease and than the store's patience with an idle transaction."""
RARE = ("retry.after_handler", "intent.before_call", "intent.after_call", "timer.after_claim")


def kill(scene: Scene, *, name: str) -> None:
    """Die, be started again after a moment, die again."""
    try:
        while scene.goes_on():
            scene.kill(name)
            scene.pause(0.05, 1.5)
            scene.stack.revive(name)
            scene.pause(1.5, 3.0)
    finally:
        scene.heal(name)


def stop(scene: Scene, *, name: str) -> None:
    """Stand still."""
    scene.job(name).signal(signal.SIGSTOP)
    try:
        scene.hold()
    finally:
        scene.job(name).signal(signal.SIGCONT)


def zombie(scene: Scene, *, name: str) -> None:
    """Stand still until others have taken over, then go on as if nothing had happened."""
    scene.seconds = max(scene.seconds, ZOMBIE_SECONDS)
    stop(scene, name=name)


def crash(scene: Scene, *, name: str, point: str) -> None:
    """Die by oneself at a named point, in the middle of work; once."""
    job = scene.job(name)
    healthy, times = dict(job.env), 1 if point in RARE else scene.dice.randint(1, AFTER)
    _end(scene, job)
    job.env = healthy | {"CARAVAN_CRASH_AT": f"{point}:{times}"}
    try:
        scene.stack.revive(name)
        with contextlib.suppress(ServerError):  # which says that it has died already
            await_ready([job], READY_SECONDS)
        while job.running and scene.goes_on():
            scene.pause(0.1, 0.2)
        if job.running and not name.endswith(".web"):  # gunicorn itself lives on, and makes another
            scene.notes.append(f"{name} did not come to {point} {times} times")
    finally:
        job.env = healthy
        _end(scene, job)
        scene.heal(name)


@contextmanager
def changed(scene: Scene, name: str, patches: Sequence[str]) -> Iterator[None]:
    """The process is another meanwhile (see `chaos.child`)."""
    job = scene.job(name)
    healthy = job.command
    _end(scene, job)
    job.command = patched(healthy, patches)
    try:
        scene.heal(name)
        yield
    finally:
        job.command = healthy
        _end(scene, job)
        scene.heal(name)


def believe(scene: Scene, *, name: str, patches: Sequence[str]) -> None:
    """Go on changed, for a while."""
    with changed(scene, name, patches):
        scene.hold()


def gateway(scene: Scene) -> None:
    """The gateway dies."""
    scene.servers.nginx.kill9()
    try:
        scene.hold()
    finally:
        scene.servers.nginx.start(scene.servers._gateway())


def _end(scene: Scene, job: Job) -> None:
    if job.running:
        scene.kill(job.name)


def _names(one: Member) -> list[str]:
    return [f"{one.name}.web", *([f"{one.name}.live"] if one.live else []), f"{one.name}.worker.0"]


def _short(name: str) -> str:
    return name.removesuffix(".0")


def _passes(one: Member, point: str) -> bool:
    """Whether the service's worker can come to the point."""
    family = point.partition(".")[0]
    if family == "intent":
        return bool(one.service.intents.by_kind)
    if family == "timer":
        return bool(one.service.timers.by_name)
    return True


def nothing(scene: Scene) -> None:
    """Only time passes."""
    scene.hold()


def _all() -> Iterator[Fault]:
    yield Fault("nothing", "nothing happens: what the other runs are compared with", nothing)
    everybody = [name for one in FLEET for name in _names(one)] + list(DESKS)
    for name in everybody:
        yield Fault(f"kill.{_short(name)}", f"kill -9 of {_short(name)}, again and again", partial(kill, name=name))
    yield Fault("kill.gateway", "kill -9 of nginx", gateway)
    for name in everybody:
        yield Fault(f"stop.{_short(name)}", f"SIGSTOP of {_short(name)}", partial(stop, name=name))
    for one in FLEET:
        worker = f"{one.name}.worker.0"
        what = f"{_short(worker)} stands still longer than its leases run, then goes on"
        yield Fault(f"zombie.{_short(worker)}", what, partial(zombie, name=worker))
    for one in FLEET:
        for point in POINTS:
            if _passes(one, point):
                name = f"{one.name}.worker.0"
                what = f"{one.name}'s worker dies at {point}"
                yield Fault(f"crash.{one.name}.{point}", what, partial(crash, name=name, point=point))
        for point in ("tx.before_commit", "tx.after_commit"):
            what = f"{one.name}'s web process dies at {point}"
            yield Fault(f"crash.{one.name}-web.{point}", what, partial(crash, name=f"{one.name}.web", point=point))
    for one in FLEET:
        for patch in ("clock-ahead", "clock-behind"):
            what = f"{one.name}'s worker believes to be an hour {patch.removeprefix('clock-')}"
            strike = partial(believe, name=f"{one.name}.worker.0", patches=[patch])
            yield Fault(f"{patch}.{one.name}", what, strike)


def _alone() -> Iterator[Fault]:
    """What can befall the platform in one process."""
    yield Fault("kill.platform", "kill -9 of the platform in one process", partial(kill, name=NAME), needs="alone")
    yield Fault("stop.platform", "SIGSTOP of the platform in one process", partial(stop, name=NAME), needs="alone")
    for point in POINTS:
        strike = partial(crash, name=NAME, point=point)
        yield Fault(f"crash.platform.{point}", f"the platform in one process dies at {point}", strike, needs="alone")


ALL = (*_all(), *_alone())
