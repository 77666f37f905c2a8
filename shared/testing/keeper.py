"""An outside party on loopback that answers what it is told to, over real HTTP."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Keeper(ThreadingHTTPServer):
    """Answers `said` (status and bytes), an answer each, the last one for ever; notes what it `heard` (path, headers,
    body), and over how many `lines`."""

    daemon_threads = True

    def __init__(self, *said: tuple[int, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Desk)
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.said = list(said) or [(200, b"{}")]
        self.lines = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(6)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up on it does so on purpose."""


class _Desk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Keeper

    def setup(self) -> None:
        super().setup()
        self.server.lines += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.heard.append((self.path, dict(self.headers), body))
        said = self.server.said
        status, answer = said.pop(0) if len(said) > 1 else said[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Tests read what it heard."""
