"""What people may ask of support: their inbox."""

from __future__ import annotations

from typing import Any

from services.support import commands, queries
from services.support.api.door import door
from services.support.schemas.inbox import Inbox, InboxQuery, NotificationView
from shared.storage.unit_of_work import UnitOfWork
from shared.web.auth import Principal
from shared.web.door import SIGNED_IN, Reading


@door.get("/notifications", who=SIGNED_IN, query=InboxQuery, answer=Inbox)
def list_notifications(reading: Reading, who: Principal, query: dict[str, Any]) -> Any:
    """Your messages, the newest first; for operators also those to all operators."""
    return queries.inbox.inbox(reading, commands.notices.inboxes(who), who.account_id, **query)


@door.post("/notifications/<notification_id>/read", who=SIGNED_IN, answer=NotificationView)
def read_notification(tx: UnitOfWork, who: Principal, notification_id: str) -> Any:
    """Note that you have read a message; again changes nothing."""
    row = commands.notices.mark_read(tx, who, notification_id)
    return queries.inbox.view(row, queries.inbox.reader_locale(tx, who.account_id))
