"""Tests that share servers or a platform run in one process, one after the other, however many processes there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tests_of_one_file_are_not_scattered_over_processes() -> None:
    one_file = "shared/kernel/tests/test_kernel.py"
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-v", one_file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    workers = re.findall(r"^\[(gw\d)\]", done.stdout, re.MULTILINE)
    assert len(workers) > 5, done.stdout
    assert len(set(workers)) == 1
