"""The pages on refusals and on an order's journey, and the generated part of each service's README."""

from __future__ import annotations

from collections.abc import Iterator

from deploy import commons, fleet  # noqa: F401  (its refusals are in the catalogue)
from deploy.docs.events import catalogue
from deploy.fleet import FLEET, Member
from deploy.gateway import problems  # noqa: F401  (as are those of the others here)
from deploy.sandbox import faults, world  # noqa: F401
from deploy.story import scenarios  # noqa: F401
from services.order.domain.states import MOVES, TERMINAL, Move
from shared.kernel import errors
from shared.kernel.errors import Refusal

BEGIN, END = "<!-- generated: says and hears -->", "<!-- end of generated part -->"


def refusals(members: tuple[Member, ...] = FLEET) -> str:
    """docs/errors.md: every refusal of every service, by status."""
    fleet.answering(members)  # importing them fills the catalogue
    found = list(_below(errors.Refusal))
    lines = [
        "# Refusals",
        "",
        "Made from the code by `make docs`. A refusal is an RFC 9457 problem document; `code` is stable, its wording",
        "is not. `field` names what was wrong with the request, `trace_id` is what to quote to us.",
        "",
    ]
    for status in sorted({one.status for one in found}):
        lines += [f"## {status}", "", "| Code | Meaning | Said by |", "|---|---|---|"]
        said: dict[tuple[str, str], set[str]] = {}
        for one in found:
            if one.status == status:
                said.setdefault((one.code, " ".join((one.__doc__ or "").split())), set()).add(_speaker(one.__module__))
        lines += [f"| `{code}` | {text} | {', '.join(sorted(who))} |" for (code, text), who in sorted(said.items())]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    """Every refusal of the platform's own code, tests apart."""
    for one in kind.__subclasses__():
        if one.__module__.startswith(("services.", "shared.", "deploy.")) and "test" not in one.__module__:
            yield one
        yield from _below(one)


def _speaker(module: str) -> str:
    parts = module.split(".")
    if parts[:2] == ["deploy", "ops"]:
        return "operations"
    return {"services": parts[1], "deploy": "the gateway"}.get(parts[0], "any")


def journey() -> str:
    """docs/journey.md: the states of an order and what moves it, drawn from the table the order itself follows."""
    lines = [
        "# The journey of an order",
        "",
        "Made from the table of moves in `services/order/domain/states.py` by `make docs`; the order follows this very",
        "table. What changes an order without moving it stands in the second table.",
        "",
        "```mermaid",
        "stateDiagram-v2",
    ]
    edges: dict[tuple[str, str], list[str]] = {}
    for move in MOVES:
        if move.target is not None:
            source = "[*]" if move.source is None else str(move.source)
            labels = edges.setdefault((source, str(move.target)), [])
            if move.trigger not in labels:
                labels.append(move.trigger)
    lines += [f"    {source} --> {target}: {', '.join(labels)}" for (source, target), labels in edges.items()]
    lines += [f"    {state} --> [*]" for state in sorted(map(str, TERMINAL))]
    lines += ["```", "", "## Moves", "", "| From | When | To | If | Says |", "|---|---|---|---|---|"]
    lines += [_row(move, str(move.target)) for move in MOVES if move.target is not None]
    lines += ["", "## Noted without a move", "", "| In | When | | Why | Says |", "|---|---|---|---|---|"]
    lines += [_row(move, "") for move in MOVES if move.target is None]
    return "\n".join(lines) + "\n"


def _row(move: Move, target: str) -> str:
    source = "" if move.source is None else str(move.source)
    return f"| {source} | {move.trigger} | {target} | {move.guard} | {', '.join(move.says)} |"


def says_and_hears(one: Member, members: tuple[Member, ...] = FLEET) -> str:
    """The part between the markers of a service's README."""
    found = catalogue(members).values()
    says = [
        f"- `{e['name']}` → {', '.join(e['subscribers']) or 'nobody yet'}" for e in found if e["publisher"] == one.name
    ]
    hears: dict[str, list[str]] = {}
    for entry in found:
        if one.name in entry["subscribers"] and entry["publisher"] != one.name:
            hears.setdefault(entry["publisher"], []).append(f"`{entry['name']}`")
    lines = [BEGIN, "", "## Says", "", *(says or ["Nothing."]), "", "## Hears", ""]
    lines += [f"- {name}: {', '.join(facts)}" for name, facts in hears.items()] or ["Nothing."]
    return "\n".join([*lines, "", END])


def with_part(readme: str, part: str) -> str:
    """A README with its generated part in place; at the end, where it has none yet."""
    if BEGIN in readme and END in readme:
        before, rest = readme.split(BEGIN, 1)
        return before + part + rest.split(END, 1)[1]
    return readme.rstrip() + "\n\n" + part + "\n"
