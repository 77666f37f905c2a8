"""One service on stage, alone: its real doors, store, timers and outbox, with the others' facts read to it.

stage = Stage(service, database_url, tmp_path)
stage.hear(OrderPlaced(...))                 # through the real event door
answer = stage.caller("buyer").post("/v1/quotes", {...})
assert stage.said(StockReserved)[0].order_no == ...
stage.advance(minutes=31)                    # fires what is due, in order
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from joserfc.jwk import OKPKey

from shared.contracts.event import Fact, decode_envelope, decode_fact, encode
from shared.kernel import clock
from shared.kernel.ids import new_id
from shared.kernel.settings import Settings
from shared.messaging import consumer as door
from shared.messaging.clockwork import IntentRunner, TimerRunner
from shared.messaging.consumer import Consumer
from shared.runtime.service import Service
from shared.storage import inspect, trust
from shared.storage.types import kit
from shared.storage.unit_of_work import Node
from shared.storage.vault import metadata as vault_metadata
from shared.testing.schema import lay
from shared.web.auth import Principal, issue
from shared.web.factory import create_app

F = TypeVar("F", bound=Fact)


class Answer:
    """An HTTP answer: `status`, `json`, `headers`."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.json: Any = response.get_json(silent=True, force=True) if response.data else None

    def __repr__(self) -> str:
        return f"<{self.status} {self.json}>"


class Caller:
    """Somebody who calls the service's HTTP door; POSTs carry a new Idempotency-Key unless told otherwise."""

    def __init__(self, client: Any, headers: dict[str, str], principal: Principal | None) -> None:
        self.client, self.headers, self.principal = client, headers, principal

    @property
    def account_id(self) -> str:
        assert self.principal is not None
        return self.principal.account_id

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "POST":
            given = {"Idempotency-Key": new_id()} | given
        data = {} if body is None else {"json": body}
        return Answer(self.client.open(path, method=method, headers=self.headers | given, **data))

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("POST", path, {} if body is None else body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("PUT", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("PATCH", path, {} if body is None else body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.request("DELETE", path, **headers)


class Stage:
    """See the module. `database_url` may be SQLite's or PostgreSQL's; the tables are made fresh."""

    def __init__(self, service: Service, database_url: str, folder: Path, **settings: Any) -> None:
        self.service = service
        vault_url = settings.pop("vault_url", f"sqlite:///{folder}/vault.sqlite")
        self.node = Node(
            Settings(service=service.name, database_url=database_url, vault_url=vault_url, env="test", **settings)
        )
        lay(self.node.database, kit, service.metadata)
        lay(self.node.vault.database, vault_metadata)
        self.app = create_app(service, self.node)
        self.consumer = Consumer(self.node, service.on)
        self.timers = TimerRunner(self.node, service.timers)
        self.intents = IntentRunner(self.node, service.intents)
        self._key = OKPKey.generate_key("Ed25519", {"kid": new_id()})
        self._sequences: Counter[tuple[str, str]] = Counter()
        self.node.run(
            lambda tx: trust.keep_key(
                tx, str(self._key.kid), self._key.as_dict(private=False), clock.machine_now() + timedelta(days=1)
            )
        )

    def caller(self, *roles: str, account_id: str | None = None, seller_id: str | None = None) -> Caller:
        """A signed-in person with `roles`; nobody (no token) when none are given."""
        if not roles:
            return Caller(self.app.test_client(), {}, None)
        principal = Principal(account_id or new_id(), frozenset(roles), new_id(), seller_id)
        token = issue(self._key, principal)
        return Caller(self.app.test_client(), {"Authorization": f"Bearer {token}"}, principal)

    def bytes_of(self, fact: Fact, *, publisher: str | None = None, event_id: str | None = None) -> bytes:
        """The fact as another service would publish it now."""
        about = fact.aggregate, fact.aggregate_id
        self._sequences[about] += 1
        return encode(
            fact, publisher=publisher or fact.publishers[0], event_id=event_id or new_id(), time=self.now(),
            sequence=self._sequences[about], correlation_id=new_id(), causation_id="test",
        )  # fmt: skip

    def hear(self, *facts: Fact, publisher: str | None = None) -> None:
        """The service is told these facts, as one batch; failures show as kept rows, see `kept`."""
        self.hear_bytes(*(self.bytes_of(fact, publisher=publisher) for fact in facts))

    def hear_bytes(self, *bodies: bytes) -> None:
        self.consumer.handle([door.read(body) for body in bodies])

    def kept(self) -> list[Any]:
        """Rows of `inbox_retry`: what was not handled, and why."""
        return inspect.kept_rows(self.node.database)

    def said(self, kind: type[F] | None = None) -> list[Any]:
        """Every fact the service ever said, in order; only those of `kind` if given."""
        bodies = [body for _, body in inspect.logged(self.node.database)]
        facts = [decode_fact(decode_envelope(body)) for body in bodies]
        return [fact for fact in facts if kind is None or isinstance(fact, kind)]

    def advance(self, **span: float) -> None:
        """Move business time (``days=``, ``minutes=`` …) from deadline to deadline, firing each in turn."""
        goal = self.now() + timedelta(**span)
        while True:
            self.fire()
            due = inspect.next_deadline(self.node.database)
            if due is None or due > goal:
                break
            self._set_clock(due)
        self._set_clock(goal)
        self.fire()

    def fire(self) -> None:
        """Fire the timers that are due now."""
        while self.timers.step():
            pass

    def call(self) -> int:
        """Make the outside calls that are due; answers how many settled."""
        return self.intents.step()

    def now(self) -> datetime:
        return inspect.business_now(self.node.database)

    def _set_clock(self, moment: datetime) -> None:
        ahead = (moment - self.now()).total_seconds()
        if ahead > 0:
            inspect.move_clock(self.node.database, inspect.clock_ahead(self.node.database) + ahead)

    def close(self) -> None:
        self.node.close()
