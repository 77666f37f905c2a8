"""State machines on either database, and how long they play."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


class StoreMachine(RuleBasedStateMachine):
    """A machine whose every example has a fresh store: `url`, and a `folder` for what else it keeps."""

    server: Any = None
    """The PostgreSQL server to play on; SQLite if None."""

    def fresh_store(self) -> None:
        """To be called first of all."""
        self._temporary = tempfile.TemporaryDirectory()
        self.folder, self._name = Path(self._temporary.name), f"t_{secrets.token_hex(8)}"
        self.url = "sqlite://"
        if self.server is not None:
            self.url = self.server.create_database(self._name, "tester", "tester")

    def forget_store(self) -> None:
        """To be called when nobody has it open any more."""
        if self.server is not None:
            self.server.drop_database(self._name)
        self._temporary.cleanup()


def play(machine: type[StoreMachine], server: Any, *, examples: int, steps: int) -> None:
    """Play so many examples in `make test`, and as many times more as the chosen hypothesis profile has."""
    plays = type(machine.__name__, (machine,), {"server": server})
    many = examples * settings.default.max_examples // 100 if settings.default else examples
    run_state_machine_as_test(
        plays,
        settings=settings(
            max_examples=max(1, many), stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
