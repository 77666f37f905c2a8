"""One JSON line per thing worth knowing: ids and names of facts, never their content."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure(service: str, level: str = "INFO") -> None:
    """JSON lines on standard error; call once per process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            lambda _logger, _name, event: _encode(event).decode(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=service)


def get(name: str) -> Any:
    return structlog.get_logger().bind(logger=name)


def handled(consumer: str, message: Any) -> None:
    """The line of one handled fact."""
    _line.info(
        "handled",
        consumer=consumer,
        type=message.type,
        event_id=message.event_id,
        agg=message.agg,
        correlation_id=message.cause.correlation_id,
        causation_id=message.envelope.causationid if message.envelope else "",
    )


_line = structlog.get_logger()
