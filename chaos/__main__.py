"""`python -m chaos`: every fault in its turn on one stack for each mode, a table, and build/chaos.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

import click

from chaos import report
from chaos.controls import CONTROLS
from chaos.faults import FAULTS, Fault
from chaos.run import Size
from chaos.session import MODES, Planned, Session
from shared.telemetry import logs

PLAN = ("nothing", "kill.order.worker", "kill.order.web", "broker.kill", "postgres.restart", "poison")
"""What `make chaos` runs; `--all` runs everything there is."""


OFTEN, SELDOM = (20, 1_000, 5.0), (5, 300, 5.0)
PROOF = {"kill.": OFTEN, "broker.kill": OFTEN, "scaling": (5, 2_000, 80.0)}
"""How many runs `--proof` makes of the faults that begin so, of how many orders, with so many seconds for each step of
the fault; of all others SELDOM."""


@click.command()
@click.option("--fault", "names", multiple=True, help="Only this fault, or all that begin so; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Every fault there is: hours.")
@click.option("--proof", is_flag=True, help="As often, and with as many orders, as a release wants it: days.")
@click.option("--controls", is_flag=True, help="Take a protection away and see the figure that it guards.")
@click.option("--control", "chosen", multiple=True, help="Only this control; may be repeated.")
@click.option("--mode", type=click.Choice([*MODES, "all"]), default="stack", show_default=True)
@click.option("--runs", default=1, show_default=True, help="Of each fault, with consecutive seeds.")
@click.option("--seed", type=int, help="Of the first run; drawn by lot if left out.")
@click.option("--orders", default=100, show_default=True, help="At least, in each run.")
@click.option("--rate", default=6.0, show_default=True, help="Orders a second.")
@click.option("--seconds", default=5.0, show_default=True, help="How long a fault lasts.")
@click.option("--previous", default="", help="The commit from which `upgrade` begins; the release before if left out.")
@click.option("--out", type=click.Path(path_type=Path), default="build/chaos.json", show_default=True)
@click.option("--list", "listing", is_flag=True, help="Say what there is, and do nothing.")
def main(
    names: tuple[str, ...], everything: bool, proof: bool, controls: bool, chosen: tuple[str, ...], mode: str,
    runs: int, seed: int | None, orders: int, rate: float, seconds: float, previous: str, out: Path, listing: bool,
) -> None:  # fmt: skip
    """Place orders while one thing after another breaks; nothing may be lost, doubled, oversold or out of order."""
    if listing:
        for fault in FAULTS.values():
            click.echo(f"{fault.name:40} {fault.what}{f' (needs {fault.needs})' if fault.needs else ''}")
        for control in CONTROLS.values():
            click.echo(f"control {control.name:32} {control.what}: {' or '.join(control.guards)}")
        return
    logs.configure("chaos", "ERROR")
    first = SystemRandom().randrange(1_000_000) if seed is None else seed
    session = Session(out, click.echo, previous)
    if not (controls or chosen) or names or everything:
        plan = []
        for fault in _faults(names, everything):
            times, many, long = _wanted(fault) if proof else (runs, orders, seconds)
            plan += [Planned(fault, first + number, Size(many, rate, long)) for number in range(times)]
        plan.sort(key=lambda one: one.seed)  # each fault once before any comes again
        for each in MODES if mode == "all" else (mode,):
            session.runs(each, plan)
    for name in chosen or (CONTROLS if controls else ()):
        session.control(name, first, Size(orders, rate, seconds))
    report.show(session.outcomes)
    if why := session.failures():
        raise SystemExit("\n".join(why))


def _wanted(fault: Fault) -> tuple[int, int, float]:
    return next((much for begins, much in PROOF.items() if fault.name.startswith(begins)), SELDOM)


def _faults(names: Sequence[str], everything: bool) -> list[Fault]:
    """Raises BadParameter for a name that nothing begins with."""
    if everything:
        return list(FAULTS.values())
    found = []
    for name in names or PLAN:
        matching = [FAULTS[name]] if name in FAULTS else [one for one in FAULTS.values() if one.name.startswith(name)]
        if not matching:
            raise click.BadParameter(f"there is no fault {name!r}; see --list")
        found += matching
    return found


if __name__ == "__main__":
    main()
