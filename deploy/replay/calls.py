"""What the outside world answered, so that a replay is answered the same and asks nobody.

Of a call a recording holds its kind and key, a digest of what was asked (which may name somebody) and the answer. Only
calls of `TAPED` services are noted: what mail servers and merchants' own systems say is theirs.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from deploy import fleet
from deploy.replay.comparing import as_text
from shared.kernel import clock
from shared.messaging.subscriptions import Intent, Intents
from shared.storage.unit_of_work import Node

TAPED = ("payment", "shipping")
_GROUP = re.compile(r"G\d{8,}")


class Called(msgspec.Struct, frozen=True):
    """A call that was answered: by which service it was made, under which `key`; `asked` is a digest, `shape` the name
    of the answer's type. `at` is machine time."""

    service: str
    kind: str
    key: str
    at: datetime
    business: datetime
    asked: str
    shape: str
    answer: msgspec.Raw
    groups: tuple[str, ...] = ()

    @property
    def cause(self) -> str:
        """Of what was said when the answer came."""
        return f"intent:{self.kind}:{self.key}"


def digest(data: Mapping[str, Any]) -> str:
    """Of what is asked; moments apart, as everywhere in a replay."""
    return hashlib.sha256(as_text(data).encode()).hexdigest()


@contextmanager
def noted() -> Iterator[list[Called]]:
    """All answers that services of this process get meanwhile, in their order."""
    found: list[Called] = []
    originals = [(name, fleet.member(name).service.intents) for name in TAPED]
    before = [dict(intents.by_kind) for _, intents in originals]
    for name, intents in originals:
        for kind, declared in list(intents.by_kind.items()):
            intents.by_kind[kind] = replace(declared, call=_noting(name, declared.call, found))
    try:
        yield found
    finally:
        for (_, intents), kinds in zip(originals, before, strict=True):
            intents.by_kind.update(kinds)


def _noting(service: str, call: Callable[[Node, Intent], Any], found: list[Called]) -> Callable[[Node, Intent], Any]:
    def ask(node: Node, intent: Intent) -> Any:
        answer = call(node, intent)
        with node.database.read() as connection:
            business = node.database.now(connection)
        named = _GROUP.findall(intent.key + msgspec.json.encode(intent.data).decode())
        found.append(
            Called(
                service, intent.kind, intent.key, clock.machine_now(), business, digest(intent.data),
                type(answer).__name__, msgspec.Raw(msgspec.json.encode(answer)), tuple(sorted(set(named))),
            )
        )  # fmt: skip
        return answer

    ask.__wrapped__ = call  # type: ignore[attr-defined]  # whoever asks for its types finds them
    return ask


def answering(intents: Intents, called: Called) -> Intents:
    """The same calls, one of which is answered as it was. Raises KeyError for a kind or an answer there is no more."""
    declared = intents.by_kind[called.kind]
    shapes = get_type_hints(inspect.unwrap(declared.call))["return"]
    known = {(get_origin(one) or one).__name__: one for one in (*get_args(shapes), shapes) if _is_named(one)}
    answer = msgspec.json.decode(called.answer, type=known[called.shape])
    found = Intents()
    found.by_kind = {called.kind: replace(declared, call=lambda _node, _intent: answer)}
    return found


def _is_named(shape: Any) -> bool:
    return hasattr(get_origin(shape) or shape, "__name__")
