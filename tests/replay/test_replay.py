"""What was recorded is played again to the same code, in a sandbox, and comes to the same end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import fleet
from deploy.embedded import Platform
from deploy.replay.recording import Recording, record
from deploy.replay.replaying import replay
from deploy.replay.sandbox import tables_of
from shared.storage.copies import Tables
from shared.storage.inspect import last_position
from tests.journeys.town import Town


@dataclass
class Story:
    """What was said, what the services' tables held before, and what they held in the end."""

    platform: Platform
    recording: Recording
    before: dict[str, Tables]
    after: dict[str, Tables]


@pytest.fixture(scope="module")
def story(platform: Platform) -> Story:
    """Two shops: one parcel is received, the other refused at the door and paid back."""
    platform.settle()
    town = Town(platform)
    before = _tables(platform)
    group = town.place(*town.skus)
    first, second = (order["order_no"] for order in group["orders"])
    town.pay(group)
    for seller, order_no in zip(town.sellers, (first, second), strict=True):
        for tracking_no in town.send(seller, order_no):
            if order_no == first:
                town.courier.deliver(tracking_no)
            else:
                for deed in ("collect", "scan", "out-for-delivery"):
                    town.courier.deed(tracking_no, deed, location="town")
                town.courier.deed(tracking_no, "refuse", reason="changed_mind")
                platform.settle()
                town.courier.deed(tracking_no, "return")
    platform.settle()
    town.buyer.confirm_receipt(first)
    platform.settle()
    platform.advance(days=16)
    assert [town.state(first), town.state(second)] == ["COMPLETED", "CLOSED"]
    return Story(platform, record(platform.stores, first), before, _tables(platform))


def _tables(platform: Platform) -> dict[str, Tables]:
    return {one.name: tables_of(one.service, platform.stores[one.name]) for one in fleet.FLEET}


def test_an_order_that_is_told_again_comes_to_the_same_end(story: Story) -> None:
    difference = replay(story.recording, "order", original=story.after["order"])

    assert not difference, difference


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), order=st.sampled_from(["shuffled", "duplicated"]))
def test_it_does_so_in_whatever_order_the_bus_delivers_and_however_often(story: Story, seed: int, order) -> None:
    difference = replay(story.recording, "order", order, original=story.after["order"], seed=seed)

    assert not difference, difference


@pytest.mark.parametrize("order", ["same", "duplicated", "shuffled"])
def test_stock_is_counted_the_same_from_where_it_stood_before(story: Story, order) -> None:
    difference = replay(
        story.recording, "inventory", order, base=story.before["inventory"], original=story.after["inventory"]
    )

    assert not difference, difference


def test_nothing_gets_out_of_the_sandbox(story: Story) -> None:
    before = {name: last_position(store) for name, store in story.platform.stores.items()}
    replay(story.recording, "order")
    replay(story.recording, "payment")  # whose outside calls are refused, so that it comes to another end, and says so
    story.platform.settle()

    assert {name: last_position(store) for name, store in story.platform.stores.items()} == before
    assert replay(story.recording, "payment").unplayed


def test_a_fact_that_was_lost_on_the_way_is_seen_in_the_difference(story: Story) -> None:
    facts = tuple(one for one in story.recording.facts if one.envelope.fact_name != "Delivered")
    difference = replay(
        Recording(story.recording.group_no, story.recording.until, facts), "order", original=story.after["order"]
    )

    assert any("OrderDelivered" in line and line.startswith("-") for line in difference.facts), difference
    assert any(".delivered" in line for line in difference.state), difference


def test_personal_data_stays_sealed_in_a_recording(story: Story, tmp_path) -> None:
    story.recording.save(tmp_path / "story.jsonl")
    text = (tmp_path / "story.jsonl").read_text()

    assert "OrderConfirmed" in text
    assert not [word for word in ("韩梅梅", "文三路", "8613812345678") if word in text]
