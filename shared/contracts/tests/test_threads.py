"""Threads that meet a kind of fact for the first time, all at once."""

import subprocess
import sys
from pathlib import Path

LEARN = """
import dataclasses, sys, threading
from shared.contracts.event import _decoder

sys.setswitchinterval(1e-6)
data = b'{"lines": [{"a": 1, "b": 1, "c": 1, "d": 1}], "by_sku": {}, "spare": []}'
for number in range(1500):
    line = dataclasses.make_dataclass(f"Line{number}", [(name, int) for name in "abcd"])
    kind = dataclasses.make_dataclass(
        f"Kind{number}", [("lines", tuple[line, ...]), ("by_sku", dict[str, line]), ("spare", list[line])]
    )
    together = threading.Barrier(4)

    def decode():
        together.wait()
        _decoder(kind).decode(data)

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_four_threads_learn_a_new_kind_of_fact_at_once():
    """In a process of its own: where two build one type's decoder at the same time, the whole process crashes."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", LEARN], cwd=root, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
