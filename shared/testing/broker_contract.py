"""What every broker must keep, whichever it is: one suite over a fixture `world` (see `shared.testing.worlds`)."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from shared.kernel.ids import new_id
from shared.messaging.dead_letters import DeadLetters, EditedMessageInvalid, NoSuchDeadLetter, NotDead
from shared.storage.types import audit
from shared.testing.toys import set_flag, suspended
from shared.testing.worlds import World, eventually


def changed(body: bytes, **attributes: Any) -> bytes:
    """The same message with another id and other attributes."""
    return json.dumps(json.loads(body) | {"id": new_id()} | attributes).encode()


def by_reason(world: World) -> dict[str, str]:
    """What was kept: reason -> status."""
    return {row.reason: row.status for row in world.kept()}


class BrokerContract:
    """Subclass it where a fixture `world` is."""

    def test_every_fact_arrives_once_and_so_does_the_answer(self, world: World) -> None:
        for batch in range(6):
            world.say(*suspended(f"seller-{batch % 3}", *range(batch * 10, batch * 10 + 10)))
        world.settle()
        assert Counter(world.done()) == Counter((f"seller-{n // 10 % 3}", str(n)) for n in range(60))
        assert Counter(world.answered()) == Counter(world.done())
        assert not world.kept()

    def test_facts_of_one_partition_key_keep_their_order(self, world: World) -> None:
        for number in range(40):
            world.say(*suspended(f"seller-{number % 4}", number), *suspended("all", number))
        world.settle()
        for key in ("all", *(f"seller-{n}" for n in range(4))):
            heard = [int(what) for about, what in world.done() if about == key]
            assert heard == sorted(heard), f"{key}: {heard}"
            said_back = [int(what) for about, what in world.answered() if about == key]
            assert said_back == heard

    def test_a_fact_that_comes_again_does_nothing(self, world: World) -> None:
        world.say(*suspended("seller", 1, 2, 3))
        world.settle()
        for body in world.bodies() * 2:
            world.send(body)
        world.say(*suspended("seller", 4))
        world.settle()
        assert world.done() == [("seller", str(n)) for n in (1, 2, 3, 4)]
        assert Counter(world.answered()) == Counter(world.done())

    def test_what_follows_a_failed_fact_of_its_aggregate_waits_and_others_go_on(self, world: World) -> None:
        set_flag(world.inventory, fails=True)
        world.say(*suspended("poor", 1, "flagged", 2, 3), *suspended("well", 1, 2))
        world.settle()
        assert Counter(world.done()) == Counter([("poor", "1"), ("well", "1"), ("well", "2")])
        assert [row.status for row in world.kept()] == ["failed", "held", "held"]

        set_flag(world.inventory, fails=False)
        world.hasten()
        world.say(*suspended("poor", 4))
        world.settle()
        assert [what for key, what in world.done() if key == "poor"] == ["1", "flagged", "2", "3", "4"]
        assert not world.kept()

    def test_a_fact_that_is_too_early_is_handled_once_its_predecessor_is_there(self, world: World) -> None:
        world.say(*suspended("seller", "needs:x", "y"))
        world.settle()
        assert world.done() == [("seller", "y")], "nothing waits behind an early fact"
        world.say(*suspended("seller", "x"))
        world.settle()
        assert world.done() == [("seller", "y"), ("seller", "x"), ("seller", "needs:x")]
        assert not world.kept()

    def test_many_other_facts_do_not_use_up_the_patience_for_an_early_one(self, world: World) -> None:
        world.say(*suspended("seller", "needs:x"))
        for number in range(12):
            world.say(*suspended("seller", number))
            world.settle()
        assert [row.status for row in world.kept()] == ["early"]

    def test_what_can_never_be_handled_is_kept_as_dead_and_its_neighbours_are_handled(self, world: World) -> None:
        world.say(*suspended("seller", "first"))
        world.settle()
        (body,) = world.bodies()
        event = json.loads(body)
        world.send(b"\xff\x00 not json")
        world.send(json.dumps({"hello": "world"}).encode())
        world.send(changed(body, type="caravan.account.SellerSuspended.v9", subject="seller/a"))
        world.send(changed(body, type="caravan.account.NeverHeardOf.v1", subject="seller/b"))
        world.send(changed(body, data=event["data"] | {"reason": 7}, subject="seller/c"))
        world.say(*suspended("innocent", *range(20)))
        world.settle()
        assert [what for key, what in world.done() if key == "innocent"] == [str(n) for n in range(20)]
        assert sorted((row.status, row.reason) for row in world.kept()) == sorted(
            [("dead", "unreadable")] * 2 + [("dead", "schema")] * 3
        )

    def test_a_dead_fact_may_be_tried_again_or_discarded(self, world: World) -> None:
        set_flag(world.inventory, fails=True)
        world.say(*suspended("retried", "flagged", 1), *suspended("discarded", "flagged", 1))
        world.settle()
        with world.inventory.database.begin() as connection:
            connection.exec_driver_sql("UPDATE inbox_retry SET status = 'dead' WHERE status = 'failed'")
        letters = DeadLetters(world.inventory, "inventory", "tester")
        dead = {row["agg"].rsplit("/", 1)[1]: row["no"] for row in letters.rows()}
        set_flag(world.inventory, fails=False)
        letters.discard(dead["discarded"])
        assert letters.retry([dead["retried"]]) == 1
        world.settle()
        again = [body for body in world.bodies() if b"discarded" in body and b"flagged" in body]
        world.send(again[0])
        world.settle()
        assert [what for key, what in world.done() if key == "retried"] == ["flagged", "1"]
        assert [what for key, what in world.done() if key == "discarded"] == ["1"]
        assert not world.kept()

    def test_a_dead_fact_may_be_corrected_and_keeps_its_place_before_what_waits_behind_it(self, world: World) -> None:
        world.say(*suspended("seller", "first"))
        world.settle()
        (body,) = world.bodies()
        data = json.loads(body)["data"]
        broken = changed(body, data=data | {"reason": 7})
        world.send(broken)
        world.settle()
        world.say(*suspended("seller", "third"))
        world.settle()
        letters = DeadLetters(world.inventory, "inventory", "tester", "its reason was no text")
        (dead,) = letters.rows()
        with pytest.raises(EditedMessageInvalid):
            letters.edit(dead["no"], changed(body, subject="seller/another"))
        event_id = letters.edit(dead["no"], changed(body, data=data | {"reason": "second"}))
        with pytest.raises((NotDead, NoSuchDeadLetter)):
            letters.edit(dead["no"], body)
        world.settle()
        world.send(broken)
        world.settle()
        assert [what for _, what in world.done()] == ["first", "second", "third"]
        assert not world.kept()
        with world.inventory.database.read() as connection:
            (row,) = connection.execute(sa.select(audit).where(audit.c.action == "dead_letter.edit")).all()
        assert (row.actor, row.why) == ("tester", "its reason was no text")
        assert row.object.split() == [str(dead["no"]), dead["event_id"], event_id]

    def test_a_fact_that_nobody_hears_is_published_and_forgotten(self, world: World) -> None:
        from shared.contracts.account import UserRegistered
        from shared.contracts.event import Sealed

        someone = UserRegistered(
            account_id="a", roles=("buyer",), locale="en", full_name=Sealed("v1.k.x"), email=Sealed("v1.k.x")
        )
        world.say(someone, *suspended("seller", 1))
        world.settle()
        assert world.done() == [("seller", "1")]

    def test_a_deadline_rings_once_when_it_is_due(self, world: World) -> None:
        world.say(*suspended("seller", "timer:3600"))
        world.settle()
        assert world.done() == [("seller", "timer:3600")]
        world.advance(3601)
        world.settle()
        assert world.done() == [("seller", "timer:3600"), ("seller", "rang")]
        assert Counter(world.answered()) == Counter(world.done())

    def test_an_outside_call_is_made_once_after_the_commit(self, world: World) -> None:
        world.say(*suspended("seller", "call"))
        world.settle()
        assert world.done() == [("seller", "call"), ("seller", "called")]

    def test_stopping_in_the_middle_loses_and_doubles_nothing(self, world: World) -> None:
        world.start()
        for number in range(200):
            world.say(*suspended(f"seller-{number % 7}", number))
        if world.runs_by_itself:
            eventually(world.done, "something done")
        else:
            world.settle()
        world.stop()
        world.say(*suspended("seller-0", 200))
        world.start()
        world.settle()
        for key in (f"seller-{n}" for n in range(7)):
            numbers = [int(what) for about, what in world.done() if about == key]
            assert all(a < b for a, b in pairwise(numbers)), f"{key}: {numbers}"
        assert len(world.done()) == len(world.answered()) == 201
