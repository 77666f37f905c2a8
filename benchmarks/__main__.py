"""`python -m benchmarks [--quick]`: one run on a stack of its own, one table, and build/bench.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from benchmarks import report
from benchmarks.run import FULL, QUICK, measure
from shared.telemetry import logs


@click.command()
@click.option("--quick", is_flag=True, help="A smoke run of under a minute; its numbers say little.")
@click.option("--growth", default=0, help="Load so many orders, and say what they make slower. 100 kB of disk each.")
@click.option("--out", type=click.Path(path_type=Path), default="build/bench.json", show_default=True)
def main(quick: bool, growth: int, out: Path) -> None:
    """Measure what the platform costs, as ratios within one run."""
    logs.configure("benchmarks", "WARNING")
    results = measure(replace(QUICK if quick else FULL, growth=growth), lambda what: click.echo(f"  {what}", err=True))
    for line in report.lines(results):
        click.echo(line)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(report.document(results))
    if broken := [verdict for verdict in results.verdicts if verdict.breaches]:
        raise SystemExit("\n".join(map(str, broken)))


if __name__ == "__main__":
    main()
