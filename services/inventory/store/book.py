"""The stock a transaction works on: locked whole before its first write, written in bulk at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields

import sqlalchemy as sa

from services.inventory.domain.reservation import Reservation
from services.inventory.domain.stock import Shelves, Stock
from services.inventory.store.tables import movement, reservations, sku, stock, waiting
from shared.storage.database import StaleRow
from shared.storage.rows import Insert, Locked, Update
from shared.storage.unit_of_work import UnitOfWork

GOODS_CAME_IN = "goods_came_in"
"""The timer, due at once, that gives a SKU to those who wait for it."""
FILLED_AT_ONCE = 200
"""Orders that one firing serves with what came in; the others follow at once in the next."""


class _Book:
    """This transaction's shelves; written with as many statements however many rows changed."""

    def __init__(self) -> None:
        self.shelves = Shelves()
        self.turns: dict[str, list[str]] = {}  # by SKU: the reservations whose turn it is, locked

    def flush(self, tx: UnitOfWork) -> None:
        movements, self.shelves.movements = self.shelves.movements, []
        changed, self.shelves.changed = self.shelves.changed, {}
        rows = [changed[key] for key in sorted(changed)]
        new = [vars(row) | {"version": 1} for row in rows if row.version == 0]
        moved = [_changed(row) for row in rows if row.version > 0]
        _NEW.write(tx, new)
        if _CHANGED.write(tx, moved) != len(moved):
            raise StaleRow("stock: somebody else was faster")
        for row in rows:
            row.version += 1
            if row.is_owed:
                tx.set_timer(row.sku, GOODS_CAME_IN, tx.now())
        _MOVEMENTS.write(tx, [{"at": tx.now(), **vars(one)} for one in movements])
        waits: Counter[tuple[str, str]] = Counter()
        for one in movements:
            waits[one.sku, one.reservation_id] += one.backordered
        changes = {key: delta for key, delta in waits.items() if delta}
        if changes:
            _keep_waiting(tx, changes)


def shelves(tx: UnitOfWork) -> Shelves:
    """The shelves this transaction has locked; movements made on them are put down to its present cause."""
    mine = _book(tx).shelves
    mine.cause = tx.cause.causation_id
    return mine


def _book(tx: UnitOfWork) -> _Book:
    book = tx.repositories.get(_Book)
    if book is None:
        book = tx.repositories[_Book] = _Book()
    mine: _Book = book
    return mine


def lock_shelves(tx: UnitOfWork, skus: Iterable[str]) -> Shelves:
    """Lock and load all stock of these SKUs, in one sorted order."""
    mine = shelves(tx)
    wanted = sorted({one for one in skus if one not in mine})
    if wanted:
        owners: dict[str, str] = dict(map(tuple, _OWNERS.rows(tx, wanted)))
        rows: dict[str, list[Stock]] = {}
        for row in _SHELVES.rows(tx, wanted):
            found = Stock(**dict(zip(_STOCK, row, strict=True)))
            rows.setdefault(found.sku, []).append(found)
        for one in wanted:
            mine.put(one, owners.get(one), rows.get(one, ()))
    return mine


_COUNTED = ("on_hand", "held", "allocated", "backordered", "backorder_limit", "low_threshold")
_OWNERS = Locked(sku, ["sku", "seller_id"], "sku", ["sku"])
_STOCK = [field.name for field in fields(Stock)]
_SHELVES = Locked(stock, _STOCK, "sku", ["sku", "warehouse_id"])
_NEW, _MOVEMENTS = Insert(stock), Insert(movement)
_CHANGED = Update(stock, {"sku_": "sku", "warehouse_": "warehouse_id", "version_": "version"}, [*_COUNTED, "version"])


def _changed(row: Stock) -> dict[str, object]:
    return {
        "sku_": row.sku,
        "warehouse_": row.warehouse_id,
        "version_": row.version,
        "version": row.version + 1,
        **{name: getattr(row, name) for name in _COUNTED},
    }


# --- who waits --------------------------------------------------------------------------------------------


def _keep_waiting(tx: UnitOfWork, changes: dict[tuple[str, str], int]) -> None:
    came = [
        {"sku": one, "reservation_id": who, "qty": qty, "since": tx.now()}
        for (one, who), qty in sorted(changes.items())
        if qty > 0
    ]
    went = [{"sku_": one, "who_": who, "less_": -qty} for (one, who), qty in sorted(changes.items()) if qty < 0]
    if came:
        statement = tx.insert(waiting)
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=[waiting.c.sku, waiting.c.reservation_id],
                set_={"qty": waiting.c.qty + statement.excluded.qty},
            ),
            came,
        )
    if went:
        mine = waiting.c.sku == sa.bindparam("sku_"), waiting.c.reservation_id == sa.bindparam("who_")
        tx.execute(waiting.update().where(*mine).values(qty=waiting.c.qty - sa.bindparam("less_")), went)
        tx.execute(waiting.delete().where(*mine, waiting.c.qty == 0), went)


def lock_waiting(tx: UnitOfWork, skus: list[str]) -> None:
    """Lock the orders whose turn it is to get these SKUs, and the SKUs' shelves."""
    turns = {one: _turn(tx, one) for one in skus}
    reservations.lock(tx, {who for turn in turns.values() for who in turn})
    lock_shelves(tx, skus)
    _book(tx).turns.update(turns)


def waiters(tx: UnitOfWork, one: str) -> list[Reservation]:
    """The orders that `lock_waiting` found waiting for a SKU, first come first served."""
    found = (reservations.find(tx, who) for who in _book(tx).turns[one])
    return [reservation for reservation in found if reservation is not None]


def _turn(tx: UnitOfWork, one: str) -> list[str]:
    return list(
        tx.execute(
            sa.select(waiting.c.reservation_id)
            .where(waiting.c.sku == one)
            .order_by(waiting.c.since, waiting.c.reservation_id)
            .limit(FILLED_AT_ONCE)
        ).scalars()
    )


def lock_reservations(tx: UnitOfWork, reservation_ids: list[str]) -> None:
    """Lock reservations and the shelves of all they want."""
    lock_shelves(tx, {one for found in reservations.lock(tx, reservation_ids) for one in found.skus})
