"""What a fresh platform needs before anybody can use it: an operator, and categories to list goods under."""

from __future__ import annotations

from services.account import commands, passwords
from services.account.domain.people import normal_email
from shared.storage.unit_of_work import Node

OPERATOR = "operator@caravan.example"


def operator(account: Node, password: str) -> tuple[str, str]:
    """The first operator's e-mail address and password, through account's own use case; made once."""
    email = normal_email(OPERATOR)
    password_hash = passwords.hashed(password, email)
    account.run(
        lambda tx: commands.people.register_operator(
            tx, email=email, password_hash=password_hash, full_name="Operator", locale="zh-CN"
        )
    )
    return email, password
