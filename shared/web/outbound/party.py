"""A client of one outside party that we chose ourselves: bounded in time and size, and left alone while it is away."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from shared.kernel import clock
from shared.kernel.breaker import Breaker, Fuse
from shared.kernel.errors import OutsideUnavailable
from shared.storage.unit_of_work import forbid_open_transaction
from shared.telemetry import logs
from shared.web.outbound.line import Timed, resolved

MAX_ANSWER = 1024 * 1024
MOST_IDLE = 8
BREAKER = Breaker(trips_at=3, first=timedelta(seconds=1), longest=timedelta(seconds=15))
"""For parties that say nothing at all. Any answer, be it a refusal, shows that they are there."""


class Outbound:
    """An HTTP client of one outside party. Thread safe.

    A call has `seconds` for everything: name, connection, request, and answer to its last byte. `fuse`: whether the
    party is asked at all, in the memory of this process.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, seconds: float = 5.0, fuse: Fuse | None = None
    ) -> None:
        parts = urlsplit(base_url.rstrip("/"))
        self.host, self.private = parts.hostname or "", parts.scheme == "https"
        self.port = parts.port or (443 if self.private else 80)
        self.path, self.seconds = parts.path, seconds
        self.headers = {"Content-Type": "application/json", "Accept": "application/json"} | dict(headers)
        self.fuse = fuse or Fuse(BREAKER)
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self._trust = ssl.create_default_context() if self.private else None

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = "", query: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """``(status, JSON)`` of an answer below 500. Raises OutsideUnavailable when the outcome is unknown."""
        forbid_open_transaction()
        data = None if body is None else msgspec.json.encode(body)
        what = f"{method} {path}"
        if not self.fuse.admits():
            raise OutsideUnavailable(f"{what}: left alone, as it did not answer before")
        try:
            status, raw = self._exchange(
                method, self.path + path + (f"?{urlencode(query)}" if query else ""), data, key
            )
        except (http.client.HTTPException, OSError, ValueError) as error:
            if self.fuse.failed():
                logs.get("outbound").warning("party_left_alone", host=self.host, why=repr(error))
            raise OutsideUnavailable(f"{what}: {error!r}") from error
        if self.fuse.answered():
            logs.get("outbound").info("party_answers_again", host=self.host)
        if status >= 500 or len(raw) > MAX_ANSWER:
            raise OutsideUnavailable(f"{what}: {status}, {len(raw)} bytes")
        try:
            return status, msgspec.json.decode(raw) if raw else None
        except msgspec.MsgspecError as error:
            raise OutsideUnavailable(f"{what}: {error!r}") from error

    def _exchange(self, method: str, target: str, data: bytes | None, key: str) -> tuple[int, bytes]:
        until = clock.monotonic() + self.seconds
        connection = self._connection(until)
        again = False
        try:
            headers = self.headers | ({"Idempotency-Key": key} if key else {})
            connection.request(method, target, data, headers)
            answer = connection.getresponse()
            raw = answer.read(MAX_ANSWER + 1)
            if len(raw) <= MAX_ANSWER and answer.length:
                raise http.client.IncompleteRead(raw, answer.length)
            again = answer.isclosed() and not answer.will_close
            return answer.status, raw
        finally:
            self._put_back(connection) if again else connection.hang_up()

    def _connection(self, until: float) -> _Connection:
        """An idle one that is still open, or a new one."""
        while True:
            with self._lock:
                found = self._idle.pop() if self._idle else None
            if found is None:
                return _Connection(self._line(until), self.host, self.port, until)
            if not found.over():
                found.timed.until = until
                return found
            found.hang_up()

    def _line(self, until: float) -> socket.socket:
        addresses = resolved(self.host, self.port, until)
        failure: OSError = ConnectionError(f"no address of {self.host}")
        for number, address in enumerate(addresses):
            share = (until - clock.monotonic()) / (len(addresses) - number)
            try:
                line = socket.create_connection((str(address), self.port), timeout=max(0.01, share))
            except OSError as error:
                failure = error
                continue
            try:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._trust.wrap_socket(line, server_hostname=self.host) if self._trust else line
            except OSError:
                line.close()
                raise
        raise failure

    def _put_back(self, connection: _Connection) -> None:
        with self._lock:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.hang_up()


class _Connection(http.client.HTTPConnection):
    """A line to the party, kept for the next call."""

    def __init__(self, line: socket.socket, host: str, port: int, until: float) -> None:
        super().__init__(host, port)
        self.line, self.timed = line, Timed(line, until)
        self.sock: Any = self.timed

    def connect(self) -> None:
        """Never by itself: http.client would do so without an end."""
        raise http.client.NotConnected

    def over(self) -> bool:
        """Whether the other side has hung up, or said what nobody asked for."""
        return bool(select.select([self.line], [], [], 0)[0])

    def hang_up(self) -> None:
        self.line.close()

    def __del__(self) -> None:
        self.hang_up()  # kept lines end with the client that kept them
