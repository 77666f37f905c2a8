"""The gateway inside one process: hands each request to the application of its route, or refuses it itself."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deploy.gateway import problems
from deploy.gateway.limits import PER_ADDRESS, PER_TOKEN, Buckets, Limit
from deploy.gateway.routes import Route, Table, asks_to_wait
from shared.kernel import errors
from shared.kernel.ids import new_id
from shared.web.factory import MAX_BODY

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MOST_AT_ONCE = 16
"""Requests in work; more wait their turn. Those that only wait for something else are counted apart."""
MOST_WAITING = 48
"""Held GETs and streams; more are refused with 503."""
QUEUE_SECONDS = 10.0


class Gateway:
    """`apps` by upstream; an upstream without an app answers 503. `live` says where waiting GETs go."""

    def __init__(
        self,
        table: Table,
        apps: Mapping[str, WSGI],
        live: str,
        *,
        per_token: Limit = PER_TOKEN,
        per_address: Limit = PER_ADDRESS,
    ) -> None:
        self.table, self.apps, self.live = table, apps, live
        self._tokens, self._addresses = Buckets(per_token), Buckets(per_address)
        self._working = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], _text(environ.get("PATH_INFO", ""))
        route = self.table.find(method, path)
        if route is None:
            allowed = self.table.allowed(path)
            if not allowed:
                return _refuse(start_response, errors.NotFound)
            return _refuse(start_response, errors.MethodNotAllowed, Allow=", ".join(allowed))
        if not route.machine and not (
            self._tokens.admit(environ.get("HTTP_AUTHORIZATION", ""))
            and self._addresses.admit(environ.get("REMOTE_ADDR", ""))
        ):
            return _refuse(start_response, errors.TooManyRequests)
        try:
            _take_body(environ)
        except errors.Refusal as refusal:
            return _refuse(start_response, refusal)
        # Services believe a proxy about who calls; what the client wrote there itself must not reach them.
        environ["HTTP_X_FORWARDED_FOR"] = environ.get("REMOTE_ADDR", "")
        return self._pass_on(route, environ, start_response)

    def upstream(self, route: Route, query: str, prefer: str) -> str:
        """Which process answers: the route's own, or the live one when the client asks to wait."""
        return self.live if route.waits and asks_to_wait(query, prefer) else route.upstream

    def _pass_on(self, route: Route, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = self.upstream(route, environ.get("QUERY_STRING", ""), environ.get("HTTP_PREFER", ""))
        app = self.apps.get(name)
        held = self._waiting if route.live or name == self.live or route.slow else self._working
        if app is None or not held.acquire(timeout=0 if held is self._waiting else QUEUE_SECONDS):
            return _refuse(start_response, errors.Unavailable)
        try:
            body = app(environ, start_response)
        except BaseException:
            held.release()
            raise
        return _Held(body, held)


class _Held:
    """An answer on its way; its place is free again once it is out."""

    def __init__(self, body: Iterable[bytes], held: threading.BoundedSemaphore) -> None:
        self.body, self.held, self._open = body, held, True

    def __iter__(self) -> Any:
        return iter(self.body)

    def close(self) -> None:
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            if self._open:
                self._open = False
                self.held.release()


def _take_body(environ: dict[str, Any]) -> None:
    """Take the body in whole, as nginx does, so that a slow client holds no place in the queue of those at work.

    Raises PayloadTooLarge, BadRequest.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if not length and not environ.get("wsgi.input_terminated"):
        return
    if length and int(length) > MAX_BODY:
        raise errors.PayloadTooLarge
    try:
        body = environ["wsgi.input"].read(int(length) if length else MAX_BODY + 1)
    except Exception as error:  # whatever the parser says of what came, or a client that fell silent
        raise errors.BadRequest from error
    if len(body) > MAX_BODY:
        raise errors.PayloadTooLarge
    if length and len(body) < int(length):
        raise errors.BadRequest
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def _text(path: str) -> str:
    """A WSGI path as text; bytes that are no UTF-8 stay apart from all that is."""
    return path.encode("latin-1").decode("utf-8", "replace")


def _refuse(start_response: Callable[..., Any], refusal: problems.Problem, **headers: str) -> Iterable[bytes]:
    status, head, body = problems.answer(refusal, new_id(), **headers)
    start_response(status, head)
    return [body]
