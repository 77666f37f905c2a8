"""A broker that dies, restarts, is full, cannot be reached, or has forgotten a binding."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from chaos.faults.scene import Fault, Scene
from chaos.ground import Ground
from shared.messaging.rabbit.topology import EVENTS, inbox_exchange


def kill(scene: Scene) -> None:
    scene.stack.rabbit.kill9()
    try:
        scene.hold()
    finally:
        scene.stack.rabbit.start()


def restart(scene: Scene) -> None:
    """As an upgrade does."""
    scene.stack.rabbit.stop_app()
    try:
        scene.hold()
    finally:
        scene.stack.rabbit.start_app()


def alarm(scene: Scene, *, kind: Literal["memory", "disk"]) -> None:
    """Whoever publishes is blocked."""
    scene.stack.rabbit.set_alarm(kind, True)
    try:
        scene.hold()
    finally:
        scene.stack.rabbit.set_alarm(kind, False)


def closed(scene: Scene) -> None:
    """The broker closes every connection, in order, again and again."""
    rabbit = scene.stack.rabbit
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
    """Inventory's queue is no longer bound to placed orders; somebody notices and binds it again."""
    rabbit, inbox = scene.stack.rabbit, inbox_exchange("inventory")
    path = f"bindings/{rabbit.vhost}/e/{EVENTS}/e/{inbox}"
    (binding,) = [one for one in _bindings(rabbit, path) if one["routing_key"] == "order.OrderPlaced.v1"]
    rabbit.api("DELETE", f"{path}/{binding['properties_key']}")
    try:
        scene.hold()
    finally:
        rabbit.api("POST", path, {"routing_key": binding["routing_key"], "arguments": {}})


def _bindings(rabbit: Any, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rabbit.api("GET", path)
    return found


def _cable(scene: Scene) -> Any:
    if not isinstance(scene.stack, Ground) or scene.stack.cable is None:
        raise TypeError("only a Ground's line can be cut")
    return scene.stack.cable


ALL = (
    Fault("broker.kill", "kill -9 of the broker", kill),
    Fault("broker.restart", "the broker stops and starts in order", restart),
    Fault("broker.memory", "the broker has no memory left", partial(alarm, kind="memory")),
    Fault("broker.disk", "the broker's disk is full", partial(alarm, kind="disk")),
    Fault("broker.closes", "the broker closes all connections, again and again", closed),
    Fault("broker.cut", "connections are reset in mid-frame, again and again", cut, needs="ground"),
    Fault("broker.unplugged", "the broker cannot be reached", unplugged, needs="ground"),
    Fault("broker.silent", "half-open connections: nothing arrives, nothing says so", silent, needs="ground"),
    Fault("broker.unbound", "a binding is missing for a while", unbound),
)
