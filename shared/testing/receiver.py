"""A merchant's system: a real HTTP server that believes nothing it cannot verify, by the format's own library."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def is_genuine(secret: str, headers: Any, body: bytes) -> bool:
    """As Standard Webhooks' own library sees it."""
    try:
        Webhook(secret).verify(body, dict(headers))
    except WebhookVerificationError:
        return False
    return True


class Receiver:
    """`answers` says how it takes the next messages: a status, or ``(status, headers, body)``, or what to do first."""

    def __init__(self) -> None:
        self.secret = ""
        self.taken: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.signatures: list[str] = []
        self.tries = 0
        self.answers: list[Any] = []
        self.always: Any = 204
        self.refuses: Callable[[dict[str, Any]], bool] = lambda message: False
        self.let_go = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._receive(self)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hooks?shop=1"

    def types(self) -> list[str]:
        """The facts' names, in the order they were taken in."""
        return [message["type"].split(".")[2] for message in self.taken]

    def _receive(self, request: Any) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.tries += 1
        message = json.loads(body)
        answer = self.answers.pop(0) if self.answers else 500 if self.refuses(message) else self.always
        if callable(answer):
            answer = answer(message)
        if answer == "hang":
            self.let_go.wait(10)
            return
        status, headers, said = answer if isinstance(answer, tuple) else (answer, {}, b"")
        if not is_genuine(self.secret, request.headers, body):
            status = 401
        if 200 <= status < 300:
            self.taken.append(message)
            self.ids.append(request.headers["webhook-id"])
            self.signatures.append(request.headers["webhook-signature"])
        request.send_response_only(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(said)))
        request.end_headers()
        request.wfile.write(said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
