"""What is delivered, by its locks: `make sbom` writes it down, `make audit` asks whether any of it is known to be weak.

Both run in build/audit, an environment of their own (requirements/audit.txt); nothing else imports what is in there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SBOM = ROOT / "build" / "sbom.json"
DELIVERED = ROOT / "requirements" / "otel.txt"
"""All of run.txt, and what a collector of spans needs."""
ALWAYS = ROOT / "requirements" / "run.txt"
PROJECT = "caravan"
_PINNED = re.compile(r"([a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==([\w.!+]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^    #(?: via)? +(?:via )?(?!via$)([a-z0-9][a-z0-9.-]*)", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """One line of a lock. `hashes`: SHA-256 of each of its files; `wanted_by`: packages, or the project itself."""

    name: str
    version: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]


def packages(lock: str) -> list[Package]:
    """All that a lock names, in its order."""
    return [
        Package(found[1], found[2], tuple(_HASH.findall(entry)), tuple(_VIA.findall(entry)))
        for entry in re.split(r"\n(?=[a-z0-9])", lock)
        if (found := _PINNED.match(entry))
    ]


def write_sbom() -> None:
    """The delivered packages as CycloneDX JSON, with versions, hashes, and who wants whom."""
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    bom, always = Bom(), {one.name for one in packages(ALWAYS.read_text())}
    project = Component(name=PROJECT, version=version, type=ComponentType.APPLICATION, bom_ref=PROJECT)
    bom.metadata.component = project
    delivered = packages(DELIVERED.read_text())
    known = {PROJECT: project} | {
        one.name: Component(
            name=one.name, version=one.version, type=ComponentType.LIBRARY,
            purl=(purl := PackageURL("pypi", name=one.name, version=one.version)), bom_ref=str(purl),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=text) for text in one.hashes],
            scope=ComponentScope.REQUIRED if one.name in always else ComponentScope.OPTIONAL,
        )
        for one in delivered
    }  # fmt: skip
    for one in delivered:
        bom.components.add(known[one.name])
    for parent, component in known.items():
        bom.register_dependency(component, [known[one.name] for one in delivered if parent in one.wanted_by])
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(JsonV1Dot6(bom).output_as_string(indent=1))
    print(f"{SBOM.relative_to(ROOT)}: {len(delivered)} packages, {len(always)} of them always")


def audit(lock: Path = DELIVERED) -> int:
    """Ask the index's advisories about all that is delivered. 0: nothing is known; 1: something; 2: nobody knew."""
    asked = (
        "--requirement", lock, "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json",
    )  # fmt: skip
    found = subprocess.run([sys.executable, "-m", "pip_audit", *asked], capture_output=True, text=True)
    try:
        looked_at = json.loads(found.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"Nothing was checked: no source of advisories could be asked.\n{found.stderr.strip()}", file=sys.stderr)
        return 2
    skipped = [one["name"] for one in looked_at if "skip_reason" in one]
    if len(skipped) == len(looked_at):
        print("Nothing was checked: this index has no advisories.", file=sys.stderr)
        return 2
    weak = [(one, flaw) for one in looked_at for flaw in one.get("vulns", ())]
    for one, flaw in weak:
        mended = ", ".join(flaw["fix_versions"]) or "no version yet"
        print(f"{one['name']} {one['version']}: {flaw['id']}, mended in {mended}")
    print(f"{len(looked_at) - len(skipped)} packages looked up, {len(weak)} known weaknesses", end="")
    print(f"; not known there: {', '.join(skipped)}" if skipped else "")
    return 1 if weak else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["audit"]:
        sys.exit(audit())
    write_sbom()
