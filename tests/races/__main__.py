"""Explore longer than the tests do: ``python -m tests.races ship --moves 50000 --seed 3``."""

from __future__ import annotations

import click

from shared.telemetry import logs
from tests.races.explorer import Explorer
from tests.races.quarter import Quarter
from tests.races.races import RACES


@click.command()
@click.argument("race", type=click.Choice(sorted(RACES)))
@click.option("--moves", default=20_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(race: str, moves: int, seed: int) -> None:
    """Explore RACE; what is wrong is shown with the moves that lead to it."""
    logs.configure("races", "CRITICAL")
    explorer = Explorer(Quarter(), RACES[race], seed)
    explorer.run(moves)
    click.echo(f"{race}, seed {seed}: {explorer.made} moves, {len(explorer.states)} states, {explorer.ends} ends, ")
    click.echo(f"{explorer.paths()} interleavings")


if __name__ == "__main__":
    main()
