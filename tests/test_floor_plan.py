"""The floor plan is kept: every service has the same floors, and every fence bites when it is crossed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.fleet import FLEET

ROOT = Path(__file__).parents[1]
FLOORS = {"app.py", "__main__.py", "README.md", "migrations", "tests", "__init__.py"}
ROOMS = {"api", "handlers", "timers", "commands", "queries", "schemas", "store", "gateways", "domain"}
OWN_ROOMS = {
    "account": {"keyring", "passwords"},  # signing keys and argon2: neither a rule of business nor a store
    "catalog": {"data", "segments"},
    "order": {"live"},  # waiting GETs and streams
    "support": {"templates", "letters"},
}

PLANTED = [
    ("services/order/commands.py", "from services.payment import store as theirs", "No service imports another"),
    ("services/order/domain/pricing.py", "import flask", "Kernel, contracts and domain are pure"),
    ("services/order/domain/pricing.py", "import sqlalchemy", "Kernel, contracts and domain are pure"),
    ("services/order/domain/pricing.py", "from services.order import store", "The floors of a service"),
    ("services/order/store.py", "from services.order import commands", "The floors of a service"),
    ("services/order/handlers.py", "import sqlalchemy", "SQL in a service: only store, queries and migrations"),
    ("services/order/handlers.py", "import pika", "Only shared.messaging.rabbit knows pika"),
    ("shared/kernel/money.py", "import requests", "Kernel, contracts and domain are pure"),
    ("shared/web/door.py", "from services.order import store as theirs", "deploy > services > shared"),
    ("shared/web/door.py", "import sqlalchemy", "SQL in the kit"),
    ("services/order/store.py", "from deploy import fleet", "deploy > services > shared"),
]


@pytest.mark.parametrize("member", FLEET, ids=lambda member: member.name)
def test_every_service_has_the_same_floors(member) -> None:
    folder = ROOT / "services" / member.name
    found = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    rooms = {name.removesuffix(".py") for name in found - FLOORS}

    assert found >= FLOORS
    assert rooms - ROOMS <= OWN_ROOMS.get(member.name, set())


def test_the_fences_hold() -> None:
    done = _lint(ROOT)

    assert done.returncode == 0, done.stdout


def test_every_fence_bites(tmp_path: Path) -> None:
    """One planted violation after another, in a copy of the tree; each must break the fence it crosses."""
    for folder in ("deploy", "services", "shared"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    quiet = []
    for file, line, fence in PLANTED:
        path = tmp_path / file
        if not path.exists():  # the floor has become a folder
            path = tmp_path / file.removesuffix(".py") / "__init__.py"
        before = path.read_text()
        path.write_text(f"{before}\n{line}\n")
        done = _lint(tmp_path)
        path.write_text(before)
        broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN") or " BROKEN " in text]
        if not any(text.startswith(fence) for text in broken):
            quiet.append((file, line, broken))

    assert quiet == []


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([tool, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
