"""The two toys as a process of their own, to be killed: ``python -m shared.testing.toy_process SETTINGS``.

SETTINGS is a JSON object: broker_url, account, inventory (URLs of their stores), folder, ttl (seconds), and which of
the services to run. SIGTERM ends it in order.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from shared.messaging.embedded import Dispatcher
from shared.messaging.worker import Worker
from shared.runtime.service import Service
from shared.storage.unit_of_work import Node
from shared.telemetry import logs
from shared.testing import toys
from shared.testing.worlds import make_node


def main() -> int:
    given, parent = json.loads(sys.argv[1]), os.getppid()  # who ends with its parent is never forgotten
    logs.configure("toys")
    folder = Path(given["folder"])
    made = {"account": toys.account, "inventory": toys.inventory}
    fleet: list[tuple[Service, Node]] = [
        (made[name](), make_node(name, given[name], given["broker_url"], folder)) for name in given["services"]
    ]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if given["broker_url"] == "embedded:":
        dispatcher = Dispatcher(fleet, folder / "dispatcher.lock")
        dispatcher.start()
        while not stop.wait(0.5) and os.getppid() == parent:
            continue
        dispatcher.stop()
        return 0
    subscribed = frozenset(key for make in made.values() for key in make().on.bindings())
    ttl = timedelta(seconds=given["ttl"])
    workers = [Worker(service, node, subscribed=subscribed, ttl=ttl) for service, node in fleet]
    for worker in workers:
        worker.start()
    while not stop.wait(0.1) and os.getppid() == parent and not any(worker.stopping.is_set() for worker in workers):
        continue
    for worker in workers:
        worker.stopping.set()
    for worker in workers:
        worker.stop()
    return max(worker.exit_code for worker in workers)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
