"""What people may ask of support: their inbox."""

from __future__ import annotations

from typing import Any

from services.support import commands, queries
from services.support.schemas import Inbox, InboxQuery, NotificationView
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import Principal
from shared.web.door import SIGNED_IN, Door, Reading

door = Door("support", __name__, description="Notifications")


@door.get("/notifications", who=SIGNED_IN, query=InboxQuery, answer=Inbox)
def list_notifications(reading: Reading, who: Principal, query: dict[str, Any]) -> Any:
    """Your messages, the newest first; for operators also those to all operators."""
    return queries.inbox(reading, commands.inboxes(who), who.account_id, **query)


@door.post("/notifications/<notification_id>/read", who=SIGNED_IN, answer=NotificationView)
def read_notification(tx: UnitOfWork, who: Principal, notification_id: str) -> Any:
    """Note that you have read a message; again changes nothing."""
    row = commands.mark_read(tx, who, notification_id)
    return queries.view(row, queries.reader_locale(tx, who.account_id))
