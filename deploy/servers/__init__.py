"""Private PostgreSQL, RabbitMQ and nginx on this machine, from installed packages and without Docker.

Each server lives in a folder of its own, listens on ports of its own on 127.0.0.1 only, runs under the
user of its package when we are root, and leaves no process, port or file behind.
"""

from concurrent.futures import ThreadPoolExecutor

from deploy.servers.certificates import Authority, Certificate
from deploy.servers.install import SERVERS, ensure_installed, missing, versions
from deploy.servers.nginx import NginxServer
from deploy.servers.postgres import PostgresServer
from deploy.servers.process import Process, Server, ServerError, free_port, wait_until
from deploy.servers.rabbit import RabbitServer, User

__all__ = [
    "SERVERS", "Authority", "Certificate", "NginxServer", "PostgresServer", "Process", "RabbitServer", "Server",
    "ServerError", "User", "ensure_installed", "free_port", "missing", "start_all", "stop_all", "versions",
    "wait_until",
]  # fmt: skip


def start_all(*servers: Server) -> None:
    """Start servers at the same time; when one fails, all are stopped and its error is raised."""
    try:
        _together(servers, "start")
    except BaseException:
        stop_all(*servers)
        raise


def stop_all(*servers: Server) -> None:
    """Stop servers at the same time; every one is tried, then the first error is raised."""
    _together(servers, "stop")


def _together(servers: tuple[Server, ...], deed: str) -> None:
    with ThreadPoolExecutor(max(1, len(servers))) as pool:
        done = [pool.submit(getattr(server, deed)) for server in servers]
    for one in done:
        one.result()
