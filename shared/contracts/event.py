"""What a fact is: a frozen dataclass that its one publisher declares here and every consumer reads from here.

A fact travels as a structured-mode CloudEvents 1.0 JSON document (the bytes that are stored are the bytes that are
published and replayed). Consumers are tolerant readers: unknown fields are ignored, missing or ill-typed ones are
refused. Within one major version only optional fields may be added.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Hashable
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, NewType, dataclass_transform

import msgspec

from shared.kernel.errors import Fatal

Sealed = NewType("Sealed", str)
"""Personal data, encrypted under its subject's key from the moment it enters (see `shared.storage.vault`)."""

MAX_BYTES = 256 * 1024

REGISTRY: dict[tuple[str, str, int], type[Fact]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Fact:
    """Base of all facts.

    ``class Shipped(Fact, about="shipment/shipment_id", key="group_no")`` says: the fact is about the publisher's
    aggregate `shipment` whose id is in the field `shipment_id`, and it travels in the partition of the order group
    named by the field `group_no`. The publisher is the module's name, unless the module has several (`publishers`).
    """

    name: ClassVar[str]
    publishers: ClassVar[tuple[str, ...]]
    version: ClassVar[int]
    aggregate: ClassVar[str]
    id_field: ClassVar[str]
    key_field: ClassVar[str]

    def __init_subclass__(
        cls, *, about: str, key: str, version: int = 1, publishers: tuple[str, ...] | None = None
    ) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        cls.name, cls.version, cls.key_field = cls.__name__, version, key
        cls.aggregate, cls.id_field = about.split("/")
        cls.publishers = publishers or (cls.__module__.rsplit(".", 1)[-1],)
        for publisher in cls.publishers:
            REGISTRY[publisher, cls.__name__, version] = cls

    @property
    def aggregate_id(self) -> str:
        return str(getattr(self, self.id_field))

    @property
    def partition_key(self) -> str:
        return str(getattr(self, self.key_field))


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """CloudEvents 1.0 attributes, then our extensions (lower case letters only, as the specification asks)."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str
    dataschema: str
    partitionkey: str
    sequence: int
    correlationid: str
    causationid: str
    data: msgspec.Raw
    traceparent: str = ""
    piikeyid: str = ""

    @property
    def publisher(self) -> str:
        return self.source.rsplit("/", 1)[-1]

    @property
    def fact_name(self) -> str:
        return self.type.split(".")[2]

    @property
    def major(self) -> int:
        return int(self.type.rsplit(".v", 1)[1])


_encoder = msgspec.json.Encoder()
_envelopes = msgspec.json.Decoder(Envelope)


def routing_key(publisher: str, fact: type[Fact]) -> str:
    """``<publisher>.<FactName>.v<major>``."""
    return f"{publisher}.{fact.name}.v{fact.version}"


def encode(
    fact: Fact,
    *,
    publisher: str,
    event_id: str,
    time: datetime,
    sequence: int,
    correlation_id: str,
    causation_id: str,
    traceparent: str = "",
) -> bytes:
    """The fact's bytes. Raises ValueError when it breaks its schema, has no partition key, or exceeds 256 KiB."""
    kind = f"caravan.{publisher}.{fact.name}.v{fact.version}"
    if not fact.partition_key:
        raise ValueError(f"{kind} has no partition key")
    data = _encoder.encode(fact)
    _decoder(_class_of(fact)).decode(data)  # a fact that its consumers would refuse never gets into the log
    body = _encoder.encode(
        Envelope(
            specversion="1.0",
            id=event_id,
            source=f"/svc/{publisher}",
            type=kind,
            subject=f"{fact.aggregate}/{fact.aggregate_id}",
            time=time,
            datacontenttype="application/json",
            dataschema=f"/v1/events/catalog/{kind}",
            partitionkey=fact.partition_key,
            sequence=sequence,
            correlationid=correlation_id,
            causationid=causation_id,
            traceparent=traceparent,
            piikeyid=",".join(sorted(key_ids(fact))),
            data=msgspec.Raw(data),
        )
    )
    if len(body) > MAX_BYTES:
        raise ValueError(f"{kind} is larger than {MAX_BYTES} bytes")
    return body


def decode_envelope(body: bytes) -> Envelope:
    """Raises Fatal when the bytes are not one of our CloudEvents."""
    try:
        envelope = _envelopes.decode(body)
        _, publisher, _, _ = envelope.type.split(".")
        if publisher != envelope.publisher or envelope.specversion != "1.0" or envelope.major < 1:
            raise Fatal(f"not a caravan CloudEvent: {envelope.type}")
    except (msgspec.MsgspecError, ValueError, UnicodeDecodeError) as error:
        raise Fatal(f"unreadable: {error}") from error
    return envelope


def decode_fact(envelope: Envelope) -> Fact:
    """Raises Fatal when the type or its major version is unknown, or the data breaks its schema."""
    cls: Any = REGISTRY.get((envelope.publisher, envelope.fact_name, envelope.major))
    if cls is None:
        raise Fatal(f"unknown fact or version: {envelope.type}")
    try:
        fact: Fact = _decoder(cls).decode(envelope.data)
        return fact
    except msgspec.MsgspecError as error:
        raise Fatal(f"{envelope.type} breaks its schema: {error}") from error


def key_ids(fact: Fact) -> set[str]:
    """Ids of the vault keys under which the fact's personal fields are sealed."""
    return {
        value.split(".")[1]
        for field in _sealed_fields(_class_of(fact))
        if isinstance(value := getattr(fact, field), str) and value.count(".") >= 2
    }


def _class_of(fact: Fact) -> Any:
    return type(fact)


@cache
def _sealed_fields(cls: Hashable) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(cls) if "Sealed" in str(f.type))  # type: ignore[arg-type]


_one_at_a_time = threading.Lock()


@cache
def _decoder(cls: Hashable) -> msgspec.json.Decoder[Any]:
    # msgspec shares what it learns of a type while it is still learning: two threads at once crash the process.
    with _one_at_a_time:
        return msgspec.json.Decoder(cls)


def schema(cls: type[Fact]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a fact's data."""
    return msgspec.json.schema(cls)
