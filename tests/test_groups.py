"""Tests that share servers or a platform run in one process, one after the other, however many processes there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", range(8))
def test_the_tests_of_one_file_are_not_scattered_over_processes(run_folder: Path, number: int) -> None:
    """Each of these leaves the name of its process; with several, scattered tests would leave another one."""
    mine = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    with (run_folder / "who.txt").open("a+") as names:
        names.write(f"{mine}\n")
        names.seek(0)
        assert set(names.read().split()) == {mine}
