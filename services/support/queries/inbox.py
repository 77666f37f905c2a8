"""What can be looked up: one's own inbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from services.support import store
from services.support.domain import locale_of, render
from shared.web.door import Reading, page

_N = store.notification.c


def inbox(
    reading: Reading, accounts: list[str], reader: str, *, limit: int, cursor: str | None = None, unread: bool = False,
    order_no: str | None = None, locale: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of what these accounts were told, the newest first, in the reader's language."""
    statement = (
        sa.select(store.notification)
        .where(_N.account_id.in_(accounts))
        .order_by(_N.notification_id.desc())
        .limit(limit + 1)
    )
    if unread:
        statement = statement.where(_N.read_at.is_(None))
    if order_no is not None:
        statement = statement.where(_N.order_no == order_no)
    if cursor is not None:
        statement = statement.where(_N.notification_id < cursor)
    language = locale or reader_locale(reading, reader)
    rows = list(reading.execute(statement).mappings())
    answer = page(rows, limit, lambda row: str(row["notification_id"]))
    return answer | {"items": [view(row, language) for row in answer["items"]]}


def reader_locale(reading: Any, account_id: str) -> str:
    """The reader's language, as far as we have it."""
    wish = reading.execute(sa.select(store.contact.c.locale).where(store.contact.c.account_id == account_id)).scalar()
    return locale_of(wish or "en")


def view(row: Mapping[str, Any], locale: str) -> dict[str, Any]:
    """A message in words."""
    subject, text = render(row["template"], msgspec.json.decode(bytes(row["fields"])), locale)
    names = ("notification_id", "to", "template", "group_no", "order_no", "created_at", "read_at")
    return {name: row[name] for name in names} | {"subject": subject, "text": text}
