"""What a query gets instead of a transaction: a connection for reading, and business time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared.kernel.settings import Settings
from shared.storage.unit_of_work import Node
from shared.storage.vault import Vault


class Reading:
    """Reads of one request, outside any transaction."""

    def __init__(self, node: Node, connection: sa.Connection) -> None:
        self.node, self.connection = node, connection
        self._now: datetime | None = None

    def now(self) -> datetime:
        """Business time, the same throughout one request."""
        if self._now is None:
            self._now = self.node.database.now(self.connection)
        return self._now

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        result: sa.CursorResult[Any] = self.connection.execute(statement, parameters)
        return result

    @property
    def vault(self) -> Vault:
        return self.node.vault

    @property
    def settings(self) -> Settings:
        return self.node.settings
