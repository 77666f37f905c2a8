"""One JSON line per thing worth knowing: ids and names of facts, never their content."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

FOLLOWED = ("trace_id", "correlation_id")
_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(service: str, level: str = "INFO") -> None:
    """JSON lines on standard error; call once per process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _written,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=service)


def _written(_logger: Any, _name: str, event: Any) -> str:
    """One line, whatever is in it: controls are escaped, and so is half a character, which msgspec will not write."""
    try:
        return _encoder.encode(event).decode()
    except UnicodeEncodeError:
        return json.dumps(event, default=repr)


def get(name: str) -> Any:
    return structlog.get_logger().bind(logger=name)


def follow(traceparent: str, correlation_id: str) -> None:
    """From here on this thread's lines belong to this trace and flow, until `unfollow`."""
    structlog.contextvars.bind_contextvars(trace_id=trace_id(traceparent), correlation_id=correlation_id)


def unfollow() -> None:
    structlog.contextvars.unbind_contextvars(*FOLLOWED)


@contextmanager
def following() -> Iterator[None]:
    """What is followed inside is followed no longer afterwards, but what was followed before."""
    before = structlog.contextvars.get_contextvars()
    try:
        yield
    finally:
        unfollow()
        if "trace_id" in before:
            structlog.contextvars.bind_contextvars(**{name: before[name] for name in FOLLOWED})


def trace_id(traceparent: str) -> str:
    """The 32 digits that all of a trace has in common; empty where there is none."""
    return traceparent[3:35]


def handled(consumer: str, message: Any) -> None:
    """The line of one handled fact, which is being followed."""
    _line.info(
        "handled",
        consumer=consumer,
        type=message.type,
        event_id=message.event_id,
        agg=message.agg,
        causation_id=message.envelope.causationid if message.envelope else "",
    )


_line = structlog.get_logger()
