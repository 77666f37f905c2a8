"""The line between the services and the broker: a small TCP proxy that can be cut in the middle of a frame, or go
silent while both ends believe that it stands.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Callable

RESET = struct.pack("ii", 1, 0)
CHUNK = 65536


class Cable:
    """Listens on a loopback port of its own. `plug` and `cut` act at once, from any thread."""

    def __init__(self, to: Callable[[], int]) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._silent = self._unplugged = self._closing = False
        self._thread = threading.Thread(target=self._run, name="cable", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Reset every connection, wherever it is in a frame."""
        with self._lock:
            for end in list(self._pairs):
                self._drop(end, reset=True)

    def unplug(self) -> None:
        """Cut, and take no connection any more."""
        self._unplugged = True
        self.cut()

    def silence(self) -> None:
        """Carry nothing, while every connection seems to stand."""
        self._silent = True

    def plug(self) -> None:
        """Work again. What stood through a silence is cut: bytes are missing in it."""
        if self._silent:
            self.cut()
        self._silent = self._unplugged = False

    def close(self) -> None:
        self._closing = True
        self._thread.join(5)
        self.cut()
        self._listener.close()

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(0.2):
                end = key.fileobj
                if end is self._listener:
                    self._accept()
                elif isinstance(end, socket.socket):
                    self._carry(end)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        with self._lock:
            try:
                if self._unplugged:
                    raise ConnectionRefusedError
                far = socket.create_connection(("127.0.0.1", self._to()), timeout=5)
            except OSError:
                near.close()
                return
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                one.settimeout(5)
                self._pairs[one] = other
                self._selector.register(one, selectors.EVENT_READ)

    def _carry(self, end: socket.socket) -> None:
        with self._lock:
            other = self._pairs.get(end)
            if other is None:
                return
            try:
                data = end.recv(CHUNK)
                if data and not self._silent:
                    other.sendall(data)
            except OSError:
                data = b""
            if not data:
                self._drop(end, reset=False)

    def _drop(self, end: socket.socket, *, reset: bool) -> None:
        other = self._pairs.pop(end, None)
        for one in (end, other):
            if one is not None:
                self._pairs.pop(one, None)
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(one)
                with contextlib.suppress(OSError):
                    if reset:
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    one.close()
