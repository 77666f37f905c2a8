"""Feeds a recording to a service in a sandbox and says what came out differently.

    difference = replay(recording, into="order", order="shuffled", seed=7)
    assert not difference, difference

The order is by consumer and by cause: a fact is heard when the service heard it, a deadline rings when it rang, and
people do what they did (`deeds`). ``shuffled`` keeps what a broker promises, facts of one publisher and partition in
order, and what no broker can turn round, an answer to what the service has not said yet; everything else between one
deed or deadline of the service and the next is mixed. ``duplicated`` hears every fact twice or three times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Literal

from deploy import fleet
from deploy.replay.calls import Called
from deploy.replay.comparing import changed, facts_of, state_of
from deploy.replay.deeds import DEEDS, Deed
from deploy.replay.recording import Recorded, Recording
from deploy.replay.sandbox import Sandbox, tables_of
from shared.contracts.event import Envelope, Fact, decode_fact
from shared.kernel.errors import Refusal, TooEarly
from shared.runtime.service import Service
from shared.storage.copies import Tables
from shared.storage.unit_of_work import Cause

Order = Literal["same", "shuffled", "duplicated"]


@dataclass
class Difference:
    """Empty (false) when the replay came to the same end as the original. Lines as of a diff: - original, + replay.

    `unplayed` names what people or the outside world did that no log can do again: replay that service on a base that
    was copied afterwards, or expect the difference.
    """

    state: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unplayed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.state or self.facts or self.kept or self.unplayed)

    def __str__(self) -> str:
        parts = (("state", self.state), ("facts", self.facts), ("kept", self.kept), ("not played", self.unplayed))
        return "\n".join(f"{name}:\n  " + "\n  ".join(lines) for name, lines in parts if lines) or "no difference"


@dataclass
class Played:
    """How a replay ended: state and facts in a form that can be compared."""

    state: list[str]
    facts: list[str]
    kept: list[str]
    unplayed: list[str]

    def against(self, state: Sequence[str] | None, facts: Sequence[str]) -> Difference:
        states = [] if state is None else changed(state, self.state)
        return Difference(states, changed(facts, self.facts), self.kept, self.unplayed)


@dataclass(frozen=True)
class _Step:
    """Something that happened to the service: a fact it `heard`, a call of it that was answered (`called`), or else
    what made it say `facts` by itself.

    `needs`: ids of the service's own facts without which the publisher would not have said what is heard.
    """

    machine: datetime
    business: datetime
    heard: Recorded | None = None
    facts: tuple[Envelope, ...] = ()
    needs: frozenset[str] = frozenset()
    called: Called | None = None

    @property
    def rang(self) -> bool:
        return bool(self.facts) and self.facts[0].causationid.startswith("timer:")


def replay(
    recording: Recording,
    into: str,
    order: Order = "same",
    *,
    original: Tables | None = None,
    base: Tables | None = None,
    since: datetime | None = None,
    seed: int = 0,
) -> Difference:
    """What comes out differently when `into` hears it (again). Nothing leaves the sandbox.

    `original`: what the service's tables hold now (`sandbox.tables_of`); without it, state is compared with a replay
    in the same order. `base`: what they held before, or in the middle of the story, at the machine time `since`; then
    only what came after is played. Raises KeyError for a service that is not in the fleet.
    """
    service = fleet.member(into).service
    if original is not None:
        state: list[str] | None = state_of(original, recording.group_no, histories=order != "shuffled")
    elif order == "same":
        state = None
    else:
        state = play(recording, service, "same", base=base, since=since, compared=order).state
    said = (one.envelope for one in recording.said_by(into) if since is None or one.said >= since)
    expected = facts_of(said, recording.group_no)
    return play(recording, service, order, base=base, since=since, seed=seed).against(state, expected)


def play(
    recording: Recording,
    service: Service,
    order: Order = "same",
    *,
    base: Tables | None = None,
    since: datetime | None = None,
    seed: int = 0,
    compared: Order | None = None,
) -> Played:
    """The story once more, from an empty store or from `base`, to be `compared` with one in that order (or this)."""
    sandbox, unplayed = Sandbox(service, base), Counter[str]()
    try:
        steps = [step for step in _steps(recording, service) if since is None or step.machine >= since]
        for step in _arranged(steps, order, Random(seed)):
            if step.heard is not None:
                if order != "shuffled":
                    sandbox.ring(step.business)
                sandbox.hear(step.heard.body, at=step.business)
                continue
            sandbox.retry()
            sandbox.ring(step.business)
            if step.called is not None:
                if different := sandbox.answered(step.called, step.business):
                    unplayed[f"{step.called.cause}: {different}"] += 1
            elif not step.rang:
                unplayed.update(_do(sandbox, service, step))
        sandbox.retry()
        sandbox.ring(recording.until)
        return Played(
            state_of(
                tables_of(service, sandbox.store), recording.group_no, histories=(compared or order) != "shuffled"
            ),
            facts_of(sandbox.said(), recording.group_no),
            sandbox.kept(),
            [f"{what} ({times} times)" for what, times in sorted(unplayed.items())],
        )
    finally:
        sandbox.close()


# --- the steps ----------------------------------------------------------------------------------------------------


def _steps(recording: Recording, service: Service) -> Iterator[_Step]:
    keys, deeds = frozenset(service.on.bindings()), DEEDS.get(service.name, {})
    needs = _needs(recording, service.name)
    told: dict[str, list[Recorded]] = defaultdict(list)
    for one in recording.said_by(service.name):
        told[one.envelope.causationid].append(one)
    heard = [one for one in recording.facts if one.routing_key in keys]
    for one in heard:
        effects = told.pop(one.envelope.id, [])
        moment = effects[0].envelope.time if effects else one.envelope.time
        said = tuple(effect.envelope for effect in effects)
        yield _Step(one.heard.get(service.name, one.said), moment, one, said, needs[one.envelope.id])
    for called in recording.calls:
        if called.service == service.name:
            facts = told.pop(called.cause, [])
            yield _Step(called.at, called.business, facts=tuple(one.envelope for one in facts), called=called)
    for cause, facts in told.items():
        envelopes = tuple(one.envelope for one in facts)
        about_us = any(one.partitionkey == recording.group_no for one in envelopes)
        if about_us or cause.startswith("timer:") or any(type(decode_fact(one)) in deeds for one in envelopes):
            yield _Step(facts[0].said, envelopes[0].time, facts=envelopes)


def _needs(recording: Recording, name: str) -> Mapping[str, frozenset[str]]:
    """By fact: which of this service's facts its publisher knew of when it said it, at first hand or by others."""
    known: dict[str, frozenset[str]] = defaultdict(frozenset)
    needs: dict[str, frozenset[str]] = {}
    inboxes: dict[str, list[Recorded]] = defaultdict(list)
    for one in recording.facts:
        for consumer in one.heard:
            inboxes[consumer].append(one)
    for inbox_name, inbox in inboxes.items():
        inbox.sort(key=lambda one: one.heard[inbox_name], reverse=True)
    for one in recording.facts:
        publisher = one.envelope.publisher
        inbox = inboxes[publisher]
        while inbox and inbox[-1].heard[publisher] <= one.said:
            fact = inbox.pop().envelope
            mine = {fact.id} if fact.publisher == name else ()
            known[publisher] |= needs.get(fact.id, frozenset()).union(mine)
        needs[one.envelope.id] = known[publisher]
    return needs


def _arranged(steps: list[_Step], order: Order, rng: Random) -> Iterator[_Step]:
    steps.sort(key=lambda step: (step.machine, step.heard.envelope.id if step.heard else ""))
    if order == "same":
        return iter(steps)
    mixed: list[_Step] = []
    segment: list[_Step] = []
    for step in steps:
        if step.heard is not None:
            segment.append(step)
            continue
        mixed += [*_mixed(segment, order, rng), step]
        segment = []
    return iter([*mixed, *_mixed(segment, order, rng)])


def _mixed(segment: list[_Step], order: Order, rng: Random) -> list[_Step]:
    if order == "duplicated":
        return [step for step in segment for _ in range(rng.randint(2, 3))]
    missing = {fact.id for step in segment for fact in step.facts}
    left = list(segment)
    mixed: list[_Step] = []
    while left:
        heads: dict[tuple[str, str], _Step] = {}
        for step in left:
            assert step.heard is not None  # a deed or a deadline ends a segment
            heads.setdefault((step.heard.envelope.publisher, step.heard.envelope.partitionkey), step)
        possible = [step for step in heads.values() if not step.needs & missing] or left[:1]
        chosen = rng.choice(possible)
        left.remove(chosen)
        mixed.append(chosen)
        missing -= {fact.id for fact in chosen.facts}
    return mixed


def _do(sandbox: Sandbox, service: Service, step: _Step) -> list[str]:
    """People do again what led to these facts. Answers what could not be done."""
    facts = [decode_fact(one) for one in step.facts]
    deeds = DEEDS.get(service.name, {})
    deed = next((deeds[type(one)] for one in facts if type(one) in deeds), None)
    if deed is None:
        return [f"{facts[0].name} < {step.facts[0].causationid.split(':')[0]}"]
    ordered = sorted(facts, key=lambda one: deeds.get(type(one)) is not deed)
    try:
        _again(sandbox, deed, ordered, step)
    except (Refusal, TooEarly) as refused:
        return [f"{ordered[0].name}: refused, {refused!r}"]
    return []


def _again(sandbox: Sandbox, deed: Deed, facts: Sequence[Fact], step: _Step) -> None:
    cause = Cause(step.facts[0].correlationid, step.facts[0].causationid)
    sandbox.node.run(lambda tx: deed(tx, facts), cause)
