"""A process that holds a lease and writes under it until it is refused: ``holder.py URL FOLDER TTL`` (a script)."""

import sys
from datetime import timedelta
from pathlib import Path

from shared.kernel import clock
from shared.messaging import leases
from shared.messaging.leases import Lease, LeaseLost
from shared.storage.unit_of_work import UnitOfWork
from shared.testing.toys import note
from shared.testing.worlds import make_node

url, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
node = make_node("inventory", url, "embedded:", folder)
ttl = timedelta(seconds=seconds)
lease = leases.acquire(node.database, "shard.0", "sleeper", ttl)
if lease is None:
    sys.exit("somebody else has it")
fence: Lease = lease


def write(tx: UnitOfWork) -> None:
    fence(tx)
    note(tx, "shard.0", f"epoch {fence.epoch}")


print("holding", flush=True)
try:
    while True:
        node.run(write)
        clock.pause(0.01)
except LeaseLost:
    print("refused", flush=True)
