"""`python -m deploy.servers --check` prints versions; `--install` first adds what is missing."""

import sys

import click

from deploy.servers import SERVERS, ServerError, ensure_installed, versions


@click.command()
@click.option("--check", is_flag=True, help="Print the versions of PostgreSQL, RabbitMQ, nginx and promtool.")
@click.option("--install", is_flag=True, help="Install what is missing (root on Debian or Ubuntu).")
def main(check: bool, install: bool) -> None:
    """See which servers this machine has."""
    try:
        if install:
            ensure_installed()
        if check or not install:
            for name, version in versions(*SERVERS, "promtool").items():
                click.echo(f"{name:10}{version}")
    except ServerError as error:
        sys.exit(str(error))


main()
