"""What is installed is what was locked: every file of every package by its hash, from the index and nowhere else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from deploy import supply

ROOT = Path(__file__).parents[1]
LOCKS = {path.stem: path for path in (ROOT / "requirements").glob("*.txt")}
_PINNED = re.compile(r"([a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==[\w.!+]+(?: ; [^\\]+)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def wrong_in(lock: str) -> list[str]:
    """The lines of a lock that let in something else than one file known by its hash."""
    wrong = []
    for line in re.sub(r"\\\n", " ", lock).splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        package, *hashes = re.split(r"\s+(?=--)", line.strip())
        if not _PINNED.fullmatch(package.strip()) or not hashes or not all(map(_HASH.fullmatch, hashes)):
            wrong.append(line.strip()[:80])
    return wrong


def locked_in(lock: str) -> set[str]:
    return {found[1] for line in lock.splitlines() if (found := _PINNED.match(line))}


def test_what_is_delivered_is_written_down_with_versions_files_and_who_wants_it() -> None:
    found = {one.name: one for one in supply.packages(supply.DELIVERED.read_text())}
    assert found.keys() == locked_in(LOCKS["otel"].read_text())
    assert found["flask"].version.startswith("3.")
    assert all(one.hashes for one in found.values())
    assert {"caravan", "flask-smorest"} <= set(found["flask"].wanted_by)
    assert all(one.wanted_by and {*one.wanted_by} <= {"caravan", *found} for one in found.values())


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_every_line_of_a_lock_is_one_version_known_by_its_hashes(name: str) -> None:
    lock = LOCKS[name].read_text()
    assert locked_in(lock)
    assert wrong_in(lock) == []


@pytest.mark.parametrize(
    "line",
    [
        "flask==3.1.0",
        "flask>=3.1 --hash=sha256:" + "0" * 64,
        "flask==3.1.0 --hash=md5:" + "0" * 32,
        "flask @ git+https://example.com/flask.git --hash=sha256:" + "0" * 64,
        "https://example.com/flask-3.1.0.tar.gz --hash=sha256:" + "0" * 64,
        "--extra-index-url https://example.com/simple",
        "-e ./flask",
    ],
)
def test_a_line_that_lets_in_anything_else_is_noticed(line: str) -> None:
    assert wrong_in(line) == [line[:80]]


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    needs = {
        "audit": groups.pop("audit"),
        "installer": groups["installer"],
        "run": project["project"]["dependencies"],
        "otel": project["project"]["optional-dependencies"]["otel"],
        "dev": [one for group in groups.values() for one in group],
    }
    assert set(LOCKS) == set(needs)
    for name, wanted in needs.items():
        names = {re.split(r"[^A-Za-z0-9.-]", one)[0].lower() for one in wanted}
        assert not names - locked_in(LOCKS[name].read_text()), name
    assert locked_in(LOCKS["run"].read_text()) <= locked_in(LOCKS["otel"].read_text())
    assert locked_in(LOCKS["otel"].read_text()) <= locked_in(LOCKS["dev"].read_text())


@pytest.mark.parametrize("path", ["Makefile", "Dockerfile"])
def test_wherever_packages_are_installed_their_hashes_are_asked_for(path: str) -> None:
    lines = [line for line in (ROOT / path).read_text().splitlines() if "pip install" in line]
    assert lines
    assert all("--require-hashes" in line and "index-url" not in line for line in lines)
