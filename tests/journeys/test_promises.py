"""Whoever looks often looks at what has changed: it finds what looking at everything finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import msgspec
import pytest
import sqlalchemy as sa

from deploy.embedded import Platform
from deploy.ops import promises
from deploy.ops.invariants import Verdict, changed, recompute
from deploy.ops.platform import Platform as Operated
from deploy.story.people import Grounds
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.storage.types import event_log
from shared.telemetry import metrics
from tests.journeys.market import Market

LATELY = timedelta(hours=2)


def breaches(verdicts: list[Verdict]) -> dict[str, set[str]]:
    return {one.number: set(one.breaches) for one in verdicts}


class Vandal:
    """Somebody's own hand in the stores. What it did is undone at the end, last things first."""

    def __init__(self, grounds: Grounds) -> None:
        self.stores, self._undo = grounds.stores, ExitStack()

    def change(self, store: str, there: str, back: str, **values: Any) -> None:
        self._do(store, there, values)
        self._undo.callback(self._do, store, back, values)

    def rewrite(self, store: str, table: str, group_no: str, change: Callable[[dict[str, Any]], object]) -> None:
        """What the store keeps of a group."""
        update = f"UPDATE {table} SET body = :body WHERE group_no = :group_no"  # noqa: S608
        with self.stores[store].read() as connection:
            wanted = sa.text(f"SELECT body FROM {table} WHERE group_no = :group_no")  # noqa: S608
            body = bytes(connection.execute(wanted, {"group_no": group_no}).scalar_one())
        kept = msgspec.json.decode(body)
        change(kept)
        self._do(store, update, {"group_no": group_no, "body": msgspec.json.encode(kept)})
        self._undo.callback(self._do, store, update, {"group_no": group_no, "body": body})

    def forget_deadlines(self, group: dict[str, Any]) -> None:
        """Of the group and its first order."""
        timers = "UPDATE timer SET aggregate = {} WHERE aggregate = {}"
        with self.stores["order"].read() as connection:
            known = set(connection.execute(sa.text("SELECT aggregate FROM timer")).scalars())
        for name in known & {group["group_no"], group["orders"][0]["order_no"]}:
            self.change(
                "order", timers.format(":gone", ":name"), timers.format(":name", ":gone"), name=name, gone=f"gone{name}"
            )

    def say_again(self, store: str, kind: str, group_no: str) -> None:
        """The fact is in the log a second time, under the number after the last."""
        with self.stores[store].begin() as connection:
            same = event_log.c.type == kind, event_log.c.partition_key == group_no
            first = connection.execute(event_log.select().where(*same)).mappings().one()
            thing = event_log.c.agg_type == first["agg_type"], event_log.c.agg_id == first["agg_id"]
            last = connection.execute(sa.select(sa.func.max(event_log.c.agg_seq)).where(*thing)).scalar_one()
            again = {**first, "event_id": new_id(), "agg_seq": last + 1}
            del again["pos"]
            connection.execute(event_log.insert().values(again))
        self._undo.callback(
            self._do, store, "DELETE FROM event_log WHERE event_id = :event_id", {"event_id": again["event_id"]}
        )

    def repent(self) -> None:
        self._undo.close()

    def _do(self, store: str, statement: str, values: dict[str, Any]) -> None:
        with self.stores[store].begin() as connection:
            assert connection.execute(sa.text(statement), values).rowcount > 0


def too_many_refunded(group: dict[str, Any]) -> None:
    group["orders"][0]["lines"][0]["refunded"] = 99


def spent(payment: dict[str, Any]) -> None:
    """More went back than came, and the shop has had it all."""
    (split,) = payment["splits"]
    split.update(refunded=split["captured"] + 1, net=split["captured"])
    payment["captures"][0]["amount"] += 1


@contextmanager
def havoc(market: Market, unpaid: dict[str, Any], paid: dict[str, Any]) -> Iterator[None]:
    """Every promise is broken, each by itself."""
    vandal, group_no = Vandal(market.grounds), paid["group_no"]
    left = unpaid["group_no"]
    try:
        on_hand = "UPDATE stock SET on_hand = on_hand {} 1 WHERE sku = :sku"
        vandal.change("inventory", on_hand.format("+"), on_hand.format("-"), sku=market.tea)
        vandal.rewrite("order", "order_group", left, too_many_refunded)
        vandal.rewrite("order", "order_group", group_no, lambda group: group["orders"][0].update(state="CANCELLED"))
        vandal.rewrite("payment", "payment", group_no, spent)
        vandal.forget_deadlines(unpaid)
        vandal.say_again("payment", "PaymentConfirmed", group_no)
        number = (
            "UPDATE event_log SET agg_seq = agg_seq {} 7 WHERE type = 'StockReserved' AND partition_key = :group_no"
        )
        vandal.change("inventory", number.format("+"), number.format("-"), group_no=left)
        yield
    finally:
        vandal.repent()


def test_every_broken_promise_is_found_among_what_has_changed_as_it_is_among_everything(market: Market) -> None:
    stores = market.grounds.stores
    unpaid, paid = market.place(market.tea), market.place(market.cup)
    market.buyer.pay(market.attempt(paid))
    market.grounds.settle()
    assert not any(breaches(changed.recompute_changed(stores, LATELY)).values())

    with havoc(market, unpaid, paid):
        everything, lately = breaches(recompute(stores)), breaches(changed.recompute_changed(stores, LATELY))

    assert {number for number, found in everything.items() if found} == {f"V{number}" for number in range(1, 10)}
    assert lately == everything
    market.cancel_all(unpaid)


@pytest.mark.parametrize("grounds", ["platform"], indirect=True)
def test_what_nobody_has_touched_is_read_only_if_it_waits_for_nothing_or_is_known_to_be_broken(market: Market) -> None:
    assert isinstance(market.grounds, Platform)
    operated = Operated(market.grounds.nodes)
    ours, idle = market.place(market.tea), market.place(market.tea)
    market.grounds.settle()
    vandal, begun = Vandal(market.grounds), clock.machine_now()
    other = market.place(market.cup)
    market.grounds.settle()
    vandal.rewrite("order", "order_group", ours["group_no"], too_many_refunded)
    vandal.forget_deadlines(idle)
    try:
        with mock.patch.multiple(changed, LATE=timedelta(0)), mock.patch.object(promises, "SECOND_LOOK", 0):
            before = promises.live(operated, span=clock.machine_now() - begun)
            promises.live(operated)
            after = promises.live(operated, span=timedelta(0))
            assert 'caravan_invariant_breaches{invariant="V2"} 1.0' in metrics.page().decode()
    finally:
        vandal.repent()
    assert (before[1].checked, before[1].breaches) == (2, [])
    assert idle["orders"][0]["order_no"] in before[4].breaches[0]
    assert ours["orders"][0]["order_no"] in after[1].breaches[0]
    for group in (ours, idle, other):
        market.cancel_all(group)
