"""Where contacts, shops' accounts and notifications are kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from services.support.domain import OPERATORS, Notice
from services.support.store.rows import metadata
from shared.contracts.support import NotificationSent
from shared.kernel.errors import TooEarly
from shared.kernel.ids import new_id
from shared.storage.rows import Insert
from shared.storage.types import Body, Moment
from shared.storage.unit_of_work import Cause, UnitOfWork

contact = sa.Table(
    "contact",
    metadata,
    sa.Column("account_id", sa.String(64), primary_key=True),
    sa.Column("locale", sa.String(35), nullable=False),
    sa.Column("full_name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
)
"""How to reach somebody. Name and address are sealed and are opened only while a letter is written."""

shop = sa.Table(
    "shop",
    metadata,
    sa.Column("seller_id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), nullable=False),
)

notification = sa.Table(
    "notification",
    metadata,
    sa.Column("notification_id", sa.String(36), primary_key=True),
    sa.Column("account_id", sa.String(64), nullable=False),
    sa.Column("recipient", sa.String(64), nullable=False),
    sa.Column("to", sa.String(8), nullable=False),
    sa.Column("template", sa.String(48), nullable=False),
    sa.Column("fields", Body, nullable=False),
    sa.Column("group_no", sa.String(64), nullable=True),
    sa.Column("order_no", sa.String(64), nullable=True),
    sa.Column("cause_event_id", sa.String(96), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("read_at", Moment, nullable=True),
    sa.Column("mail", sa.String(12), nullable=False),
    sa.UniqueConstraint("cause_event_id", "recipient", "template", name="notification_once"),
    sa.CheckConstraint(
        "mail IN ('none','asked','sending','sent','failed','unknown','no_address')", name="notification_mail"
    ),
    sa.Index("notification_inbox", "account_id", "notification_id"),
    sa.Index("notification_unread", "account_id", "notification_id", postgresql_where=sa.text("read_at IS NULL")),
)
"""One row per message to one person. `mail`: none, asked, sending, then how the letter ended."""


_NEW = Insert(
    notification, *(column.name for column in notification.c if column.name != "read_at"),
    keep_first=True, told="notification_id",
)  # fmt: skip


class Outbasket:
    """What a batch has to tell: shops looked up once, rows written once."""

    def __init__(self) -> None:
        self.accounts: dict[str, str] = {}
        self.rows: list[tuple[dict[str, Any], Cause, bool]] = []

    def flush(self, tx: UnitOfWork) -> None:
        """Write the new notifications with one statement, and say that they went out."""
        waiting, self.rows = self.rows, []
        if not waiting:
            return
        by_id = {row["notification_id"]: (row, cause, mail) for row, cause, mail in waiting}
        written = _NEW.write_new(tx, [row for row, _, _ in by_id.values()])
        own = tx.cause
        for row, cause, mail in by_id.values():
            if row["notification_id"] in written:
                tx.cause = cause
                tx.emit(sent(row, "inbox"))
                if mail:
                    tx.intend("mail", row["notification_id"])
        tx.cause = own


def basket(tx: UnitOfWork) -> Outbasket:
    """The transaction's own."""
    found: Outbasket = tx.repositories.setdefault(Outbasket, Outbasket())
    return found


def load_shops(tx: UnitOfWork, seller_ids: Iterable[str]) -> None:
    """Look up whose shops these are, with one statement."""
    wanted = sorted(set(seller_ids))
    if wanted:
        rows = tx.execute(sa.select(shop.c.seller_id, shop.c.account_id).where(tx.among(shop.c.seller_id, wanted)))
        basket(tx).accounts |= {row.seller_id: row.account_id for row in rows}


def keep_shop(tx: UnitOfWork, seller_id: str, account_id: str) -> None:
    """Note whose shop this is."""
    statement = tx.insert(shop).values(seller_id=seller_id, account_id=account_id)
    tx.execute(statement.on_conflict_do_update(index_elements=[shop.c.seller_id], set_={"account_id": account_id}))
    basket(tx).accounts[seller_id] = account_id


def keep_contact(tx: UnitOfWork, account_id: str, locale: str, full_name: str, email: str) -> None:
    """Note how to reach somebody; what is given is sealed."""
    row = {"locale": locale, "full_name": full_name, "email": email}
    statement = tx.insert(contact).values(account_id=account_id, **row)
    tx.execute(statement.on_conflict_do_update(index_elements=[contact.c.account_id], set_=row))


def add(tx: UnitOfWork, notice: Notice) -> None:
    """Put a notice into its reader's inbox. Raises TooEarly when we have not heard whose shop it is for."""
    waiting = basket(tx)
    account_id = notice.recipient
    if notice.to == "seller":
        account_id = waiting.accounts.get(notice.recipient, "")
        if not account_id:
            raise TooEarly(f"whose shop {notice.recipient} is was not heard yet")
    mail = notice.mail and bool(tx.settings.smtp_url) and account_id != OPERATORS
    row = {
        "notification_id": new_id(),
        "account_id": account_id,
        "recipient": notice.recipient,
        "to": notice.to,
        "template": notice.template,
        "fields": msgspec.json.encode(notice.fields),
        "group_no": notice.group_no,
        "order_no": notice.order_no,
        "cause_event_id": tx.cause.causation_id,
        "created_at": tx.now(),
        "mail": "asked" if mail else "none",
    }
    waiting.rows.append((row, tx.cause, mail))


def sent(row: dict[str, Any], channel: str) -> NotificationSent:
    """That a message went out."""
    names = ("notification_id", "to", "account_id", "template", "cause_event_id")
    return NotificationSent(
        **{name: row[name] for name in names}, channel=channel,
        group_no=row["group_no"], order_no=row["order_no"],
    )  # fmt: skip


def mark_read(tx: UnitOfWork, notification_id: str, account_ids: list[str]) -> dict[str, Any] | None:
    """The reader's notification, read now if it was not before; None when there is none of theirs."""
    mine = (notification.c.notification_id == notification_id, notification.c.account_id.in_(account_ids))
    tx.execute(notification.update().where(*mine, notification.c.read_at.is_(None)).values(read_at=tx.now()))
    row = tx.execute(sa.select(notification).where(*mine)).mappings().one_or_none()
    return dict(row) if row else None


def move_mail(tx: UnitOfWork, notification_id: str, before: str, after: str) -> dict[str, Any] | None:
    """Move a letter from one state to the next; None when it was in another."""
    row = tx.execute(
        notification.update()
        .where(notification.c.notification_id == notification_id, notification.c.mail == before)
        .values(mail=after)
        .returning(notification)
    ).mappings().one_or_none()  # fmt: skip
    return dict(row) if row else None


def recipient(tx: UnitOfWork, notification_id: str) -> dict[str, Any] | None:
    """The sealed contact a letter goes to, if it was heard of."""
    row = tx.execute(
        sa.select(contact)
        .join(notification, notification.c.account_id == contact.c.account_id)
        .where(notification.c.notification_id == notification_id)
    ).mappings().one_or_none()  # fmt: skip
    return dict(row) if row else None
