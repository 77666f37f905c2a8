"""Running a sandbox: as a process of its own with kept-alive connections, or on a thread for tests."""

import argparse
import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from werkzeug.serving import WSGIRequestHandler, make_server

from deploy.sandbox.desk.desk import Settings, refuse_production
from deploy.sandbox.desk.signing import webhook_secret

Factory = Callable[[Settings], Flask]


class Local:
    """An app on a thread of this process, on a loopback port of its own; `url` has no trailing slash.

    Used as a context manager. For tests and the embedded mode: it closes each connection after its answer.
    """

    def __init__(self, app: Flask, port: int = 0) -> None:
        self._app = app
        self._server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Silent)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="sandbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._app.extensions["desk"].stop()


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """No line per request."""


class _Host(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """One worker of many threads: one writer to the book, connections kept alive."""

    def __init__(self, create_app: Factory, settings: Settings, bind: str, threads: int) -> None:
        self._create_app, self._settings = create_app, settings
        self._options = {
            "bind": bind,
            "worker_class": "gthread",
            "workers": 1,
            "threads": threads,
            "keepalive": 75,
            "loglevel": "warning",
            "graceful_timeout": 5,
            "control_socket_disable": True,
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        # Runs in the worker: neither the book nor the postman's threads would survive the fork.
        return self._create_app(self._settings)


def main(create_app: Factory, description: str, argv: Sequence[str] | None = None) -> None:
    """Serve until stopped; see `--help`. The secret file is JSON: `{"api_key": …, "webhook_secret": …}`; without one,
    both are made of the one key in CARAVAN_SANDBOX_KEY, which the merchant has as the secret it shares with the desk.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--home", type=Path, required=True, help="the folder of the book")
    parser.add_argument("--callback-url", required=True, help="where signed callbacks are posted")
    parser.add_argument("--secret-file", type=Path, help="api_key and webhook_secret, JSON")
    parser.add_argument("--public-url", help="where buyers reach this host, if not where the merchant does")
    parser.add_argument("--threads", type=int, default=16)
    asked = parser.parse_args(argv)
    refuse_production()
    secrets = _secrets(asked.secret_file)
    settings = Settings(asked.home, asked.callback_url, secrets["api_key"], secrets["webhook_secret"], asked.public_url)
    os.umask(0o077)
    _Host(create_app, settings, f"{asked.host}:{asked.port}", asked.threads).run()


def _secrets(file: Path | None) -> dict[str, str]:
    if file is not None:
        return dict(json.loads(file.read_text()))
    if key := os.environ.get("CARAVAN_SANDBOX_KEY", ""):
        return {"api_key": key, "webhook_secret": webhook_secret(key)}
    raise SystemExit("the desk needs --secret-file, or CARAVAN_SANDBOX_KEY")
