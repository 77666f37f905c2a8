"""`python -m deploy.stack`: the whole platform on this machine until SIGTERM or Ctrl-C."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from deploy.servers import SERVERS, ensure_installed
from deploy.stack.stack import Stack, summary


def _scale(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    try:
        return {name: int(number) for name, number in (one.split("=", 1) for one in given)}
    except ValueError as error:
        raise click.BadParameter("reads like order=2 or order-web=4") from error


@click.command()
@click.option(
    "--home", type=click.Path(path_type=Path), help="Keep data and logs here; a temporary folder if left out."
)
@click.option("--port", type=int, default=8080, show_default=True)
@click.option(
    "--scale", multiple=True, callback=_scale, help="Worker processes of a service: order=2; web: order-web=4."
)
@click.option("--keep/--throw-away", default=None, help="Keep the data at the end; a named folder is kept anyway.")
def main(home: Path | None, port: int, scale: dict[str, int], keep: bool | None) -> None:
    """Every service as its own processes, with private PostgreSQL, RabbitMQ and nginx."""
    ensure_installed(*SERVERS)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Stack(home, port=port, scale=scale, keep=keep) as stack:
        said = summary(stack)
        click.echo(" · ".join(f"{name} {version}" for name, version in said["versions"].items()))
        seconds = said["seconds"]["servers"] + said["seconds"]["processes"]
        click.echo(f"Started in {seconds:.0f} s; logs in {said['logs']}")
        email, password = stack.operator
        click.echo(f"Operator: {email} / {password}")
        click.echo(f"Caravan answers on {stack.url}; see how it is with ./caravan --home {stack.home} status")
        while not stop.wait(2):
            for name, job in stack.jobs.items():
                if not job.running:
                    click.echo(f"{name} has ended; it is started again")
                    stack.revive(name)
        click.echo("Stopping")


if __name__ == "__main__":
    main()
