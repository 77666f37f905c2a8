"""The fixtures that a developer uses, as docs/replay.md describes them."""

from __future__ import annotations

from dataclasses import replace as changed

import msgspec
import pytest

from deploy import fleet
from deploy.embedded import Platform
from deploy.ops.invariants import recompute
from deploy.replay.faults import SWITCHES, misdelivered
from deploy.replay.recording import load
from shared.testing.stage import Stage
from tests.journeys.town import Town


def test_a_paid_order_comes_through_whatever_the_bus_does(platform: Platform, misdeliver) -> None:
    platform.settle()
    town = Town(platform)
    chances = dict.fromkeys(SWITCHES, 0.3) | {"delay": 0.02}
    met = [misdeliver(one.name, seed=7, **chances) for one in fleet.FLEET]
    order_no = town.place(town.skus[0])["orders"][0]["order_no"]
    town.pay({"group_no": order_no.partition("-")[0]})
    for tracking_no in town.send(town.sellers[0], order_no):
        town.courier.deliver(tracking_no)
    platform.settle()
    town.buyer.confirm_receipt(order_no)
    platform.settle()

    heard = [one["what"] for one in town.buyer.do("GET", f"/v1/orders/{order_no}/timeline")["entries"]]
    assert town.state(order_no) == "RECEIVED"
    assert sorted(heard) == sorted(set(heard))
    assert [str(verdict) for verdict in recompute(platform.stores) if verdict.breaches] == []
    assert {switch for one in met for switch in one} >= {"duplicate", "drop_before_ack", "crash_after_commit"}


def test_a_story_is_taped_and_played_again_in_either_world(world, tape, replay) -> None:
    town = Town(world)
    order_no = town.place(town.skus[0])["orders"][0]["order_no"]
    town.buyer.cancel(order_no)
    recording = tape.record(order_no)

    tape.golden("cancelled", order_no)
    assert [one.envelope.fact_name for one in recording.said_by("order")][0] == "OrderPlaced"
    for order in ("same", "shuffled", "duplicated"):
        difference = replay(order_no, into="order", order=order)
        assert not difference, difference


@pytest.mark.parametrize("world", ["embedded"], indirect=True)
@pytest.mark.parametrize(
    ("paid", "asked"), [(False, "close_attempt"), (True, "send_refund")], ids=["unpaid", "paid_and_sent_back"]
)
def test_what_the_provider_answered_is_answered_again_and_nobody_is_asked(
    world, tape, replay, tmp_path, paid: bool, asked: str
) -> None:
    town = Town(world)
    group = town.place(town.skus[0])
    order_no = group["orders"][0]["order_no"]
    attempt = town.buyer.open_payment(group["group_no"], group["orders"][0]["payable"])
    if paid:
        town.buyer.pay(attempt)
    here = tape.from_here("payment")
    # A callback may overtake the answer that says the same: then the provider's word, not its answer, settles it.
    town.provider.switch("callback_lost", scope={"reference": f"*{group['group_no']}*"}, times="always")
    town.buyer.cancel(order_no)

    for order in ("same", "shuffled", "duplicated"):
        difference = replay(order_no, into="payment", order=order, **here)
        assert not difference, difference

    recording = tape.record(order_no)
    assert [one.kind for one in recording.calls] == ["open_attempt", asked]
    recording.save(tmp_path / "cancelled.jsonl")
    assert load(tmp_path / "cancelled.jsonl") == recording
    unanswered = replay(changed(recording, calls=()), into="payment", **here)
    assert len(unanswered.facts) == len(unanswered.unplayed) == 1
    first, answered = recording.calls
    otherwise = msgspec.structs.replace(answered, asked="something else")
    assert "something else was asked" in str(
        replay(changed(recording, calls=(first, otherwise)), into="payment", **here)
    )


def test_a_switch_that_is_none_is_refused(sqlite_url: str, tmp_path) -> None:
    stage = Stage(fleet.member("order").service, sqlite_url, tmp_path)
    with pytest.raises(ValueError, match="no such switch: explode"), misdelivered(stage.consumer, explode=1.0):
        pass
    stage.close()
