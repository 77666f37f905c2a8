"""A release follows another while orders flow."""

from __future__ import annotations

from chaos.faults.scene import RELEASE, Fault, Scene
from chaos.release import migrations
from chaos.upgrading import Upgraded
from deploy.stack.nursery import ROOT
from deploy.stack.processes import await_ready
from deploy.stack.stack import READY_SECONDS


def roll(scene: Scene) -> None:
    """Stores and broker first, then this tree's processes of one service after another; with both at work everywhere,
    the earlier ones go, in another order."""
    stack = scene.stack
    if not isinstance(stack, Upgraded):
        raise TypeError("it has no earlier release")
    more = sorted(migrations(ROOT) - migrations(stack.earlier))
    scene.notes.append(f"from {stack.commit[:12]}, with {', '.join(more) or 'no migration'} between them")
    stack.migrate()
    stack.declare()
    await_ready(stack.of_the_earlier(), READY_SECONDS)
    for deed in (stack.join, stack.leave):
        for one in scene.dice.sample(stack.members, len(stack.members)):
            deed(one)
            scene.pause(0.2, 1.0)
        scene.hold()


ALL = (
    Fault(
        "upgrade",
        "the services of the release before are replaced by this one's, one after another, on the same stores",
        roll,
        RELEASE,
    ),
)
