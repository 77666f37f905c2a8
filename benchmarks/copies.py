"""Orders by the hundred thousand, as copies of one that came by itself: all that any store keeps of it, bodies, facts,
marks of the inbox and deadlines, under numbers and ids of their own and each of a buyer of its own, by COPY.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.bench import Bench

LEFT_OUT = frozenset({
    "outbox", "intent", "lease", "idempotency", "audit", "quote", "alembic_version", "kit_version", "clock_offset",
    "signing_key", "revoked_session",
})  # fmt: skip
TAIL = 12
"""So many hexadecimal digits at an id's end say which copy it is of, and which name in it."""
CHUNK = 1 << 20


def fill(bench: Bench, group_no: str, first: int, number: int) -> None:
    """So many copies of what every store holds about a group, numbered from `first`."""
    urls = {one.name: bench.postgres.url(one.store).replace("+psycopg", "", 1) for one in bench.members}
    tokens = {group_no}
    for url in urls.values():
        with psycopg.connect(url) as connection:
            said = "SELECT event_id, agg_id FROM event_log WHERE partition_key = %s"
            tokens |= {one for row in connection.execute(said, [group_no]) for one in row if group_no not in one}
    for url in urls.values():
        with psycopg.connect(url) as connection:
            tokens |= _keys(connection, group_no, tokens)
    with psycopg.connect(urls["order"]) as connection:
        whose = connection.execute("SELECT buyer_id FROM order_group WHERE group_no = %s", [group_no]).fetchone()
    renamed = tokens | set(whose or ())

    def copied(original: bytes) -> Iterator[bytes]:
        return copies(original, group_no, renamed, range(first, first + number))

    for name, url in urls.items():
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")  # what is copied was checked when it was made
            for table, columns in _tables(connection).items():
                about = _about(table, columns, group_no, tokens)
                _copy(connection, table, columns, about, copied)
            if name == "inventory":
                connection.execute(_EVEN)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")  # what was loaded is not written while we measure


# As much came in as the copies sent out: the shelves' numbers stay the sums of their movements.
_EVEN = """
INSERT INTO stock_movement (at, kind, sku, warehouse_id, on_hand, held, allocated, backordered, reservation_id,
                            shipment_id, reason, reference, by, cause)
SELECT now(), 'receive', s.sku, s.warehouse_id, s.on_hand - m.on_hand, s.held - m.held, s.allocated - m.allocated,
       s.backordered - m.backordered, '', '', '', 'growth', 'benchmarks', ''
FROM stock s JOIN (SELECT sku, warehouse_id, sum(on_hand) AS on_hand, sum(held) AS held, sum(allocated) AS allocated,
                          sum(backordered) AS backordered FROM stock_movement GROUP BY sku, warehouse_id) m
     USING (sku, warehouse_id)
WHERE (s.on_hand, s.held, s.allocated, s.backordered) <> (m.on_hand, m.held, m.allocated, m.backordered)
"""


@dataclass(frozen=True)
class _Column:
    name: str
    is_text: bool
    is_key: bool
    counts_up: bool


def _tables(connection: psycopg.Connection[Any]) -> Mapping[str, list[_Column]]:
    found: dict[str, list[_Column]] = {}
    for table, *column in connection.execute(_COLUMNS):
        if table not in LEFT_OUT:
            found.setdefault(table, []).append(_Column(*column))
    return found


_COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type IN ('character varying', 'text'), k.column_name IS NOT NULL,
       coalesce(c.column_default LIKE 'nextval%', false) OR c.is_identity = 'YES'
FROM information_schema.columns c
LEFT JOIN (SELECT u.table_name, u.column_name FROM information_schema.key_column_usage u
           JOIN information_schema.table_constraints t USING (constraint_name, table_name)
           WHERE t.constraint_type = 'PRIMARY KEY') k USING (table_name, column_name)
WHERE c.table_schema = 'public' ORDER BY c.table_name, c.ordinal_position
"""


def _about(table: str, columns: list[_Column], group_no: str, tokens: set[str]) -> sql.Composable:
    """The rows that name the group or one of its things."""
    if table == "event_log":
        return sql.SQL("partition_key = {}").format(sql.Literal(group_no))
    ours, like = sql.Literal(sorted(tokens)), sql.Literal(f"%{group_no}%")
    return sql.SQL(" OR ").join(
        sql.SQL("{0} = ANY({1}) OR {0} LIKE {2}").format(sql.Identifier(one.name), ours, like)
        for one in columns
        if one.is_text
    ) or sql.SQL("false")


def _keys(connection: psycopg.Connection[Any], group_no: str, tokens: set[str]) -> set[str]:
    """Ids under which the stores keep things of the group, which copies must not share."""
    found: set[str] = set()
    for table, columns in _tables(connection).items():
        keys = [sql.Identifier(one.name) for one in columns if one.is_key and one.is_text]
        if not keys:
            continue
        text = sql.SQL("SELECT {} FROM {} WHERE {}").format(
            sql.SQL(", ").join(keys), sql.Identifier(table), _about(table, columns, group_no, tokens)
        )
        found |= {one for row in connection.execute(text) for one in row if _ID.fullmatch(one)}
    return found


_ID = re.compile(r"(?:[a-z]+_)?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")


def _copy(
    connection: psycopg.Connection[Any], table: str, columns: list[_Column], about: sql.Composable,
    copied: Callable[[bytes], Iterator[bytes]],
) -> None:  # fmt: skip
    kept = [one for one in columns if not one.counts_up]
    names = sql.SQL(", ").join(sql.Identifier(one.name) for one in kept)
    values = sql.SQL(", ").join(_VALUES.get((table, one.name)) or sql.Identifier(one.name) for one in kept)
    rows = sql.SQL("COPY (SELECT {} FROM {} WHERE {}) TO STDOUT").format(values, sql.Identifier(table), about)
    with connection.cursor() as cursor:
        with cursor.copy(rows) as copy:
            original = b"".join(map(bytes, copy))
        if not original:
            return
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
        with cursor.copy(into) as copy:
            for block in _blocks(copied(original)):
                copy.write(block)


# A log's times grow with its positions; nobody's deadline comes while we measure.
_VALUES = {("event_log", "created_at"): sql.SQL("now()"), ("timer", "due_at"): sql.SQL("due_at + interval '3650 days'")}


def copies(original: bytes, group_no: str, tokens: set[str], numbers: range) -> Iterator[bytes]:
    """The text once for each number, with other names of the same length, also where they stand as hexadecimal digits
    of bytes. Raises ValueError for a name that is too short to be numbered."""
    names = sorted(one for one in tokens if one != group_no)
    if short := [one for one in names if len(one) < 2 * TAIL]:
        raise ValueError(f"names that cannot be numbered: {short}")
    forms = {text: (at, form) for at, name in enumerate((group_no, *names)) for form, text in enumerate(_forms(name))}
    parts = re.split(b"(" + b"|".join(map(re.escape, forms)) + b")", original)
    places = [(at, *forms[part]) for at, part in enumerate(parts) if at % 2]
    for number in numbers:
        fresh = [f"G9{number:0{len(group_no) - 2}}"]
        fresh += [f"{one[:-TAIL]}{number:08x}{place:04x}" for place, one in enumerate(names)]
        written = [_forms(one) for one in fresh]
        for at, which, form in places:
            parts[at] = written[which][form]
        yield b"".join(parts)


def _forms(name: str) -> tuple[bytes, bytes]:
    return name.encode(), name.encode().hex().encode()


def _blocks(several: Iterator[bytes]) -> Iterator[bytes]:
    """In pieces that are worth a call."""
    gathered: list[bytes] = []
    size = 0
    for one in several:
        gathered.append(one)
        size += len(one)
        if size > CHUNK:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)
