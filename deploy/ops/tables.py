"""The operators' reports as tables and trees for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

Report = dict[str, Any]


def status(found: Report) -> None:
    rows = []
    for one in found["items"]:
        if one.get("away"):
            rows.append((one["service"], *["?"] * 8, *_words(one["worries"])))
            continue
        owners = {shard["owner"] for shard in one["shards"]} - {None}
        queue = "-" if one["queue"] is None else one["queue"]["ready"] + one["queue"]["unacknowledged"]
        kept = ", ".join(f"{count} {word}" for word, count in one["kept"].items() if count) or "-"
        shards = f"{sum(shard['owner'] is not None for shard in one['shards'])}/{len(one['shards'])} by {len(owners)}"
        rows.append((
            one["service"], one["workers"], shards, queue, _waits(one["waiting"], one["oldest_waiting_seconds"]),
            _waits(one["outbox"]["pending"], one["outbox"]["oldest_age_seconds"]),
            _waits(one["timers"]["overdue"], one["timers"]["oldest_lag_seconds"]),
            f"{one['calls']['pending']} ({one['calls']['failing']} failing)", kept, *_words(one["worries"]),
        ))  # fmt: skip
    heads = ("service", "workers", "shards", "queue", "not heard", "outbox", "overdue", "calls", "kept", "worries")
    _table(heads, rows)


def scaling(found: Report) -> None:
    rows = [
        (one["service"], one["workers"], len(one["shards"]), _waits(one["waiting"], one["oldest_waiting_seconds"]),
         f"{one['handled_per_second']:.1f}", one["suggested_workers"], one["why"])
        for one in found["items"]
    ]  # fmt: skip
    _table(("service", "workers", "shards", "not heard", "handled/s", "suggested", "why"), rows)


def outbox(found: Report) -> None:
    rows = [
        (one["service"], one["pos"], one["fact"], one["partition_key"], _moment(one["told_at"]), one["attempts"],
         one["error"])
        for one in found["items"]
    ]  # fmt: skip
    _table(("service", "position", "fact", "partition", "told at", "attempts", "error"), rows, "Everything has left.")


def invariants(found: Report) -> None:
    rows = [
        (one["number"], "broken" if one["breaches"] else "holds", one["promise"], one["checked"],
         *_words(one["breaches"][:20]))
        for one in found["items"]
    ]  # fmt: skip
    _table(("", "", "promise", "checked", "breaches"), rows)


def timeline(found: Report) -> None:
    console = _console()
    known = {fact["event_id"] for fact in found["facts"]}
    tree = Tree(f"group {found['group_no']}")
    branches: dict[str, Tree] = {}
    for fact in found["facts"]:
        cause = fact["causation_id"]
        label = f"{_moment(fact['told_at'])} {fact['publisher']} {fact['fact']} [{fact['subject']}]"
        why = "" if cause in known else f" < {cause.split(':')[0] if ':' in cause else 'another flow'}"
        parent = branches.get(cause, tree)
        branch = branches[fact["event_id"]] = parent.add(escape(label + why))
        heard = [hearing for hearing in fact["heard_by"] if hearing["state"] == "handled"]
        if heard:
            branch.add(escape("heard by " + ", ".join(f"{one['service']} +{one['lag_seconds']:.2f}s" for one in heard)))
        for one in fact["heard_by"]:
            if one["state"] != "handled":
                letter = f", letter {one['letter_id']}, {one['attempts']} tries" if "letter_id" in one else ""
                branch.add(escape(f"{one['service']}: {one['state']}{letter} {one['why']}".strip()))
    console.print(tree)
    if found["timers"]:
        _table(
            ("service", "timer", "of", "due (business time)", "error"),
            [(one["service"], one["timer"], one["aggregate"], _moment(one["due_at"]), one["error"])
             for one in found["timers"]],
        )  # fmt: skip
    if found["calls"]:
        _table(
            ("service", "call", "key", "tries", "next try", "error"),
            [(one["service"], one["call"], one["key"], one["attempts"], _moment(one["next_at"]), one["error"])
             for one in found["calls"]],
        )  # fmt: skip
    click.echo("\n".join(f"STUCK: {words}" for words in found["stuck"]) or "Nothing is stuck.")


def trace(found: Report) -> None:
    for span in found["spans"]:
        at = "        " if span["after_seconds"] is None else f"{span['after_seconds']:7.3f}s"
        how = span["because"] and f"< {span['because']}"
        if span["deed"] == "heard":
            how = f"+{span['lag_seconds']:.3f}s" if span["state"] == "handled" else span["state"]
        what = f"{span['service']} {span['deed']} {span['fact']} [{span['subject']}]"
        click.echo(f"{at} {'  ' * span['depth']}{what} {how}".rstrip())
    click.echo(f"{found['seconds']:.3f} s in all; trace {', '.join(found['trace_ids']) or 'unknown'}")


def letters(found: Report) -> None:
    rows = [
        (one["letter_id"], one["status"], one["fact"], one["subject"], one["reason"], one["attempts"],
         _moment(one["created_at"]), one["error"] or "")
        for one in found["items"]
    ]  # fmt: skip
    _table(("letter", "status", "fact", "subject", "reason", "tries", "since", "error"), rows, "There are none.")


def letter(found: Report) -> None:
    for name, value in found.items():
        if name != "body":
            click.echo(f"{name}: {value}")
    click.echo(f"\n{found['body']}")


def retried(found: Report) -> None:
    for one in found.get("items", []):
        click.echo(f"{one['letter_id']}: {'to be tried again' if one['status'] == 'failed' else one['status']}")
    if "retried" in found:
        total = sum(found["retried"].values())
        parts = ", ".join(f"{count} of {service}" for service, count in found["retried"].items())
        click.echo(f"{total} to be tried again{': ' + parts if parts else ''}")


def edited(found: Report) -> None:
    click.echo(f"{found['letter_id']} is now event {found['event_id']} and will be tried")


def plan(found: Report) -> None:
    if found["embedded"]:
        click.echo("The embedded platform has no broker: there is nothing to declare.")
        return
    wanted = [f"{one['service']}: + {what}" for one in found["items"] for what in one["missing"]]
    click.echo("\n".join(wanted) or "Everything that is declared is there.")


def topology(found: Report) -> None:
    plan(found)
    for one in found["items"]:
        for what in one["altered"]:
            click.echo(f"{one['service']}: ! {what}")
        for what in one["surplus"]:
            click.echo(f"{one['service']}: - {what} (nobody declares it)")


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]], empty: str = "") -> None:
    rows = list(rows)
    if not rows and empty:
        click.echo(empty)
        return
    table = Table(*heads)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    _console().print(table)


def _console() -> Console:
    """As wide as the terminal; a pipe gets whole lines."""
    console = Console(soft_wrap=False, highlight=False)
    return console if console.is_terminal else Console(width=240, highlight=False)


def _waits(count: int, seconds: float) -> str:
    return f"{count} ({seconds:.0f} s)" if count else "0"


def _moment(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else "-"


def _words(several: list[str]) -> tuple[str]:
    return ("\n".join(several),)
