"""How gunicorn serves one service; numbers come from the environment, so that each service is sized alone.

gunicorn -c deploy/gunicorn.conf.py "services.order.app:create_app()"
gunicorn -c deploy/gunicorn.conf.py -k gevent "services.order.app:create_live()"   # streams
"""

import os
import shutil
from pathlib import Path
from typing import Any

bind = os.environ.get("CARAVAN_BIND", "127.0.0.1:8000")

# The sync worker knows no keep-alive and blocks on one request; threads cost the least of the others.
worker_class = "gthread"
workers = int(os.environ.get("CARAVAN_WEB_WORKERS", "1"))
threads = int(os.environ.get("CARAVAN_WEB_THREADS", "4"))  # as many as the pool has connections
worker_connections = 1000  # gthread: connections kept alive; gevent: streams held

# Longer than any client of ours keeps an idle connection, so that it is always the client who closes.
keepalive = 75
timeout = 30
graceful_timeout = 30
# A worker that lives on small leaks is replaced. Not the live process, whose streams are long: 0 there.
max_requests = int(os.environ.get("CARAVAN_MAX_REQUESTS", "10000"))
max_requests_jitter = max_requests // 10

# The heartbeat file must not wait for a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
# By default all gunicorns of a user share one socket's path, and each start takes it from the last.
control_socket_disable = True

accesslog = None  # each service counts and logs its requests itself
errorlog = "-"
loglevel = os.environ.get("CARAVAN_GUNICORN_LOG", "warning")


def on_starting(server: Any) -> None:
    """Counters of an earlier run would be added to this one's."""
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir(parents=True)


def child_exit(server: Any, worker: Any) -> None:
    """A gone worker's gauges are no longer live."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
