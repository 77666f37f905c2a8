"""What was found, as a table for a terminal and as JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from chaos.controls import CONTROLS
from chaos.figures import ZERO, Outcome
from chaos.run import Result

LEAST_AVAILABLE = {"upgrade": 0.99}
"""The share of requests that must be answered meanwhile, where nothing breaks that clients should notice."""


def failures(outcome: Outcome) -> list[str]:
    """Why this run fails: figures that must be zero; for a control, a guarded figure that is zero."""
    if not outcome.control:
        least = LEAST_AVAILABLE.get(outcome.fault, 0.0)
        paused = [f"available {outcome.availability:.1%}"] if outcome.availability < least else []
        return [f"{name} is {getattr(outcome, name)}" for name in outcome.broken] + paused
    guards = CONTROLS[outcome.control].guards
    return [] if any(getattr(outcome, name) for name in guards) else [f"{' and '.join(guards)} stayed zero"]


def line(result: Result) -> str:
    """One run in a line, and what is to be said of it."""
    one = result.outcome
    figures = " ".join(f"{name}={getattr(one, name)}" for name in ZERO if getattr(one, name)) or "all zero"
    why = failures(one)
    verdict = "FAILED" if why else "ok"
    head = f"{verdict:6} {one.control and one.control + ': '}{one.fault} (seed {one.seed}, {one.mode})"
    text = f"{head}: {one.orders} orders, {figures}, recovered in {one.recovery_s} s, available {one.availability:.1%}"
    shown = [f"\n         {note}" for note in result.notes]
    if why:
        shown += [f"\n         {name}: {words}" for name, several in result.words.items() for words in several[:4]]
    return text + "".join(shown)


HEADS = ("mode", "fault", "control", "runs", "orders", *ZERO, "recovery s", "available")


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """One for each fault, mode and control: sums of what must be zero, the worst of the rest."""
    alike: dict[tuple[str, str, str], list[Outcome]] = {}
    for one in outcomes:
        alike.setdefault((one.mode, one.fault, one.control), []).append(one)
    return [
        (
            *key, str(len(several)), str(sum(one.orders for one in several)),
            *(str(sum(getattr(one, name) for one in several)) for name in ZERO),
            f"{max(one.recovery_s for one in several):.1f}", f"{min(one.availability for one in several):.0%}",
        )
        for key, several in alike.items()
    ]  # fmt: skip


def show(outcomes: Sequence[Outcome]) -> None:
    table = Table(*HEADS, title="Chaos")
    for row in rows(outcomes):
        table.add_row(*row)
    console = Console(highlight=False)
    (console if console.is_terminal else Console(width=200, highlight=False)).print(table)


def document(outcomes: Sequence[Outcome]) -> bytes:
    """The list of outcomes."""
    return msgspec.json.format(msgspec.json.encode(outcomes)) + b"\n"


def main() -> None:
    """`python -m chaos.report FILE…`: the table of written outcomes as Markdown."""
    outcomes = [
        one for name in sys.argv[1:] for one in msgspec.json.decode(Path(name).read_bytes(), type=list[Outcome])
    ]
    for cells in (HEADS, ["---"] * len(HEADS), *rows(outcomes)):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
