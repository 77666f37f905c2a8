"""Explores what may happen in a quarter, move by move, and looks at every end there is.

From any state one of many moves may come next: a message reaches a consumer, a call goes out, its answer is written
down or the process dies before that, a deadline rings early or late, somebody does what they had in mind. The explorer
follows them all, remembers every state it met (so that what leads to the same state is followed once), and stops when
it has seen everything or has made as many moves as it may. Whatever order it takes is drawn from `seed`; a finding is
the list of moves that leads to it from the beginning, and `replay` makes them again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.races.quarter import Quarter
from tests.races.wires import CALLERS, SERVICES, Photograph

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
LONGEST = 120
AGAIN = 0.1
"""At so many of the states a message comes a second time."""

# What makes two states the same: all that is ever read again. Ids and clocks of the machine do not.
KEPT = {
    "order": ("SELECT body FROM order_group",),
    "payment": (
        "SELECT body FROM payment",
        "SELECT kind, key FROM intent ORDER BY id",
        "SELECT posting_key, family, owner, amount FROM ledger_entry ORDER BY 1, 2, 3, 4",
    ),
    "inventory": (
        "SELECT body FROM reservation ORDER BY reservation_id",
        "SELECT sku, warehouse_id, on_hand, held, allocated, backordered FROM stock ORDER BY 1, 2",
    ),
    "shipping": (
        "SELECT body FROM dispatch ORDER BY order_no",
        "SELECT body FROM shipment ORDER BY shipment_id",
        "SELECT kind, key FROM intent ORDER BY id",
    ),
}
EVERYWHERE = (
    "SELECT aggregate, name, due_at FROM timer ORDER BY 1, 2",
    "SELECT type, agg, status FROM inbox_retry ORDER BY no",
)


Deed = Callable[[Quarter], Any]
Condition = Callable[[Quarter], Any]


def never(_quarter: Quarter) -> bool:
    return False


@dataclass(frozen=True)
class Race:
    """`begin` brings a quarter to where it starts; `deeds` are what people still may do, once each, as soon as they
    can; an order in one of `ends` waits for nobody any more; `wrong` says what is not as it should be then."""

    begin: Deed
    deeds: dict[str, tuple[Deed, Condition]]
    ends: frozenset[str]
    wrong: Callable[[Quarter], list[str]]
    work: tuple[Deed, Condition] = (never, never)
    """What people do if nothing else happens, as often as they can: they have to, before it is over."""
    rings: int = 2
    """How many deadlines may ring while something else could happen as well."""


@dataclass(frozen=True)
class Spare:
    """What may still happen that need not."""

    deeds: tuple[str, ...]
    rings: int
    deaths: int = 1


@dataclass
class State:
    """A state met: how to get there, what may come next, and where that leads (None: not tried yet)."""

    photograph: Photograph | None
    spare: Spare
    came: tuple[bytes, str] | None
    depth: int
    nexts: dict[str, bytes | None] = field(default_factory=dict)
    end: bool = False


class Finding(AssertionError):
    """Something is wrong after these moves."""

    def __init__(self, wrong: list[str], moves: list[str]) -> None:
        steps = "".join(f"\n    {move!r}," for move in moves)
        super().__init__(f"{'; '.join(wrong)}\nreplay(quarter, race, [{steps}\n])")
        self.wrong, self.moves = wrong, moves


class Explorer:
    """See the module. After `run`: `states`, `made` moves, `ends` looked at, `paths` that lead to them."""

    def __init__(self, quarter: Quarter, race: Race, seed: int = 0) -> None:
        self.quarter, self.race, self.draw = quarter, race, Random(seed)
        self.states: dict[bytes, State] = {}
        self.made = 0
        race.begin(quarter)
        self.known = {text for store in SERVICES for text in UUID.findall(_all_of(quarter, store))}
        self.prints: dict[int, bytes] = {}
        self.images: list[bytes] = []  # kept, so that an id never comes to mean another
        self.spare = Spare(tuple(race.deeds), race.rings)
        self.root = self._meet(None)

    @property
    def ends(self) -> int:
        return sum(state.end for state in self.states.values())

    def run(self, most: int) -> None:
        """Make at most so many moves. Raises Finding."""
        frontier = [self.root]
        while frontier and self.made < most:
            # Now the newest, to see all that can still become of it; now any, to see something else.
            at = self.draw.choice([-1, self.draw.randrange(len(frontier))])
            frontier[at], frontier[-1] = frontier[-1], frontier[at]
            here = frontier[-1]
            if not (open_ := _untried(self.states[here])):
                frontier.pop()
                self.states[here].photograph = None
                continue
            self._set_back(here)
            while open_ and self.made < most:  # on and on, until something is met that is known
                move = self.draw.choice(open_)
                known = len(self.states)
                there = self._make(here, move)
                if len(self.states) == known:
                    break
                frontier.append(there)
                here, open_ = there, _untried(self.states[there])

    def paths(self) -> int:
        """How many different interleavings, from the beginning to an end, have been gone through.

        A state where somebody may do what changes nothing leads to itself or back; no round is counted.
        """
        counts: dict[bytes, int] = {}
        open_: set[bytes] = set()
        stack = [self.root]
        while stack:
            key = stack[-1]
            nexts = [there for there in self.states[key].nexts.values() if there is not None]
            if key not in open_ and key not in counts:
                open_.add(key)
                stack += [there for there in nexts if there not in counts and there not in open_]
                continue
            stack.pop()
            if key in open_:
                open_.remove(key)
                counts[key] = self.states[key].end + sum(counts.get(there, 0) for there in nexts)
        return counts[self.root]

    # --- one move ----------------------------------------------------------------------------------------------------

    def _make(self, here: bytes, move: str) -> bytes:
        self.made += 1
        try:
            self.perform(move)
            there = self._meet((here, move))
        except Finding:
            raise
        except Exception as error:
            raise Finding([repr(error)], [*self._way(here), move]) from error
        self.states[here].nexts[move] = there
        return there

    def perform(self, move: str) -> None:
        """Make one move, as `moves` calls it."""
        quarter, (kind, *about) = self.quarter, move.split(" | ")
        match kind:
            case "arrives":
                quarter.deliver(about[0], about[1])
            case "call":
                quarter.call(about[0], *quarter.intents(about[0])[int(about[1])])
            case "answer":
                quarter.write_down(quarter.underway[int(about[0])])
            case "death before the answer":
                quarter.underway.pop(int(about[0]))
                self.spare = Spare(self.spare.deeds, self.spare.rings, self.spare.deaths - 1)
            case "deadline":
                quarter.ring(about[0])
                self.spare = Spare(self.spare.deeds, max(0, self.spare.rings - 1), self.spare.deaths)
            case "people go on":
                self.race.work[0](quarter)
            case _:
                self.race.deeds[kind][0](quarter)
                left = tuple(deed for deed in self.spare.deeds if deed != kind)
                self.spare = Spare(left, self.spare.rings, self.spare.deaths)

    def moves(self) -> list[str]:
        """What may come next."""
        quarter, race = self.quarter, self.race
        moves = [f"arrives | {consumer} | {publisher}" for consumer, publisher in quarter.on_their_way()]
        moves += [f"answer | {number}" for number in range(len(quarter.underway))]
        moves += [f"call | {name} | {number}" for name in CALLERS for number in range(len(quarter.intents(name)))]
        busy, over = bool(moves), self._over()
        if self.spare.deaths:
            moves += [f"death before the answer | {number}" for number in range(len(quarter.underway))]
        moves += [deed for deed in self.spare.deeds if race.deeds[deed][1](quarter)]
        if not busy and race.work[1](quarter):
            moves.append("people go on")
        if self.spare.rings and (busy or not over) or not moves and not over:
            moves += [f"deadline | {name}" for name in SERVICES if self._rings(name, busy)]
        return moves

    def _rings(self, name: str, busy: bool) -> bool:
        """While nothing else happens only the next deadline rings; in a hurry, anyone's may."""
        mine = self.quarter.deadline(name)
        others = [due for one in SERVICES if (due := self.quarter.deadline(one)) is not None]
        return mine is not None and (busy or mine == min(others))

    # --- states ------------------------------------------------------------------------------------------------------

    def _meet(self, came: tuple[bytes, str] | None) -> bytes:
        """Where we are now; if nobody was here before, look around."""
        photograph = self.quarter.photograph()
        key = self._print(photograph)
        if key in self.states:
            return key
        depth = self.states[came[0]].depth + 1 if came else 0
        state = self.states[key] = State(photograph, self.spare, came, depth)
        quiet = not any(self.quarter.on_their_way()) and not self.quarter.underway
        quiet = quiet and not any(self.quarter.intents(name) for name in CALLERS)
        state.nexts = dict.fromkeys(self.moves())
        if quiet and self._over():
            state.end = True
            self._raise(self.quarter.breaches() + self.race.wrong(self.quarter), key)
            self.quarter.set_back(photograph)
        elif not state.nexts:
            self._raise([f"nothing is left to happen, and the orders are {list(self.quarter.states.values())}"], key)
        elif depth > LONGEST:
            self._raise([f"no end after {depth} moves"], key)
        if self.quarter.heard and self.draw.random() < AGAIN:
            self._hear_again(photograph, key)
        return key

    def _hear_again(self, photograph: Photograph, key: bytes) -> None:
        """A message that comes a second time, however late, changes nothing."""
        consumer, message = self.draw.choice(self.quarter.heard)
        self.quarter.hear(consumer, message)
        if self._print(self.quarter.photograph()) != key:
            self._raise([f"{message.type} changed {consumer} when it came a second time"], key)
        self.quarter.set_back(photograph)

    def _raise(self, wrong: list[str], key: bytes) -> None:
        if wrong:
            raise Finding(wrong, self._way(key))

    def _over(self) -> bool:
        """Whether the orders wait for nobody any more, and nobody must do anything for them."""
        return set(self.quarter.states.values()) <= self.race.ends and not self.race.work[1](self.quarter)

    def _way(self, key: bytes) -> list[str]:
        moves: list[str] = []
        while (came := self.states[key].came) is not None:
            key = came[0]
            moves.insert(0, came[1])
        return moves

    def _set_back(self, key: bytes) -> None:
        state = self.states[key]
        assert state.photograph is not None
        self.quarter.set_back(state.photograph)
        self.spare = state.spare

    def _print(self, photograph: Photograph) -> bytes:
        """The same for states that nothing can tell apart."""
        digest = hashlib.blake2b(digest_size=16)
        for name, image in photograph.stores.items():
            if id(image) not in self.prints:
                text = UUID.sub(self._name, _all_of(self.quarter, name))
                self.prints[id(image)] = hashlib.blake2b(text, digest_size=16).digest()
                self.images.append(image)
            digest.update(self.prints[id(image)])
        things = photograph.things
        for consumer, queues in things["queues"].items():
            for publisher, messages in queues.items():
                for message in messages:
                    digest.update(f"{consumer}{publisher}".encode() + UUID.sub(self._name, message.body))
        till = things["till"]
        digest.update(repr((things["now"], till.charges, till.refunds, self.spare)).encode())
        digest.update(
            repr([(one.service, one.intent.key, one.intent.kind, one.answer) for one in things["underway"]]).encode()
        )
        return digest.digest()

    def _name(self, found: re.Match[bytes]) -> bytes:
        return found[0] if found[0] in self.known else b"~"


def replay(quarter: Quarter, race: Race, moves: list[str]) -> None:
    """Make these moves from the beginning. Raises Finding, as when they were found."""
    explorer = Explorer(quarter, race)
    here = explorer.root
    for move in moves:
        here = explorer._make(here, move)


def _untried(state: State) -> list[str]:
    return [move for move, there in state.nexts.items() if there is None]


def _all_of(quarter: Quarter, name: str) -> bytes:
    raw: Any = quarter.stores[name].raw
    return repr([raw.execute(query).fetchall() for query in (*KEPT[name], *EVERYWHERE)]).encode()
