"""The golden tapes of the journeys, in `tests/tapes`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy.replay.golden import compared, tape_of
from deploy.story.tape import Said

TAPES = Path(__file__).parent / "tapes"


def matches_tape(name: str, said: Iterable[Said], group_no: str, config: pytest.Config) -> None:
    """Compare with `tests/tapes/<name>.txt`; with ``--record-tapes`` write it instead."""
    record = bool(config.getoption("--record-tapes"))
    found, golden = compared(TAPES / f"{name}.txt", tape_of(said, group_no), record=record)
    assert found == golden
