"""Messages that nobody can handle, that kill, that come twice or late; and handlers that are slow."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from chaos.faults.processes import believe, changed
from chaos.faults.scene import Fault, Scene
from deploy import fleet
from deploy.fleet import FLEET
from deploy.servers import RabbitServer, wait_until
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.messaging.broker import Outgoing
from shared.messaging.rabbit import RabbitPublisher, queue_name
from shared.storage.types import event_log

COPIES = 600


def poison(scene: Scene) -> None:
    """Between the facts of real orders: bytes that are nothing, words put into somebody's mouth, versions of tomorrow
    and broken shapes. Each is kept as dead, and its neighbours are not touched."""
    rabbit, spoken = scene.servers.rabbit, "order.OrderPlaced.v1"
    hearing = len(fleet.subscribers()[spoken])
    with _speaker(rabbit, "order") as publisher:
        while scene.goes_on():
            for one in FLEET:
                for body in _strange(scene):
                    _push(scene, one.name, body)
                    scene.poisons += 1
            for body in _unfit(scene):
                publisher.publish([Outgoing(0, new_id(), spoken, new_id(), body)])
                scene.poisons += hearing
            scene.pause(0.5, 1.0)


def _strange(scene: Scene) -> list[bytes]:
    """Pushed into a queue past the exchange, by nobody who is known there."""
    return [
        b"\xff\xfenot even text " + new_id().encode(),
        msgspec.json.encode({"hello": new_id()}),
        msgspec.json.encode(_like_real(scene)),
    ]


def _unfit(scene: Scene) -> list[bytes]:
    """Said by their publisher, and yet not to be understood."""
    return [
        msgspec.json.encode(_like_real(scene) | {"type": "caravan.order.OrderPlaced.v9"}),
        msgspec.json.encode(_like_real(scene) | {"data": {"group_no": 7}}),
    ]


def _like_real(scene: Scene) -> dict[str, Any]:
    """A real fact's envelope about something that is not there."""
    return _some_fact(scene) | {"id": new_id(), "subject": f"order/{new_id()[-12:]}", "partitionkey": new_id()}


def _some_fact(scene: Scene) -> dict[str, Any]:
    placed = sa.select(event_log.c.body).where(event_log.c.type == "OrderPlaced").limit(1)
    with scene.stack.stores["order"].read() as connection:
        found: dict[str, Any] = msgspec.json.decode(bytes(connection.execute(placed).scalar_one()))
    return found


def _push(scene: Scene, service: str, body: bytes) -> None:
    rabbit = scene.servers.rabbit
    rabbit.api(
        "POST",
        f"exchanges/{rabbit.vhost}/amq.default/publish",
        {
            "properties": {"delivery_mode": 2}, "routing_key": queue_name(service, 0),
            "payload": base64.b64encode(body).decode(), "payload_encoding": "base64",
        },
    )  # fmt: skip


def duplicates(scene: Scene) -> None:
    """What every service has said lately is published again, in any order, while it speaks."""
    begun = clock.machine_now()
    while scene.goes_on():
        for one in FLEET:
            again = _lately(scene, one.name, begun)
            if not again:
                continue
            scene.dice.shuffle(again)
            with _speaker(scene.servers.rabbit, one.name) as publisher:
                publisher.publish(again)
        scene.pause(0.2, 0.5)


def _lately(scene: Scene, service: str, before: Any) -> list[Outgoing]:
    columns = event_log.c
    log = (
        sa.select(columns.pos, columns.event_id, columns.routing_key, columns.partition_key, columns.body)
        .where(columns.created_at < before)
        .order_by(columns.pos.desc())
        .limit(COPIES)
    )
    with scene.stack.stores[service].read() as connection:
        return [
            Outgoing(row.pos, row.event_id, row.routing_key, row.partition_key, bytes(row.body))
            for row in connection.execute(log)
        ]


@contextmanager
def _speaker(rabbit: RabbitServer, service: str) -> Iterator[RabbitPublisher]:
    """Who may say what this service says."""
    publisher = RabbitPublisher(rabbit.amqp_url(service), service, frozenset())
    try:
        wait_until(lambda: publisher.connected, 10, "the broker did not listen")
        yield publisher
    finally:
        publisher.close()


def deadly(scene: Scene) -> None:
    """A message that kills whoever handles it, with real ones before and behind it: it is dead after three deaths."""
    body = msgspec.json.encode(_like_real(scene) | {"id": f"chaos-deadly-{new_id()[-8:]}"})
    with changed(scene, "order.worker.0", ["deadly-message"]):
        _push(scene, "order", body)
        scene.poisons += 1
        scene.seconds = max(scene.seconds, 20.0)
        while scene.goes_on():
            if not scene.job("order.worker.0").running:
                scene.stack.revive("order.worker.0")
            scene.pause(0.1, 0.2)


def _all() -> list[Fault]:
    found = [
        Fault("poison", "messages that nobody can handle, among those of real orders", poison),
        Fault("duplicates", "facts come again, in any order", duplicates),
        Fault("deadly", "a message that kills whoever handles it", deadly),
    ]
    for one in FLEET:
        what = f"{one.name} takes a fifth of a second for each fact"
        slow = partial(believe, name=f"{one.name}.worker.0", patches=["slow-handlers"])
        found.append(Fault(f"slow.{one.name}", what, slow))
    return found


ALL = tuple(_all())
