"""A WSGI server on threads of this process: kept-alive HTTP/1.1, bounded, stopped in order.

The embedded mode and tests serve by it what gunicorn serves elsewhere; requests are read and answers written
by gunicorn's own parser, so both take and refuse the same bytes. A connection holds a thread while it lives.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http import RequestParser, wsgi  # type: ignore[import-untyped]
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
)

from deploy.gateway import problems
from shared.kernel import errors
from shared.telemetry import logs

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

KEEPALIVE_SECONDS = 75.0
"""Longer than a client of ours keeps an idle connection, so that it is always the client who closes."""
READ_SECONDS = 30.0
MOST_CONNECTIONS = 400
LINGER_SECONDS = 10.0


class Server:
    """`app` on a loopback port (0 picks one; bound at once, so that `url` is known before the app is)."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1", *, name: str = "http") -> None:
        self._listener = socket.create_server((host, port), backlog=256, reuse_port=False)
        self.host, self.port = self._listener.getsockname()[:2]
        self.url = f"http://{host}:{self.port}"
        self.name = name
        self.app: WSGI = _unready
        self._config = Config()
        self._config.set("keepalive", int(KEEPALIVE_SECONDS))
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, bool] = {}  # and whether a request is being answered on it
        self._thread = threading.Thread(target=self._accept, name=f"{name}-accept", daemon=True)

    def start(self, app: WSGI) -> Self:
        """Begin to answer."""
        self.app = app
        self._thread.start()
        return self

    def stop(self) -> None:
        """Take no more connections, let requests under way finish, close the rest."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._thread.is_alive():
            self._thread.join(5)
        deadline = time.monotonic() + LINGER_SECONDS
        while True:
            with self._lock:
                for connection, busy in self._connections.items():
                    if not busy or time.monotonic() > deadline:
                        with contextlib.suppress(OSError):
                            connection.shutdown(socket.SHUT_RDWR)
                if not self._connections or time.monotonic() > deadline:
                    return
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = self._listener.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                time.sleep(0.05)  # such as no more file descriptors: those in use will come back
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                full = len(self._connections) >= MOST_CONNECTIONS
                if not full:
                    self._connections[connection] = False
            if full:
                _refuse(connection, errors.Unavailable())
                continue
            threading.Thread(
                target=self._serve, args=(connection, address), name=f"{self.name}-{address[1]}", daemon=True
            ).start()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        try:
            parser = RequestParser(self._config, connection, address)
            connection.settimeout(KEEPALIVE_SECONDS)
            while not self._stopping.is_set():
                request = next(parser)
                self._mark(connection, busy=True)
                connection.settimeout(READ_SECONDS)
                if not self._answer(request, connection, address):
                    break
                if not parser.finish_body(deadline=time.monotonic() + 5):
                    break
                self._mark(connection, busy=False)
                connection.settimeout(KEEPALIVE_SECONDS)
        except (StopIteration, NoMoreData, OSError):
            pass  # the client went away, or was silent for too long
        except ParseException as error:
            _refuse(connection, _refusal_of(error))
        except Exception:
            logs.get("http").exception("connection_failed", server=self.name)
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            connection.close()

    def _mark(self, connection: socket.socket, *, busy: bool) -> None:
        with self._lock:
            self._connections[connection] = busy

    def _answer(self, request: Any, connection: socket.socket, address: Any) -> bool:
        """Answer one request; whether the connection may serve another."""
        response, environ = wsgi.create(request, connection, address, (self.host, self.port), self._config)
        environ["wsgi.multithread"] = True
        if self._stopping.is_set():
            response.force_close()
        body = self.app(environ, response.start_response)
        try:
            for piece in body:
                response.write(piece)
            response.close()
        finally:
            if hasattr(body, "close"):
                body.close()
        return not response.should_close()


def _unready(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, headers, body = problems.answer(errors.Unavailable)
    start_response(status, headers)
    return [body]


def _refusal_of(error: Exception) -> problems.Problem:
    if isinstance(error, LimitRequestLine):
        return problems.UriTooLong
    if isinstance(error, LimitRequestHeaders):
        return problems.HeadersTooLarge
    return errors.BadRequest


def _refuse(connection: socket.socket, refusal: problems.Problem) -> None:
    status, headers, body = problems.answer(refusal)
    head = "".join(f"{name}: {value}\r\n" for name, value in [*headers, ("Connection", "close")])
    with contextlib.suppress(OSError):
        connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)
    connection.close()
