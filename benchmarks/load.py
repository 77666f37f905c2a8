"""The load generator: a process and thread of its own that sends prepared requests over kept-alive connections.

Closed loop: each client sends its next request when the last was answered. Open loop (`rate`): requests fall due at
fixed moments whether or not earlier ones were answered, and each latency counts from the moment a request fell due,
so that a server that stalls cannot hide it.
"""

from __future__ import annotations

import math
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
STALL_SECONDS = 60.0
"""So long no answer at all may come."""


class Plan(msgspec.Struct):
    """Whom to ask what. `rate`: arrivals a second, 0 for a closed loop; `keep`: bring the answers' bodies back."""

    host: str
    port: int
    requests: list[bytes]
    clients: int
    rate: float = 0.0
    keep: bool = False


class Outcome(msgspec.Struct):
    """`seconds` from the first request to the last answer; `latencies` in seconds, in the order of the requests."""

    seconds: float
    cpu_seconds: float
    statuses: dict[int, int]
    latencies: list[float]
    bodies: list[bytes]

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def expect(self, *statuses: int) -> Outcome:
        """Raises Refused when any answer had another status."""
        if unwanted := {status: count for status, count in self.statuses.items() if status not in statuses}:
            text = [body[:300] for body in self.bodies if b'"code"' in body][:2]
            raise Refused(f"answers {unwanted}, wanted {statuses}; {text}")
        return self


class Refused(AssertionError):
    """The server did not answer as the measurement needs."""


def request(method: str, path: str, host: str, body: bytes = b"", **headers: str) -> bytes:
    """One HTTP/1.1 request, ready to be sent."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body or method != "GET":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def send(
    url: str, requests: Sequence[bytes], clients: int, *, rate: float = 0.0, keep: bool = False, seconds: float = 600
) -> Outcome:
    """Run a plan against `url` (an origin) in a process of its own, for at most so many `seconds`."""
    host, _, port = url.rpartition("//")[2].partition(":")
    plan = Plan(host, int(port), list(requests), clients, rate, keep)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=msgspec.msgpack.encode(plan),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        timeout=seconds,
        check=True,
    )
    return msgspec.msgpack.decode(done.stdout, type=Outcome)


class _Client:
    """One connection and what is under way on it."""

    __slots__ = ("due", "got", "number", "socket")

    def __init__(self, plan: Plan) -> None:
        self.number, self.due, self.got = -1, 0.0, b""
        self.socket = socket.create_connection((plan.host, plan.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, number: int, due: float, data: bytes) -> None:
        self.number, self.due, self.got = number, due, b""
        self.socket.sendall(data)

    def answer(self) -> tuple[int, bytes, bool] | None:
        """Status, body and whether the connection stays open; None while more is to come. Raises ConnectionError."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("closed in the middle of an answer")
        self.got += data
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return None
        status, head = int(self.got[9:12]), self.got[:end].lower()
        length = _length(head, status)
        if len(self.got) < end + 4 + length:
            return None
        return status, self.got[end + 4 :], b"\r\nconnection: close" not in head


def _length(head: bytes, status: int) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        if status in (204, 304):
            return 0
        raise ConnectionError("an answer of unknown length")
    return int(head[at + 17 :].split(b"\r\n", 1)[0])


class Run:
    """One plan being worked."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.selector = selectors.DefaultSelector()
        self.idle = [] if plan.rate else [self._connect() for _ in range(min(plan.clients, len(plan.requests)))]
        self.open = len(self.idle)
        self.latencies = [0.0] * len(plan.requests)
        self.bodies = [b""] * (len(plan.requests) if plan.keep else 0)
        self.statuses: Counter[int] = Counter()
        self.sent = self.answered = 0

    def work(self) -> Outcome:
        start = last = time.perf_counter()
        total, rate = len(self.plan.requests), self.plan.rate
        while self.answered < total:
            now = time.perf_counter()
            while self.sent < total and (not rate or start + self.sent / rate <= now) and self._has_idle():
                due = start + self.sent / rate if rate else time.perf_counter()
                self.idle.pop().ask(self.sent, due, self.plan.requests[self.sent])
                self.sent += 1
            waits = rate and self.sent < total and (self.idle or self.open < self.plan.clients)
            next_due = start + self.sent / rate if waits else now + 5
            ready = self.selector.select(max(0.0, next_due - time.perf_counter()))
            for key, _ in ready:
                last = self._take(key.data) or last
            if time.perf_counter() - last > STALL_SECONDS:
                raise TimeoutError(f"{self.answered} of {total} answered, then silence")
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = usage.ru_utime + usage.ru_stime
        return Outcome(last - start, cpu, dict(self.statuses), self.latencies, self.bodies)

    def _has_idle(self) -> bool:
        """An open loop opens connections as it needs them: nginx hangs up on those that never ask."""
        if not self.idle and self.open < self.plan.clients:
            self.idle.append(self._connect())
            self.open += 1
        return bool(self.idle)

    def _connect(self) -> _Client:
        client = _Client(self.plan)
        self.selector.register(client.socket, selectors.EVENT_READ, client)
        return client

    def _take(self, client: _Client) -> float | None:
        """Read what came; the moment when an answer was complete."""
        if client in self.idle:  # the server hung up on a connection that rested
            self._drop(client)
            self.idle.remove(client)
            self.open -= 1
            return None
        answer = client.answer()
        if answer is None:
            return None
        now = time.perf_counter()
        status, body, stays = answer
        self.statuses[status] += 1
        self.latencies[client.number] = now - client.due
        if self.plan.keep or status >= 400:
            self._keep(client.number, body)
        self.answered += 1
        if stays:
            self.idle.append(client)
        else:
            self._drop(client)
            self.idle.append(self._connect())
        return now

    def _drop(self, client: _Client) -> None:
        self.selector.unregister(client.socket)
        client.socket.close()

    def _keep(self, number: int, body: bytes) -> None:
        if self.plan.keep:
            self.bodies[number] = body
        elif len(self.bodies) < 5:  # a few refusals, to show
            self.bodies.append(body)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which so large a share of `values` lies (nearest rank)."""
    if not values:
        return float("nan")
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def main() -> None:
    """Read a plan, work it, write the outcome."""
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.msgpack.encode(Run(plan).work()))


if __name__ == "__main__":
    main()
