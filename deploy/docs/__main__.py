"""`python -m deploy.docs` writes the generated pages; `--check` says which are stale and exits 1 when one is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from deploy.docs import events, openapi, pages
from deploy.fleet import FLEET, table
from deploy.gateway.__main__ import containers
from deploy.gateway.nginx import configuration
from deploy.kubernetes import manifests
from deploy.rabbitmq import rights

ROOT = Path(__file__).parents[2]


def generated() -> dict[Path, str]:
    """Every generated file with the text it should have."""
    document = json.dumps(openapi.merged(), indent=1, ensure_ascii=False, sort_keys=False)
    tls = containers("/run/secrets/edge_chain", "/run/secrets/edge_key")
    found = {
        ROOT / "docs" / "openapi.json": document + "\n",
        ROOT / "docs" / "events.md": events.page(),
        ROOT / "docs" / "errors.md": pages.refusals(),
        ROOT / "docs" / "journey.md": pages.journey(),
        ROOT / "deploy" / "gateway" / "nginx.conf": configuration(table(), containers()),
        ROOT / "deploy" / "gateway" / "nginx.tls.conf": configuration(table(), tls),
        ROOT / "deploy" / "rabbitmq" / "definitions.json": rights.page(),
    }
    for name, text in manifests.files().items():
        found[ROOT / "deploy" / "kubernetes" / "base" / name] = text
    for one in FLEET:
        readme = ROOT / "services" / one.name / "README.md"
        if readme.exists():
            found[readme] = pages.with_part(readme.read_text(), pages.says_and_hears(one))
    return found


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a page is stale.")
def main(check: bool) -> None:
    """Make the generated pages."""
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text() != text]
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.exit(f"Stale, run `make docs`: {names}")
    if not check:
        for path, text in generated().items():
            path.write_text(text)


if __name__ == "__main__":
    main()
