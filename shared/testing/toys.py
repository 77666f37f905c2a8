"""Two toy services that speak to each other with facts of the real catalogue, to try out brokers and crashes.

`account` says SellerSuspended; `inventory` hears it, notes an effect and says StockDepleted; `account` hears that and
notes an effect too. What is to happen on the way is in the fact's `reason`:

- ``n``, a number or any word: just note it;
- ``flagged``: the flag row is locked first, and the handler fails while it says so;
- ``needs:x``: too early until ``x`` was noted under the same key;
- ``timer:s``: also ring in `s` seconds of business time; ``call``: also make an outside call.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

import shared.contracts  # noqa: F401  (fills the registry)
from shared.contracts.account import SellerSuspended
from shared.contracts.event import Fact
from shared.contracts.inventory import StockDepleted
from shared.kernel.errors import TooEarly
from shared.messaging.subscriptions import Intent, Intents, Subscriptions, Timers
from shared.runtime.service import Service
from shared.storage.types import BigId, kit
from shared.storage.unit_of_work import Node, UnitOfWork

metadata = sa.MetaData()
effect = sa.Table(
    "effect",
    metadata,
    sa.Column("no", BigId, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("what", sa.String(64), nullable=False),
)
"""What was done, in the order of doing. Nothing is unique here: what is done twice is there twice."""
flag = sa.Table(
    "flag",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("fails", sa.Boolean, nullable=False),
)


def suspended(key: str, *reasons: object) -> list[Fact]:
    return [SellerSuspended(seller_id=key, account_id="a", reason=str(reason)) for reason in reasons]


def note(tx: UnitOfWork, key: str, what: str) -> None:
    tx.execute(effect.insert().values(key=key, what=what))


def account() -> Service:
    on = Subscriptions("account")

    @on(StockDepleted)
    def hear(event: StockDepleted, tx: UnitOfWork) -> None:
        note(tx, event.sku, event.seller_id)

    return Service(name="account", owns="A toy", doors=(), on=on, metadata=metadata)


def inventory() -> Service:
    on, due, calls = Subscriptions("inventory"), Timers(), Intents()

    @on(SellerSuspended)
    def hear(event: SellerSuspended, tx: UnitOfWork) -> None:
        key, what = event.seller_id, event.reason
        word, _, rest = what.partition(":")
        if what == "flagged" and tx.execute(sa.select(flag.c.fails).with_for_update()).scalar():
            raise RuntimeError("the flag is up")
        if word == "needs" and not _noted(tx, key, rest):
            raise TooEarly(f"{rest} is not here yet")
        if word == "timer":
            tx.set_timer(key, "ring", tx.now() + timedelta(seconds=float(rest)))
        if word == "call":
            tx.intend("ring_up", key)
        note(tx, key, what)
        tx.emit(StockDepleted(sku=key, seller_id=what))

    @due("ring", lock=lambda _tx, _keys: None)
    def ring(tx: UnitOfWork, key: str) -> None:
        note(tx, key, "rang")
        tx.emit(StockDepleted(sku=key, seller_id="rang"))

    @calls("ring_up", settle=lambda tx, intent, result: note(tx, intent.key, result))
    def ring_up(_node: Node, _intent: Intent) -> str:
        return "called"

    return Service(name="inventory", owns="A toy", doors=(), on=on, timers=due, intents=calls, metadata=metadata)


def prepare(node: Node) -> Node:
    """Make the toy's tables."""
    kit.create_all(node.database.engine)
    metadata.create_all(node.database.engine)
    return node


def effects(node: Node) -> list[tuple[str, str]]:
    """``(key, what)`` of all that was done, in order."""
    with node.database.read() as connection:
        rows: Any = connection.execute(sa.select(effect.c.key, effect.c.what).order_by(effect.c.no))
        return [(row.key, row.what) for row in rows]


def set_flag(node: Node, fails: bool) -> None:
    with node.database.begin() as connection:
        connection.execute(flag.delete())
        connection.execute(flag.insert().values(name="flag", fails=fails))


def _noted(tx: UnitOfWork, key: str, what: str) -> bool:
    return tx.execute(sa.select(effect.c.no).where(effect.c.key == key, effect.c.what == what)).first() is not None
