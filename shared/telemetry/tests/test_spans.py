"""Spans are made of requests, handlings and outside calls where a collector is named, and of nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.contracts.event import decode_envelope
from shared.kernel.settings import BadSettings
from shared.messaging import consumer as door
from shared.messaging.subscriptions import Subscriptions
from shared.runtime.service import Service
from shared.storage.inspect import logged
from shared.telemetry import spans
from shared.testing.stage import Stage
from shared.testing.toys import inventory, metadata, suspended
from shared.web.door import Door

TRACE = "0af7651916cd43dd8448eb211c80319c"
GIVEN = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def made() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.install(provider)
    yield exporter
    spans.install(None)


def test_a_handling_and_the_call_it_asked_for_are_spans_of_the_facts_trace(
    made, sqlite_url: str, tmp_path: Path
) -> None:
    stage = Stage(inventory(), sqlite_url, tmp_path)
    stage.service.metadata.create_all(stage.node.database.engine)
    (fact,) = suspended("shop", "call")
    message = door.read(stage.bytes_of(fact))
    stage.consumer.handle([replace(message, cause=replace(message.cause, traceparent=GIVEN))])
    stage.call()
    stage.close()

    handled, called = made.get_finished_spans()
    assert (handled.name, called.name) == ("handle caravan.account.SellerSuspended.v1", "call ring_up")
    assert {f"{one.context.trace_id:032x}" for one in (handled, called)} == {TRACE}
    assert f"{handled.parent.span_id:016x}" == "b7ad6b7169203331"
    assert called.parent.span_id == handled.context.span_id
    (told,) = (decode_envelope(body) for _, body in logged(stage.node.database))
    assert told.traceparent == f"00-{TRACE}-{handled.context.span_id:016x}-01"


def test_a_request_is_a_span_with_its_status_and_a_refusal_is_no_fault_of_ours(
    made, sqlite_url: str, tmp_path: Path
) -> None:
    front = Door("inventory", __name__, description="A toy")

    @front.get("/shelves/<shelf_id>", who={"seller"})
    def get_shelf(reading, who, shelf_id): ...

    toy = Service("inventory", "A toy", (front,), Subscriptions("inventory"), metadata)
    stage = Stage(toy, sqlite_url, tmp_path)
    assert stage.caller().get("/v1/shelves/somebody", traceparent=GIVEN).status == 401
    stage.close()

    (request,) = made.get_finished_spans()
    assert (request.name, f"{request.context.trace_id:032x}") == ("GET /shelves/<shelf_id>", TRACE)
    assert request.attributes == {"service": "inventory", "http.response.status_code": 401}
    assert request.status.is_ok


def test_an_error_leaves_its_name_and_never_its_text(made) -> None:
    with pytest.raises(KeyError), spans.span("call anybody", "CLIENT", ""):
        raise KeyError("somebody@example.com")
    (failed,) = made.get_finished_spans()
    assert not failed.status.is_ok
    assert dict(failed.attributes) == {"error.type": "KeyError"}
    assert "somebody" not in failed.to_json()


def test_without_a_collector_nothing_is_made_and_with_one_the_packages_must_be_there(monkeypatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    spans.configure("order")
    with spans.span("anything", "SERVER", GIVEN) as span:
        assert span.traceparent == GIVEN

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    with (
        mock.patch.dict(sys.modules, {"opentelemetry.exporter.otlp.proto.http.trace_exporter": None}),
        pytest.raises(BadSettings, match="otel"),
    ):
        spans.configure("order")
