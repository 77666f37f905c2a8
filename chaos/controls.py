"""Mutation controls: a protection is taken away, a fault strikes, and the figure it guards must not be zero."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Control:
    """`patches` (see `chaos.child`) are in every process; one of the figures `guards` must show it."""

    name: str
    what: str
    patches: tuple[str, ...]
    fault: str
    guards: tuple[str, ...]
    seconds: float = 5.0
    """How long the fault lasts at least."""


CONTROLS: dict[str, Control] = {
    one.name: one
    for one in (
        Control("inbox", "no inbox, and facts come again", ("inbox-off",), "duplicates", ("doubled",)),
        Control(
            "mandatory", "facts are not mandatory, and bindings are missing", ("not-mandatory",), "broker.unbound",
            ("lost",),
        ),
        Control(
            "acknowledge", "messages are acknowledged before they are handled, and their worker is killed",
            ("acknowledge-first",), "kill.order.worker", ("lost",),
        ),
        Control(
            "watermark", "the relay reads the log above its last position, and transactions commit late",
            ("watermark", "late-commits"), "nothing", ("lost",),
        ),
        Control(
            "one-per-key", "the relay has several facts of one key under way at once", ("reversed-relay",),
            "nothing", ("order_violations",),
        ),
    )
}  # fmt: skip
