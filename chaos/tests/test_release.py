"""Which release an upgrade begins with, and what is said when it is not here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from chaos import release


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@caravan.example", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of one commit, whose only file is its version."""
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "--quiet")
    monkeypatch.setattr(release, "ROOT", folder)
    land(folder, "1")
    return folder


def land(folder: Path, version: str) -> str:
    (folder / "version").write_text(version)
    git(folder, "add", "version")
    git(folder, "commit", "--quiet", "--message", version)
    return git(folder, "rev-parse", "HEAD")


def test_it_begins_with_the_commit_before_unless_a_release_is_tagged(history: Path, tmp_path: Path) -> None:
    tagged = git(history, "rev-parse", "HEAD")
    second = land(history, "2")
    land(history, "3")
    assert release.previous() == second

    git(history, "tag", "v1", tagged)

    assert release.previous() == tagged
    assert release.lay_out("v1", tmp_path / "earlier") == tagged
    assert (tmp_path / "earlier" / "version").read_text() == "1"


def test_without_a_history_it_fails_and_says_why(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(release.NoRelease, match="shallow"):
        release.previous()
    with pytest.raises(release.NoRelease, match="v9"):
        release.lay_out("v9", tmp_path / "earlier")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    with pytest.raises(release.NoRelease, match="without their history"):
        release.previous()
