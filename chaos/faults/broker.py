"""A broker that dies, restarts, is full, cannot be reached, or has forgotten a binding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from signal import SIGCONT, SIGSTOP
from typing import Any, Literal

from chaos.faults.scene import Fault, Scene
from chaos.ground import Ground, operated
from deploy import fleet
from deploy.ops.replay import fill as filling
from shared.messaging.rabbit.topology import EVENTS, inbox_exchange

PLACED = "order.OrderPlaced.v1"


def kill(scene: Scene) -> None:
    scene.servers.rabbit.kill9()
    try:
        scene.hold()
    finally:
        scene.servers.rabbit.start()


def node(scene: Scene) -> None:
    """Of three the one that leads the most queues: the other two have all that was confirmed, and go on."""
    rabbit = scene.servers.rabbit
    queues = rabbit.api("GET", f"queues/{rabbit.vhost}")
    led, one = max(
        ((sum(queue["leader"] == one.node for queue in queues), one) for one in (rabbit, *rabbit.mates)),
        key=lambda found: found[0],
    )
    copies = min(len(queue["members"]) for queue in queues)
    scene.notes.append(f"the node led {led} of {len(queues)} queues, of which each had {copies} copies or more")
    one.crash()
    try:
        scene.hold()
    finally:
        one.start()


def restart(scene: Scene) -> None:
    """As an upgrade does."""
    scene.servers.rabbit.stop_app()
    try:
        scene.hold()
    finally:
        scene.servers.rabbit.start_app()


def alarm(scene: Scene, *, kind: Literal["memory", "disk"]) -> None:
    """Whoever publishes is blocked."""
    scene.servers.rabbit.set_alarm(kind, True)
    try:
        scene.hold()
    finally:
        scene.servers.rabbit.set_alarm(kind, False)


def closed(scene: Scene) -> None:
    """The broker closes every connection, in order, again and again."""
    rabbit = scene.servers.rabbit
    while scene.goes_on():
        rabbit.ctl("close_all_connections", "--vhost", rabbit.vhost, "maintenance")
        scene.pause(1.0, 2.0)


def cut(scene: Scene) -> None:
    """Every connection is reset in the middle of whatever it carries, again and again."""
    cable = _cable(scene)
    while scene.goes_on():
        cable.cut()
        scene.pause(0.3, 1.5)


def unplugged(scene: Scene) -> None:
    """Nobody can connect."""
    cable = _cable(scene)
    cable.unplug()
    try:
        scene.hold()
    finally:
        cable.plug()


def silent(scene: Scene) -> None:
    """Connections seem to stand and carry nothing, for longer than the heartbeats' patience."""
    cable = _cable(scene)
    cable.silence()
    try:
        scene.seconds = max(scene.seconds, 25.0)
        scene.hold()
    finally:
        cable.plug()


def unbound(scene: Scene) -> None:
    """Placed orders reach no queue; somebody notices and binds again."""
    with _unbound(scene, *fleet.subscribers()[PLACED]):
        scene.hold()


def half_unbound(scene: Scene) -> None:
    """Placed orders reach every queue but inventory's, so the broker has nothing to complain of. The audit of the
    topology shows it, somebody binds again, and operators fill the gap from the log."""
    platform, service = operated(scene.stack), fleet.member("inventory").service
    try:
        with _unbound(scene, service.name):
            scene.hold()
        found = filling.gaps(platform.nodes[service.name], service, platform.stores)
        filled = filling.fill(platform.nodes[service.name], service, found, "chaos", "a binding was missing")
        scene.notes.append(f"operators filled a gap of {filled.handled} facts")
    finally:
        platform.close()


@contextmanager
def _unbound(scene: Scene, *services: str) -> Iterator[None]:
    """Unbound and bound again while order's relay stands still: between one binding and the next nothing is said."""
    rabbit = scene.servers.rabbit
    paths = [f"bindings/{rabbit.vhost}/e/{EVENTS}/e/{inbox_exchange(service)}" for service in services]
    with _silent_order(scene):
        for path in paths:
            for binding in rabbit.api("GET", path):
                if binding["routing_key"] == PLACED:
                    rabbit.api("DELETE", f"{path}/{binding['properties_key']}")
    try:
        yield
    finally:
        with _silent_order(scene):
            for path in paths:
                rabbit.api("POST", path, {"routing_key": PLACED, "arguments": {}})


@contextmanager
def _silent_order(scene: Scene) -> Iterator[None]:
    scene.job("order.worker.0").signal(SIGSTOP)
    try:
        scene.pause(0.5, 0.5)  # what it has said reaches the broker
        yield
    finally:
        scene.job("order.worker.0").signal(SIGCONT)


def _cable(scene: Scene) -> Any:
    if not isinstance(scene.stack, Ground) or scene.stack.cable is None:
        raise TypeError("only a Ground's line can be cut")
    return scene.stack.cable


ALL = (
    Fault("broker.kill", "kill -9 of the broker", kill),
    Fault("broker.node", "kill -9 of one of three nodes of the broker", node, needs="cluster"),
    Fault("broker.restart", "the broker stops and starts in order", restart),
    Fault("broker.memory", "the broker has no memory left", partial(alarm, kind="memory")),
    Fault("broker.disk", "the broker's disk is full", partial(alarm, kind="disk")),
    Fault("broker.closes", "the broker closes all connections, again and again", closed),
    Fault("broker.cut", "connections are reset in mid-frame, again and again", cut, needs="ground"),
    Fault("broker.unplugged", "the broker cannot be reached", unplugged, needs="ground"),
    Fault("broker.silent", "half-open connections: nothing arrives, nothing says so", silent, needs="ground"),
    Fault("broker.unbound", "placed orders reach no queue for a while", unbound),
    Fault(
        "broker.half-unbound", "placed orders do not reach inventory for a while; operators fill the gap", half_unbound
    ),
)
