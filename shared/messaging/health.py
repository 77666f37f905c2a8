"""A worker's own small HTTP server: is it alive, is it ready, what is it doing, and its metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import msgspec
import prometheus_client

from shared.kernel import clock
from shared.telemetry import logs

if TYPE_CHECKING:
    from shared.messaging.worker import Worker

STUCK_SECONDS = 90.0  # longer than any statement, batch and pause of a thread that is well


class HealthServer:
    """Listens on `host`:`port` (0: a free port, see `port`) until `close`."""

    def __init__(self, worker: Worker, host: str, port: int) -> None:
        pages: dict[str, Callable[[], tuple[int, Any]]] = {
            "/livez": lambda: _livez(worker),
            "/readyz": lambda: _readyz(worker),
            "/statusz": lambda: (200, _statusz(worker)),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # seconds for a client to say what it wants

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, prometheus_client.generate_latest(), prometheus_client.CONTENT_TYPE_LATEST)
                    return
                page = pages.get(self.path)
                status, body = page() if page else (404, {"status": "not found"})
                self._answer(status, msgspec.json.encode(body), "application/json")

            def _answer(self, status: int, body: bytes, content_type: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()
        logs.get("worker").info("health_listens", port=self.port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def _livez(worker: Worker) -> tuple[int, Any]:
    """Every thread went round lately. A store or broker that is away stops none of them."""
    now = clock.monotonic()
    ticks = dict(worker.ticks) | {f"shard.{no}": shard.consumer.ticked for no, shard in dict(worker.shards).items()}
    stuck = sorted(name for name, ticked in ticks.items() if now - ticked > STUCK_SECONDS)
    return (503, {"status": "stuck", "threads": stuck}) if stuck or worker.exit_code else (200, {"status": "alive"})


def _readyz(worker: Worker) -> tuple[int, Any]:
    """Connected to the broker, and consuming what it holds. A worker on standby is ready too."""
    broken = [no for no, shard in dict(worker.shards).items() if not shard.consumer.connected]
    connected = worker.publisher is not None and worker.publisher.connected
    if worker.stopping.is_set() or broken or not connected:
        return 503, {"status": "not ready", "shards_without_broker": broken, "broker": connected}
    return 200, {"status": "ready"}


def _statusz(worker: Worker) -> dict[str, Any]:
    publisher = worker.publisher
    return {
        "owner": worker.owner,
        "shards": sorted(worker.shards),
        "relaying": worker.relaying,
        "broker_connected": publisher is not None and publisher.connected,
        "broker_blocked": publisher is not None and publisher.blocked,
        **worker.housekeeper.status,
    }
