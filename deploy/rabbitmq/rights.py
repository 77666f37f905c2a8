"""The broker's users: one source for the stack and for containers (definitions.json is made from it)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from deploy.fleet import FLEET, Member
from deploy.servers.rabbit import User, definitions

VHOST = ADMINISTRATOR = "caravan"


def users(members: Sequence[Member]) -> list[User]:
    """One user a service: it declares and reads its own queues, and says only facts of its own name."""
    return [
        User(
            one.name,
            configure=rf"^caravan\.(events|dlx)$|^caravan\.{one.name}\.",
            write=rf"^caravan\.(events|dlx)$|^caravan\.{one.name}\.",
            read=rf"^caravan\.(events|dlx)$|^caravan\.{one.name}\.",
            topics=rf"^{one.name}\.",
        )
        for one in members
    ]


def page() -> str:
    """definitions.json: where a password belongs stands the name of the variable that holds it, as @NAME@."""
    everybody = [User(ADMINISTRATOR, tags="administrator"), *users(FLEET)]
    return json.dumps(definitions(VHOST, everybody, lambda name: {"password": f"@{variable(name)}@"}), indent=1) + "\n"


def variable(user: str) -> str:
    """What holds this user's password."""
    return "BROKER_PASSWORD" if user == ADMINISTRATOR else f"{user.upper()}_BROKER_PASSWORD"
