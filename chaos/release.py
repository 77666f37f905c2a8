"""An earlier release, as its files are in the history."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from deploy.servers import ServerError
from deploy.stack.nursery import ROOT


class NoRelease(ServerError):
    """There is no history here, or not enough of it."""


def previous() -> str:
    """The commit of the release before this one: of the last tag before it, else of what this branch is to be landed
    on, else the commit before. Raises NoRelease."""
    asked = (
        ("describe", "--tags", "--abbrev=0", "HEAD~1"),
        ("merge-base", "HEAD", "HEAD@{upstream}"),
        ("rev-parse", "--verify", "--quiet", "HEAD~1^{commit}"),
    )
    here = _git("rev-parse", "HEAD")
    for words in asked:
        if (found := _git(*words)) and (commit := _commit(found)) != here:
            return commit
    raise NoRelease(
        "no earlier commit is here (a shallow clone, or files without their history): fetch some, --previous"
    )


def lay_out(revision: str, folder: Path) -> str:
    """Put the files of a revision into the folder. Answers its commit. Raises NoRelease."""
    commit = _commit(revision)
    if not commit:
        raise NoRelease(f"{revision!r} is no commit that is here")
    packed = subprocess.run(["git", "archive", "--format=tar", commit], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode != 0:
        raise NoRelease(f"the files of {commit} are not all here: {packed.stderr.decode(errors='replace')}")
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
        files.extractall(folder, filter="data")
    return commit


def migrations(tree: Path) -> set[str]:
    """All that a tree brings its stores up with: service (or kit, or vault) and number."""
    found = {f"{path.parents[1].name} {path.name[:4]}" for path in tree.glob("services/*/migrations/[0-9]*.py")}
    return found | {f"{path.parent.name} {path.name[:4]}" for path in tree.glob("shared/storage/*migrations/[0-9]*.py")}


def _commit(revision: str) -> str:
    return _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def _git(*words: str) -> str:
    """What git says, or "" when it refuses."""
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
