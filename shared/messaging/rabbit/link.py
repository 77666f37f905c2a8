"""A connection that is always wanted: on a thread of its own, opened again whenever it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import cycle
from random import uniform
from typing import Any

import pika

from shared.messaging.rabbit.topology import nodes
from shared.telemetry import logs

MAX_PAUSE = 10.0


class Link:
    """`url` names one node or several of a cluster (see `nodes`): each attempt is at the next of them.

    `opened(connection)`, `lost(why)` and whatever is passed to `call` run on the link's thread.

    `prepare` runs there before each attempt to connect and may raise: then the attempt has failed. What loses the
    connection is never raised to anybody; it is logged once, and the link tries again with a growing pause.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        opened: Callable[[Any], None],
        lost: Callable[[str], None],
        blocked: Callable[[bool], None] = lambda _blocked: None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        found = nodes(url, name)
        credentials: Any = found[0].credentials
        self.user, self.name = str(credentials.username), name
        self._nodes = cycle(found)
        self._opened, self._lost, self._blocked, self._prepare = opened, lost, blocked, prepare
        self._lock = threading.Lock()
        self._connection: Any = None
        self._closing = threading.Event()
        self._why, self._was_open = "", False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self, function: Callable[[], None]) -> bool:
        """Run `function` on the link's thread soon. False when there is no open connection to run it on."""
        with self._lock:
            if self._connection is None or not self._connection.is_open:
                return False
            self._connection.ioloop.add_callback_threadsafe(lambda: self._safely(function))
            return True

    def break_up(self, why: str) -> None:
        """Close the connection and open another. On the link's thread only."""
        if self._closing.is_set():
            return
        logs.get("rabbit").warning("link_reset", link=self.name, why=why)
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def close(self, timeout: float = 5.0) -> None:
        """Close the connection in order, after what was asked of it before; returns once it is closed."""
        self._closing.set()
        with self._lock:
            connection = self._connection
            if connection is not None:
                connection.ioloop.add_callback_threadsafe(lambda: self._end(connection))
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _end(self, connection: Any) -> None:
        if connection.is_open:
            connection.close()
        elif not connection.is_closing:
            connection.ioloop.stop()

    def _run(self) -> None:
        log, pause = logs.get("rabbit"), 0.1
        while not self._closing.is_set():
            self._was_open, self._why = False, "closed"
            try:
                self._prepare()
                self._serve()
            except Exception as error:
                self._why = repr(error)
            if self._was_open:
                pause = 0.1
            if not self._closing.is_set():
                log.warning("link_lost", link=self.name, why=self._why)
                self._closing.wait(uniform(0.5, 1.0) * pause)
                pause = min(MAX_PAUSE, pause * 2)

    def _serve(self) -> None:
        """One connection, from its first byte to its last."""
        connection = pika.SelectConnection(
            next(self._nodes),
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
        )
        with self._lock:
            self._connection = connection
        if self._closing.is_set():  # `close` may have looked before there was anything to close
            connection.ioloop.add_callback_threadsafe(lambda: self._end(connection))
        try:
            connection.ioloop.start()
        finally:
            with self._lock:
                self._connection = None
            connection.ioloop.close()
            if self._was_open:
                self._lost(self._why)

    def _on_open(self, connection: Any) -> None:
        self._was_open = True
        connection.add_on_connection_blocked_callback(lambda *_: self._safely(lambda: self._blocked(True)))
        connection.add_on_connection_unblocked_callback(lambda *_: self._safely(lambda: self._blocked(False)))
        self._safely(lambda: self._opened(connection))

    def _on_end(self, connection: Any, error: Any) -> None:
        self._why = repr(error)
        connection.ioloop.stop()

    def _safely(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:
            logs.get("rabbit").exception("link_failed", link=self.name)
            self.break_up(repr(error))
