"""What was recorded is played again to the same code, in a sandbox, and comes to the same end."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import fleet
from deploy.embedded import Platform
from deploy.replay.recording import Recording, Unreadable, load, record
from deploy.replay.replaying import replay
from deploy.replay.sandbox import tables_of
from shared.storage.copies import Tables
from shared.storage.inspect import last_position
from tests.journeys.town import Town

RECORDED = Path(__file__).parents[1] / "tapes" / "recorded"
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@dataclass
class Story:
    """What was said, what the services' tables held before, and what they held in the end."""

    platform: Platform
    recording: Recording
    others: dict[str, Recording]
    """By name: shorter stories of the same shops."""
    before: dict[str, Tables]
    after: dict[str, Tables]


@pytest.fixture(scope="module")
def story(platform: Platform) -> Story:
    """Two shops: one parcel is received, the other refused at the door and paid back. Two other groups are not paid:
    one is cancelled, the other, changed by both sides, waits in vain."""
    platform.settle()
    town = Town(platform)
    before = _tables(platform)
    group = town.place(*town.skus)
    first, second = (order["order_no"] for order in group["orders"])
    cancelled, forgotten = (town.place(town.skus[0])["orders"][0]["order_no"] for _ in range(2))
    town.buyer.cancel(cancelled)
    town.sellers[0].do("POST", f"/v1/orders/{forgotten}/price", {"payable": 9_000, "reason": "goodwill"})
    elsewhere = {k: v for k, v in town.buyer.address.items() if k not in ("country", "default")} | {"region": "CN-SH"}
    town.buyer.do("POST", f"/v1/orders/{forgotten}/address", {"delivery": elsewhere})
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
    assert [town.buyer.order(number)["end_reason"] for number in (cancelled, forgotten)] == ["buyer", "payment_timeout"]
    others = {"cancelled": cancelled, "changed_and_forgotten": forgotten}
    recordings = {name: record(platform.stores, number) for name, number in others.items()}
    return Story(platform, record(platform.stores, first), recordings, before, _tables(platform))


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


@pytest.mark.parametrize("name", ["cancelled", "changed_and_forgotten"])
@pytest.mark.parametrize("order", ["same", "duplicated", "shuffled"])
def test_what_people_asked_is_done_again(story: Story, name: str, order) -> None:
    difference = replay(story.others[name], "order", order, original=story.after["order"])

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


def test_stories_are_kept_for_the_releases_to_come(story: Story, request: pytest.FixtureRequest) -> None:
    """With --record-tapes they become those of this release; the tapes of earlier ones stay as they are."""
    told = {"received_and_refused": story.recording} | story.others
    folder = RECORDED / tomllib.loads(PROJECT.read_text())["project"]["version"]
    if request.config.getoption("--record-tapes"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, recording in told.items():
            recording.save(folder / f"{name}.jsonl")

    assert {path.stem for path in folder.iterdir()} == set(told)


@pytest.mark.parametrize(
    ("into", "order"), [("order", "same"), ("order", "duplicated"), ("order", "shuffled"), ("support", "same")]
)
@pytest.mark.parametrize("path", sorted(RECORDED.glob("*/*.jsonl")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_an_earlier_release_recorded_is_understood_by_this_one(path: Path, into: str, order) -> None:
    difference = replay(load(path), into, order)

    assert not difference, difference


def test_a_file_that_is_no_recording_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_bytes(next(RECORDED.glob("*/*.jsonl")).read_bytes().replace(b'"heard"', b'"hoard"', 1))
    with pytest.raises(Unreadable, match="line 2"):
        load(path)
    path.write_text('{"recording": 3, "group_no": "G1", "until": "2026-01-01T00:00:00Z"}')
    with pytest.raises(Unreadable, match="format 3"):
        load(path)
