"""Lists as PostgreSQL's arrays, each written at one go.

Whole columns go in with most statements (`shared.storage.rows`). psycopg asks anew for every element how to write it
and what of it to escape: for the bodies of a batch's facts that costs more than making them. Lists of texts, bytes,
whole numbers or moments in a time zone are written here; any other is left to psycopg.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any

import psycopg
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format
from psycopg.types.array import BaseListDumper, ListDumper

_BYTEA, _BYTEA_ARRAY, _BIGINT_ARRAY, _TIMESTAMPTZ_ARRAY = 17, 1001, 1016, 1185
_HEAD, _LENGTH = struct.Struct("!5i"), struct.Struct("!i")


def install(connection: psycopg.Connection[Any]) -> None:
    """Have this connection write lists so."""
    connection.adapters.register_dumper(list, _Lists)


class _Texts(Dumper):
    # Of no type of its own, as psycopg's texts: the statement's cast says which.

    def dump(self, obj: list[str]) -> bytes:
        together = "".join(obj)
        if "\0" in together:
            raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        if '"' in together or "\\" in together:
            obj = [text.replace("\\", "\\\\").replace('"', '\\"') for text in obj]
        return ('{"' + '","'.join(obj) + '"}').encode()


class _Bytes(Dumper):
    oid, format = _BYTEA_ARRAY, Format.BINARY

    def dump(self, obj: list[bytes]) -> bytes:
        parts = [_HEAD.pack(1, 0, _BYTEA, len(obj), 1)]  # dimensions, NULLs, type; length, first index
        for one in obj:
            parts += (_LENGTH.pack(len(one)), one)
        return b"".join(parts)


class _Numbers(Dumper):
    # One type whatever their size: as the least that holds them, each size would be another statement to prepare.
    oid = _BIGINT_ARRAY

    def dump(self, obj: list[int]) -> bytes:
        return ("{" + ",".join(map(str, obj)) + "}").encode()


class _Moments(Dumper):
    oid = _TIMESTAMPTZ_ARRAY

    def dump(self, obj: list[datetime]) -> bytes:
        return ('{"' + '","'.join(map(str, obj)) + '"}').encode()


_WRITTEN: dict[type, type[Dumper]] = {str: _Texts, bytes: _Bytes, int: _Numbers, datetime: _Moments}


class _Lists(ListDumper):
    """Chooses by the type that all elements have in common."""

    def get_key(self, obj: list[Any], format: PyFormat) -> Any:
        written = _written(obj)
        return (self.cls, written) if written else super().get_key(obj, format)

    def upgrade(self, obj: list[Any], format: PyFormat) -> BaseListDumper:
        written = _written(obj)
        return written(self.cls, self._tx) if written else super().upgrade(obj, format)  # type: ignore[return-value]


def _written(obj: list[Any]) -> type[Dumper] | None:
    kinds = set(map(type, obj))
    if len(kinds) != 1:
        return None
    written = _WRITTEN.get(kinds.pop())
    if written is _Moments and any(moment.tzinfo is None for moment in obj):
        return None
    return written
