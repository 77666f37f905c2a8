"""Spans for a collector that speaks OTLP over HTTP, where OTEL_EXPORTER_OTLP_ENDPOINT names one and the packages of
`requirements/otel.txt` are there. Otherwise nothing is imported, and a span costs a look at a variable.

A span has names and ids, never what is in a request, a fact or an error's text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from shared.kernel.errors import Refusal
from shared.kernel.settings import BadSettings

Kind = Literal["SERVER", "CONSUMER", "CLIENT"]

_tracer: Any = None


class Span:
    """One that is open. `traceparent`: what is done inside goes on with this."""

    def __init__(self, traceparent: str, inner: Any = None) -> None:
        self.traceparent, self._inner = traceparent, inner

    def answered(self, status: int) -> None:
        """The request's HTTP status; from 500 on it is our fault."""
        if self._inner is not None:
            self._inner.set_attribute("http.response.status_code", status)
            if status >= 500:
                self.failed(str(status))

    def failed(self, why: str) -> None:
        """`why` is the name of an error, not its text."""
        if self._inner is not None:
            from opentelemetry.trace import Status, StatusCode

            self._inner.set_attribute("error.type", why)
            self._inner.set_status(Status(StatusCode.ERROR))


def configure(service: str) -> None:
    """Send spans where the environment says, if it does; once a process, after any fork. Raises BadSettings."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):  # noqa: TID251  (OpenTelemetry's own: its exporter reads it too)
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        raise BadSettings("OTEL_EXPORTER_OTLP_ENDPOINT needs the packages of requirements/otel.txt") from missing
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.namespace": "caravan"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    install(provider)


def install(provider: Any) -> None:
    """Make spans with this provider of OpenTelemetry's; None makes none any more."""
    global _tracer
    _tracer = provider and provider.get_tracer("caravan")


@contextmanager
def span(name: str, kind: Kind, traceparent: str, **attributes: str) -> Iterator[Span]:
    """A step of the trace `traceparent`, which may be empty. An error that leaves it makes it a failed one."""
    if _tracer is None:
        yield Span(traceparent)
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carry = TraceContextTextMapPropagator()
    context = carry.extract({"traceparent": traceparent}, Context())
    with _tracer.start_as_current_span(
        name, context, SpanKind[kind], attributes, record_exception=False, set_status_on_exception=False
    ) as inner:
        carrier: dict[str, str] = {}
        carry.inject(carrier)
        opened = Span(carrier.get("traceparent", traceparent), inner)
        try:
            yield opened
        except Exception as error:
            if kind == "SERVER":
                opened.answered(error.status if isinstance(error, Refusal) else 500)
            else:
                opened.failed(type(error).__name__)
            raise
