"""Services that are given more workers and fewer while orders flow."""

from __future__ import annotations

from chaos.faults.scene import Fault, Scene
from deploy.fleet import FLEET

MOST_WORKERS = 4
STEPS = (MOST_WORKERS, 2)
"""Workers of each service, one step after the other, from one and back to one."""


def grow_and_shrink(scene: Scene) -> None:
    """Each step lasts as long as a fault does; in the middle of the first a worker of each service is killed."""
    stack = scene.servers
    try:
        for number in STEPS:
            for one in FLEET:
                stack.set_workers(one.name, number)
            if number == MOST_WORKERS:
                scene.pause(0.5, scene.seconds)
                killed = [f"{one.name}.worker.{scene.dice.randrange(number)}" for one in FLEET]
                for name in killed:
                    scene.kill(name)
                scene.hold()
                scene.heal(*killed)
            scene.hold()
    finally:
        for one in FLEET:
            stack.set_workers(one.name, 1)
        scene.heal(*(f"{one.name}.worker.0" for one in FLEET))


ALL = (
    Fault(
        "scaling",
        "every service has one worker, then four of which one is killed, then two, then one",
        grow_and_shrink,
        "shards",
    ),
)
