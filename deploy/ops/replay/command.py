"""``caravan replay``: gaps, fill, rebuild. The context's object is whatever has `nodes` and `stores`, by service."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

import click
import msgspec

from deploy import fleet
from deploy.ops.replay import fill as filling
from deploy.ops.replay.logs import Wanted
from deploy.ops.replay.rebuild import PROJECTIONS, rebuild
from shared.storage.database import Database
from shared.storage.unit_of_work import Node

MOMENTS = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
SERVICES = click.Choice([one.name for one in fleet.FLEET])


class Stores(Protocol):
    """What the command works on."""

    @property
    def nodes(self) -> Mapping[str, Node]: ...
    @property
    def stores(self) -> Mapping[str, Database]: ...


@click.group()
def replay() -> None:
    """Hear again what the publishers' logs hold: fill gaps, rebuild projections. Nothing is said or called twice."""


@replay.command()
@click.argument("service", type=SERVICES)
@click.option("--order", "order_no", default="", help="Only facts of this order, or of its group.")
@click.option("--type", "types", multiple=True, help="Only facts of this name, e.g. PaymentConfirmed.")
@click.option("--since", type=MOMENTS, help="Only facts said then or later (UTC).")
@click.option("--until", type=MOMENTS, help="Only facts said then or earlier (UTC).")
@click.option("--why", default="", help="Fill them; stands in the audit trail. Without it they are only shown.")
@click.pass_obj
def fill(
    platform: Stores,
    service: str,
    order_no: str,
    types: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    why: str,
) -> None:
    """Hand SERVICE the facts that it never heard; those of the same aggregate before them come along."""
    wanted = Wanted(order_no, types, _utc(since), _utc(until))
    node, whole = platform.nodes[service], fleet.member(service).service
    found = filling.gaps(node, whole, platform.stores, wanted)
    if why:
        _show(asdict(filling.fill(node, whole, found, _me(), why)))
        return
    for one in found.missing:
        _show({"said": one.said, "fact": one.fact.routing_key, "about": one.fact.agg, "event_id": one.fact.event_id})
    _show({"missing": len(found.missing), "too_old": found.too_old})


@replay.command("rebuild")
@click.argument("projection", type=click.Choice(sorted(PROJECTIONS)))
@click.option("--swap", is_flag=True, help="Put the rebuilt tables in place; otherwise they are only compared.")
@click.option("--why", default="", help="Stands in the audit trail; needed with --swap.")
@click.pass_obj
def rebuild_one(platform: Stores, projection: str, swap: bool, why: str) -> None:
    """Build PROJECTION anew beside the old one, and compare. Ends with 1 when they differ and were not swapped."""
    node = platform.nodes[PROJECTIONS[projection].service]
    if swap and not why:
        raise click.UsageError("--swap needs --why")
    done = rebuild(node, projection, platform.stores, swap=swap, actor=_me(), why=why)
    _show(asdict(done))
    if done.problems or (done.different and not done.swapped):
        raise SystemExit(1)


def _me() -> str:
    return f"cli:{getpass.getuser()}"


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None


def _show(thing: Any) -> None:
    click.echo(msgspec.json.encode(thing).decode())
