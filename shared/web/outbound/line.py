"""What all calls have in common: one end for all waits, from the name to the last byte."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

from shared.kernel import clock

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[Address]]


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a name. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found))


def resolved(host: str, port: int, until: float, resolver: Resolve = resolve) -> list[Address]:
    """All addresses of a name, none where there is no such name. Raises TimeoutError at `until` (monotonic seconds)."""
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(host)]
    answers: queue.SimpleQueue[list[Address]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(host, port))
        except (OSError, ValueError):
            answers.put([])

    # The system's resolver knows no deadline: a name server that is silent must not hold us.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        return answers.get(timeout=max(0.01, until - clock.monotonic()))
    except queue.Empty:
        raise TimeoutError from None


class Timed(io.RawIOBase):
    """What http.client needs of a socket, with one end for all waits: a drop of answer now and then buys no time."""

    def __init__(self, line: socket.socket, until: float) -> None:
        self.line, self.until = line, until

    def _wait(self) -> None:
        left = self.until - clock.monotonic()
        if left <= 0:
            raise TimeoutError
        self.line.settimeout(left)

    def sendall(self, data: bytes) -> None:
        self._wait()
        self.line.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wait()
        return self.line.recv_into(buffer)

    def close(self) -> None:
        """The line is closed by who opened it: http.client would do so before it has read the body."""
