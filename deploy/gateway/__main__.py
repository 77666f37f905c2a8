"""`python -m deploy.gateway` prints nginx's configuration for containers; `--check FILE` exits 1 when FILE is stale."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from deploy.fleet import COMMONS, FLEET, LIVE, table
from deploy.gateway.nginx import Options, configuration

PORT = 8000
DOCKER_NAMES = "127.0.0.11"


def containers(certificate: str = "", key: str = "") -> Options:
    """As docker-compose.yml names and wires the processes."""
    upstreams = {one.name: [f"{one.name}-web:{PORT}"] for one in FLEET}
    return Options(
        upstreams | {LIVE: [f"order-live:{PORT}"], COMMONS: [f"commons:{PORT}"]},
        certificate=certificate,
        key=key,
        resolver=DOCKER_NAMES,
    )


@click.command()
@click.option("--certificate", default="", help="Turns TLS on: the path of the chain, in the gateway's container.")
@click.option("--key", default="", help="The path of its private key.")
@click.option("--check", type=click.Path(path_type=Path), help="Compare with this file and print nothing.")
def main(certificate: str, key: str, check: Path | None) -> None:
    """Print nginx's configuration."""
    if bool(certificate) != bool(key):
        raise click.UsageError("a certificate needs its key")
    text = configuration(table(), containers(certificate, key))
    if check is None:
        click.echo(text, nl=False)
    elif not check.exists() or check.read_text() != text:
        sys.exit(f"{check} is stale: python -m deploy.gateway > {check}")


if __name__ == "__main__":
    main()
