"""The whole platform for a story, the same object whether it runs in one process or on real servers.

def test_something(world: World) -> None:
    world.client(token).post("/v1/orders", json={...})
    world.settle()
    world.advance(days=15)
    assert world.told("OrderCompleted")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeVar

import requests
from requests.adapters import HTTPAdapter

from shared.contracts.event import Envelope, Fact, decode_envelope, decode_fact
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.storage.database import Database
from shared.storage.inspect import kept_rows, last_position, logged

T = TypeVar("T")
F = TypeVar("F", bound=Fact)


class Grounds(Protocol):
    """What the embedded platform and the stack have in common."""

    @property
    def url(self) -> str: ...
    @property
    def provider_url(self) -> str: ...
    @property
    def carrier_url(self) -> str: ...
    @property
    def sandbox_key(self) -> str: ...
    @property
    def operator(self) -> tuple[str, str]: ...
    @property
    def stores(self) -> dict[str, Database]: ...
    def settle(self, seconds: float = 60) -> None: ...
    def advance(self, **span: float) -> int: ...


class Told(NamedTuple):
    """One fact on the tape."""

    publisher: str
    type: str
    subject: str
    causation: str
    correlation: str
    fact: Fact


class World:
    """See the module. The tape begins where the world was made: what earlier tests did is not on it."""

    def __init__(self, grounds: Grounds) -> None:
        self.grounds = grounds
        self._start = {name: last_position(database) for name, database in self.stores.items()}

    # --- where things are -------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self.grounds.url

    @property
    def provider_url(self) -> str:
        return self.grounds.provider_url

    @property
    def carrier_url(self) -> str:
        return self.grounds.carrier_url

    @property
    def sandbox_key(self) -> str:
        """Opens `/v1/sandbox`, the provider and the carrier."""
        return self.grounds.sandbox_key

    @property
    def operator(self) -> tuple[str, str]:
        """E-mail address and password of an operator."""
        return self.grounds.operator

    @property
    def stores(self) -> dict[str, Database]:
        """Every service's store, for invariants."""
        return self.grounds.stores

    def client(self, token: str = "") -> Client:
        """Somebody who speaks to the gateway; nobody in particular without a token."""
        return Client(self.url, token)

    # --- time -------------------------------------------------------------------------------------------------

    def settle(self, seconds: float = 60) -> None:
        """Return once nothing is under way or due."""
        self.grounds.settle(seconds)

    def advance(self, **span: float) -> None:
        """Move business time on (``days=15``), from deadline to deadline."""
        self.grounds.advance(**span)

    def until(self, predicate: Callable[[], T], deadline: float = 30.0) -> T:
        """The first true answer of `predicate`. AssertionError after `deadline` seconds: then show the tape."""
        end = clock.monotonic() + deadline
        while not (answer := predicate()):
            if clock.monotonic() > end:
                raise AssertionError(f"not within {deadline:g} s; the last facts:\n{self.show(self.tape()[-30:])}")
            clock.pause(0.02)
        return answer

    # --- what was said ----------------------------------------------------------------------------------------

    def tape(self) -> list[Told]:
        """All facts since this world was made, causes before what they caused, else in order of business time."""
        known: dict[str, tuple[Envelope, int]] = {}
        queues: dict[str, list[Envelope]] = {}
        for name, database in self.stores.items():
            queues[name] = [decode_envelope(body) for _, body in logged(database, self._start[name])]
            known |= {envelope.id: (envelope, no) for no, envelope in enumerate(queues[name])}
        # Each log is in order already; a fact waits until the one that caused it is on the tape.
        tape: list[Envelope] = []
        on_tape: set[str] = set()
        heads = dict.fromkeys(queues, 0)
        while True:
            waiting = [queues[name][at] for name, at in heads.items() if at < len(queues[name])]
            if not waiting:
                break
            ready = [one for one in waiting if one.causationid not in known or one.causationid in on_tape]
            chosen = min(ready or waiting, key=lambda one: (one.time, one.id))
            heads[chosen.publisher] += 1
            tape.append(chosen)
            on_tape.add(chosen.id)
        return [Told(e.publisher, e.fact_name, e.subject, e.causationid, e.correlationid, decode_fact(e)) for e in tape]

    def told(self, *names: str) -> list[Told]:
        """The facts of these names."""
        return [one for one in self.tape() if one.type in names]

    def said(self, kind: type[F]) -> list[F]:
        """The facts of this kind."""
        return [one.fact for one in self.tape() if isinstance(one.fact, kind)]

    def kept(self) -> dict[str, list[Any]]:
        """By service: facts that were not handled, with the reason. Empty in a world where all went well."""
        rows = {name: kept_rows(database) for name, database in self.stores.items()}
        return {name: kept for name, kept in rows.items() if kept}

    @staticmethod
    def show(tape: Iterable[Told]) -> str:
        return "\n".join(f"{one.publisher:10} {one.type:28} {one.subject}" for one in tape)


class Client:
    """Somebody's HTTP connection to the gateway; POSTs carry a new Idempotency-Key unless told otherwise."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.mount("http", HTTPAdapter(pool_maxsize=8))
        if token:
            self.http.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if method == "POST":
            headers = {"Idempotency-Key": new_id()} | headers
        options.setdefault("timeout", 60)
        return self.http.request(method, self.url + path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self.request("POST", path, json={} if json is None else json, **options)

    def put(self, path: str, json: Any, **options: Any) -> requests.Response:
        return self.request("PUT", path, json=json, **options)

    def patch(self, path: str, json: Any, **options: Any) -> requests.Response:
        return self.request("PATCH", path, json=json, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return self.request("DELETE", path, **options)
