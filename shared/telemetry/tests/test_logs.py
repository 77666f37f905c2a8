"""A line of a log is one line, whatever somebody put into it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from shared.telemetry import logs

NASTY = (
    'x\n{"level":"error","event":"forged"}', "x\r\nforged", "\x1b[31mred\x1b]0;title\x07", "a\x00b", "half \ud800",
    "\u2028\u2029\x85\x0b\x0c", "\u202egpj.exe", '","event":"forged', "%s %(x)s {0}",
)  # fmt: skip


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    was, text = structlog.get_config(), io.StringIO()
    logs.configure("tests", "DEBUG")
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=text), cache_logger_on_first_use=False)
    yield text
    structlog.configure(**was)
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_that_is_logged_breaks_its_line_or_forges_another(written: io.StringIO, nasty: str) -> None:
    logs.get("doors").warning("refused", value=nasty, error=ValueError(nasty), **{nasty: 1})
    text = written.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert not [sign for sign in text[:-1] if sign < " "]
    line = json.loads(text)
    assert (line["event"], line["value"], line["logger"]) == ("refused", nasty, "doors")
