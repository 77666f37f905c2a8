"""Every fact there is, checked by one set of rules; samples are made from the annotations."""

import dataclasses
import types
import typing
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

import shared.contracts  # noqa: F401  (fills the registry)
from shared.contracts import event
from shared.contracts.event import REGISTRY, Fact, Sealed
from shared.kernel.errors import Fatal

FACTS = sorted(REGISTRY)
PERSONAL = {"name", "surname", "phone", "mobile", "email", "mail", "address", "street", "postcode"}
NOT_A_PERSON = {"shop_name"}
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)


def sample(hint: Any, *, full: bool) -> Any:
    """A value of this type. `full`: optional things are present; otherwise they are left out."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Sealed:
        return Sealed("v1.key-7.c2VjcmV0")
    if origin is typing.Annotated:
        rules = [rule for rule in hint.__metadata__ if isinstance(rule, msgspec.Meta)]
        if any(rule.pattern for rule in rules):
            return "CNY"
        if args[0] is int:
            return next((rule.ge for rule in rules if rule.ge is not None), 7)
        return sample(args[0], full=full)
    if origin in (typing.Union, types.UnionType):
        return sample(next(arg for arg in args if arg is not type(None)), full=full)
    if origin is typing.Literal:
        return args[-1]
    if origin is tuple:
        return (sample(args[0], full=full), sample(args[0], full=full))
    if origin is dict:
        return {"key": sample(args[1], full=full)}
    if dataclasses.is_dataclass(hint):
        return build(hint, full=full)
    return {str: "text", int: -3, bool: True, datetime: NOW}[hint]


def build(cls: Any, *, full: bool) -> Any:
    hints = typing.get_type_hints(cls, include_extras=True)
    return cls(**{f.name: sample(hints[f.name], full=full) for f in dataclasses.fields(cls) if full or required(f)})


def required(field: Any) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def fields_of(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def values(cls: Any) -> set[Any]:
    """The dataclasses a fact is made of, itself included."""
    found, todo = {cls}, list(fields_of(cls).values())
    while todo:
        hint = todo.pop()
        todo += typing.get_args(hint)
        if dataclasses.is_dataclass(hint) and hint not in found:
            found.add(hint)
            todo += fields_of(hint).values()
    return found


def encoded(publisher: str, fact: Fact) -> bytes:
    return event.encode(
        fact,
        publisher=publisher,
        event_id="e-1",
        time=NOW,
        sequence=1,
        correlation_id="c-1",
        causation_id="c-2",
    )


def envelope_with(publisher: str, fact: Fact, data: dict[str, Any]) -> event.Envelope:
    body = msgspec.json.decode(encoded(publisher, fact)) | {"data": data}
    return event.decode_envelope(msgspec.json.encode(body))


def data_of(fact: Fact) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fact))
    return data


@pytest.fixture(params=FACTS, ids=lambda key: f"{key[0]}.{key[1]}.v{key[2]}")
def entry(request):
    return request.param[0], REGISTRY[request.param]


@pytest.mark.parametrize("full", [True, False], ids=["full", "least"])
def test_comes_back_as_it_went(entry, full):
    publisher, cls = entry
    fact = build(cls, full=full)
    envelope = event.decode_envelope(encoded(publisher, fact))
    assert event.decode_fact(envelope) == fact
    assert envelope.partitionkey == fact.partition_key
    assert envelope.subject == f"{cls.aggregate}/{fact.aggregate_id}"
    sealed = any(value == "v1.key-7.c2VjcmV0" for value in vars(fact).values())
    assert envelope.piikeyid == ("key-7" if sealed else "")


def test_has_a_schema(entry):
    _, cls = entry
    schema = event.schema(cls)["$defs"][cls.__name__]
    assert set(schema["properties"]) == {f.name for f in dataclasses.fields(cls)}


def test_says_what_happened(entry):
    _, cls = entry
    doc = cls.__doc__ or ""
    assert doc
    assert not doc.startswith(f"{cls.__name__}("), "the docstring is dataclass's own"
    assert doc.strip().splitlines()[0].endswith(".")


def test_names_its_aggregate_and_its_partition(entry):
    _, cls = entry
    hints = fields_of(cls)
    must = {f.name for f in dataclasses.fields(cls) if required(f)}
    assert {cls.id_field, cls.key_field} <= must
    assert hints[cls.id_field] is hints[cls.key_field] is str
    if "group_no" in must:
        assert cls.key_field == "group_no", "facts about an order meet in the group's partition"
    assert "group_id" not in hints


def test_does_not_hide_what_every_fact_has(entry):
    _, cls = entry
    taken = {name for name in [*vars(Fact), *Fact.__annotations__] if not name.startswith("__")}
    assert not taken & {f.name for f in dataclasses.fields(cls)}


def test_personal_data_is_sealed(entry):
    _, cls = entry
    for value in values(cls):
        for name, hint in fields_of(value).items():
            sealed = hint is Sealed or Sealed in typing.get_args(hint)
            assert not sealed or (value is cls and name in event._sealed_fields(cls)), f"{value}.{name}: key unknown"
            if name not in NOT_A_PERSON and not sealed:
                assert not PERSONAL & set(name.split("_")), f"{value}.{name} looks personal"


def test_money_has_a_currency(entry):
    _, cls = entry
    words = {"amount", "payable", "price", "fee", "freight", "net", "gross", "expected", "remitted"}
    fields = {f.name for value in values(cls) for f in dataclasses.fields(value)}
    if any(words & set(name.split("_")) for name in fields):
        assert "currency" in fields


def test_values_are_frozen(entry):
    _, cls = entry
    assert all(value.__dataclass_params__.frozen for value in values(cls))


def test_tolerates_what_it_does_not_know(entry):
    publisher, cls = entry
    fact = build(cls, full=True)
    envelope = envelope_with(publisher, fact, data_of(fact) | {"added_later": [1, {"a": None}]})
    assert event.decode_fact(envelope) == fact


def test_refuses_what_lacks_something(entry):
    publisher, cls = entry
    fact = build(cls, full=True)
    for missing in (f.name for f in dataclasses.fields(cls) if required(f)):
        data = data_of(fact)
        del data[missing]
        with pytest.raises(Fatal, match=missing):
            event.decode_fact(envelope_with(publisher, fact, data))


def test_refuses_the_wrong_type(entry):
    publisher, cls = entry
    fact = build(cls, full=True)
    with pytest.raises(Fatal):
        event.decode_fact(envelope_with(publisher, fact, data_of(fact) | {cls.key_field: 7}))


def test_unknown_major_version_is_fatal():
    fact = build(REGISTRY["order", "OrderPlaced", 1], full=True)
    body = encoded("order", fact).replace(b"OrderPlaced.v1", b"OrderPlaced.v9")
    with pytest.raises(Fatal, match="v9"):
        event.decode_fact(event.decode_envelope(body))


def test_one_publisher_each_but_for_refunds():
    publishers: dict[str, set[str]] = {}
    for publisher, name, _ in REGISTRY:
        publishers.setdefault(name, set()).add(publisher)
    assert {name: who for name, who in publishers.items() if len(who) > 1} == {"RefundRequested": {"order", "support"}}


def test_naive_times_are_refused():
    cls = REGISTRY["order", "OrderDelivered", 1]
    fact = build(cls, full=True)
    with pytest.raises(Fatal):
        event.decode_fact(envelope_with("order", fact, data_of(fact) | {"delivered_at": "2026-03-14T15:09:26"}))
