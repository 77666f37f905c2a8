"""The `caravan` command: what `/v1/ops` answers, for whoever has the platform's folder or its description.

`--json` prints what the HTTP door would answer; otherwise tables. Exit code 1 says no: a refusal, or something is wrong
(`status` with worries, `timeline` with something stuck, `invariants` that do not hold, `topology` that differs), so
that scripts need no eyes.
"""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from click.shell_completion import get_completion_class

from deploy.fleet import FLEET
from deploy.ops import broker, letters, promises, tables
from deploy.ops import status as services
from deploy.ops import timeline as orders
from deploy.ops import trace as traces
from deploy.ops.platform import Platform
from deploy.ops.replay import replay
from shared.kernel.errors import Refusal
from shared.kernel.settings import BadSettings
from shared.messaging.dead_letters import PER_SECOND
from shared.storage import trust
from shared.storage.database import is_infrastructure

SERVICES = click.Choice([one.name for one in FLEET])
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
WHY = click.option("--why", required=True, help="Stands in the audit trail beside your name.")
CONTEXT = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CARAVAN_OPS"}


def main() -> None:
    """Run the command; leaves by SystemExit."""
    try:
        group(prog_name="caravan")
    except (Refusal, BadSettings) as error:
        code = f"{error.code}: " if isinstance(error, Refusal) else ""
        sys.exit(f"{code}{error}")
    except Exception as error:
        if not is_infrastructure(error):
            raise
        sys.exit("a store does not answer; `caravan status` says which")


@click.group(context_settings=CONTEXT)
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    default=None,
    help="The folder of a stack or of the embedded platform; without any of these, build/run.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A description of the platform, see docs/operations.md; CARAVAN_OPS may hold it too.",
)
@click.pass_context
def group(context: click.Context, home: Path | None, file: Path | None) -> None:
    """See how a running Caravan is, and put right what is stuck."""
    if context.invoked_subcommand != "completion":
        here = Platform.described(file.read_bytes()) if file else None if home else Platform.in_environment()
        context.obj = platform = here or Platform.in_folder(home or Path("build/run"))
        context.call_on_close(platform.close)


@group.command()
@JSON
@click.pass_obj
def status(platform: Platform, as_json: bool) -> None:
    """How each service is: workers, shards, what waits, what is kept, what to worry about."""
    found = services.status(platform)
    _show({"items": found}, as_json, tables.status)
    _fail_if(any(one["worries"] for one in found))


@group.command()
@JSON
@click.pass_obj
def scaling(platform: Platform, as_json: bool) -> None:
    """The load of each service and how many workers it should have."""
    _show({"items": services.scaling(platform)}, as_json, tables.scaling)


@group.command()
@click.argument("order_no")
@JSON
@click.pass_obj
def timeline(platform: Platform, order_no: str, as_json: bool) -> None:
    """All that happened around ORDER_NO (or a group), who has heard what, and what should have happened by now."""
    found = orders.timeline(platform, order_no)
    _show(found, as_json, tables.timeline)
    _fail_if(bool(found["stuck"]))


@group.command()
@click.argument("name", metavar="ORDER|TRACE|REQUEST")
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    default=traces.DAYS,
    show_default=True,
    help="How far back to look for a trace or a request.",
)
@JSON
@click.pass_obj
def trace(platform: Platform, name: str, days: int, as_json: bool) -> None:
    """Who told what, who heard it and how late, and what came of it: of an order, of a trace (the 32 digits of a
    traceparent), or of a request (the trace_id of a refusal)."""
    _show(traces.trace(platform, name, days), as_json, tables.trace)


@group.command()
@click.option("--service", type=SERVICES, default=None)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@JSON
@click.pass_obj
def outbox(platform: Platform, service: str | None, limit: int, as_json: bool) -> None:
    """Facts that have not left their service yet, and why."""
    _show({"items": services.outboxes(platform, service or "", limit)}, as_json, tables.outbox)


@group.command()
@click.option("--order", "order_no", default="", help="Only what has to do with this order.")
@click.option("--minutes", type=click.IntRange(1), help="Only what has changed within so many minutes.")
@JSON
@click.pass_obj
def invariants(platform: Platform, order_no: str, minutes: int | None, as_json: bool) -> None:
    """Recompute the promises about money, stock and facts."""
    span = timedelta(minutes=minutes) if minutes else None
    found = [asdict(one) for one in promises.live(platform, order_no, span)]
    holds = not any(one["breaches"] for one in found)
    _show({"holds": holds, "items": found}, as_json, tables.invariants)
    _fail_if(not holds)


# --- dead letters ---------------------------------------------------------------------------------------------------


@group.group("dead-letters")
def dead_letters() -> None:
    """Messages that were not handled: look at them, try them again, correct them, or give up on them."""


@dead_letters.command("list")
@click.option("--service", type=SERVICES, default=None, help="Who did not handle them.")
@click.option("--status", "state", type=click.Choice(letters.STATUSES), default="dead", show_default=True)
@click.option("--fact", default="", help="Part of the fact's type.")
@click.option("--reason", default="", help="Exactly this reason: unreadable, schema, failed, refused, crash_loop …")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--after", default="", help="The last letter of the page before.")
@JSON
@click.pass_obj
def list_letters(platform: Platform, /, service: str | None, state: str, as_json: bool, **which: Any) -> None:
    """List letters, by service, oldest first."""
    found = letters.find(platform, service=service or "", status=state, **which)
    _show({"items": found}, as_json, tables.letters)


@dead_letters.command()
@click.argument("letter_id")
@JSON
@click.pass_obj
def show(platform: Platform, letter_id: str, as_json: bool) -> None:
    """Show LETTER_ID with its message as it came."""
    _show(letters.show(platform, letter_id), as_json, tables.letter)


@dead_letters.command()
@click.argument("letter_ids", nargs=-1)
@click.option("--service", type=SERVICES, default=None, help="All dead ones of this service …")
@click.option("--fact", default="", help="… whose type has this part …")
@click.option("--reason", default="", help="… with exactly this reason.")
@click.option("--per-second", type=click.FloatRange(0.1, 1000), default=PER_SECOND, show_default=True)
@WHY
@JSON
@click.pass_obj
def retry(
    platform: Platform, letter_ids: tuple[str, ...], service: str | None, fact: str, reason: str, per_second: float,
    why: str, as_json: bool,
) -> None:  # fmt: skip
    """Have LETTER_IDS tried again, or all dead ones that match."""
    if bool(letter_ids) == bool(service or fact or reason):
        raise click.UsageError("name letters, or say which by --service, --fact or --reason")
    by: dict[str, Any] = {"actor": _me(), "why": why}
    if letter_ids:
        found: Any = {"items": [letters.retry(platform, one, **by) for one in letter_ids]}
    else:
        found = {"retried": letters.retry_all(
            platform, service=service or "", fact=fact, reason=reason, per_second=per_second, **by
        )}  # fmt: skip
    _show(found, as_json, tables.retried)


@dead_letters.command()
@click.argument("letter_id")
@click.option("--data", type=click.File("rb"), help="JSON: what the message should have said (- is standard input).")
@click.option("--message", type=click.File("rb"), help="JSON: a whole CloudEvent in its place.")
@WHY
@JSON
@click.pass_obj
def edit(platform: Platform, letter_id: str, data: Any, message: Any, why: str, as_json: bool) -> None:
    """Correct LETTER_ID and have it tried, as a new event that names the old one as its cause."""
    content = {name: _read(file) for name, file in (("data", data), ("message", message)) if file is not None}
    _show(letters.edit(platform, letter_id, actor=_me(), why=why, **content), as_json, tables.edited)


@dead_letters.command()
@click.argument("letter_ids", nargs=-1, required=True)
@WHY
@click.pass_obj
def discard(platform: Platform, letter_ids: tuple[str, ...], why: str) -> None:
    """Give up on LETTER_IDS: they are never handled, and what waits behind them goes on."""
    for one in letter_ids:
        letters.discard(platform, one, actor=_me(), why=why)
        click.echo(f"{one} discarded")


# --- topology -------------------------------------------------------------------------------------------------------


@group.group()
def topology() -> None:
    """What the services declare on the broker: queues, exchanges, bindings."""


@topology.command()
@JSON
@click.pass_obj
def plan(platform: Platform, as_json: bool) -> None:
    """What `apply` would add."""
    _show(_topology(platform), as_json, tables.plan)


@topology.command()
@WHY
@JSON
@click.pass_obj
def apply(platform: Platform, why: str, as_json: bool) -> None:
    """Declare what is missing. Nothing is taken away."""
    platform.nodes["account"].run(lambda tx: trust.note_change(tx, _me(), "topology.apply", "-", "", why))
    broker.apply(platform)
    _show(_topology(platform), as_json, tables.topology)


@topology.command()
@JSON
@click.pass_obj
def audit(platform: Platform, as_json: bool) -> None:
    """Compare what is declared with what the broker has."""
    found = _topology(platform)
    _show(found, as_json, tables.topology)
    _fail_if(any(one["missing"] or one["altered"] for one in found["items"]))


def _topology(platform: Platform) -> dict[str, Any]:
    return {"embedded": platform.embedded, "items": [asdict(one) for one in broker.audit(platform)]}


@group.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete this command: eval "$(./caravan completion bash)"."""
    made = get_completion_class(shell)
    if made is not None:
        click.echo(made(group, {}, "caravan", "_CARAVAN_COMPLETE").source())


group.add_command(replay)


def _show(found: dict[str, Any], as_json: bool, table: Any) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        table(found)


def _fail_if(wrong: bool) -> None:
    if wrong:
        sys.exit(1)


def _read(file: Any) -> Any:
    try:
        return msgspec.json.decode(file.read())
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file.name} is not JSON: {error}") from error


def _me() -> str:
    return f"cli:{getpass.getuser()}"
