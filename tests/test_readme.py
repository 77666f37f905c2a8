"""What README promises is true: its commands run, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def _make(*arguments: str, timeout: int = 600) -> subprocess.CompletedProcess[str]:
    # Not a part of the make that may be running these tests.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )


def test_make_demo_tells_the_whole_story() -> None:
    done = _make("demo")

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"^demo: (\d+) of \1 steps, invariants 9 of 9$", done.stdout.splitlines()[-1])


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`?make ([a-z]+)(?: [A-Z]=\S+)?`?", README))))
def test_every_command_is_there(command: str) -> None:
    assert _make("--dry-run", command).returncode == 0


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
