"""Parties that we chose ourselves: none of them holds us up, whatever it does, and one that is away is left alone."""

import contextlib
import socket
import threading
from datetime import timedelta

import pytest

from shared.kernel.breaker import Breaker, Fuse
from shared.kernel.errors import OutsideUnavailable
from shared.testing.keeper import Keeper
from shared.web.outbound import Outbound

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n"


class Party:
    """A server that does as `behave(socket)` says with each connection, and counts them."""

    def __init__(self, behave) -> None:
        self.behave, self.over, self.calls = behave, threading.Event(), 0
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.door.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self.door.accept()
                self.calls += 1
                with line, contextlib.suppress(OSError):
                    line.recv(65536)
                    self.behave(self, line)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        with contextlib.suppress(OSError):
            self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self.thread.join(6)


def drip(begin: bytes, drop: bytes):
    """A drop now and then, far more often than any wait of ours would notice, until we hang up."""

    def behave(party, line):
        line.sendall(begin)
        while not party.over.wait(0.01):
            line.sendall(drop)

    return behave


def hang_up(_party, _line):
    """Nothing is answered."""


class Clockwork:
    """Monotonic time that moves when it is told to."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def keeper():
    with Keeper() as keeper:
        yield keeper


@pytest.mark.parametrize(
    "behave",
    [drip(HEAD, b"X: y\r\n"), drip(HEAD + b"\r\n", b" "), drip(b"", b"H"),
     drip(HEAD.replace(b"Content-Length: 1000000", b"Transfer-Encoding: chunked") + b"\r\n", b"1\r\n \r\n")],
    ids=["headers", "body", "status", "chunks"],
)  # fmt: skip
def test_who_answers_a_byte_at_a_time_is_cut_off_when_the_whole_call_took_too_long(behave) -> None:
    with Party(behave) as party, pytest.raises(OutsideUnavailable):
        Outbound(party.url, {}, seconds=0.3).call("GET", "/v1/charges")


@pytest.mark.parametrize("said", [(503, b"{}"), (200, b"<html>"), (200, b"[" + b"1," * 600_000 + b"1]")])
def test_a_fault_what_is_not_json_and_far_too_much_are_an_unknown_outcome(keeper, said) -> None:
    keeper.said = [said]
    with pytest.raises(OutsideUnavailable):
        Outbound(keeper.url, {}).call("POST", "/v1/charges", {})


def test_half_an_answer_is_none() -> None:
    def half(_party, line):
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}")

    with Party(half) as party, pytest.raises(OutsideUnavailable):
        Outbound(party.url, {}).call("GET", "/")


def test_calls_share_a_line_and_carry_the_key_and_refusals_are_answers(keeper) -> None:
    keeper.said = [(201, b'{"id": "c1"}'), (422, b'{"code": "no"}'), (200, b"")]
    line = Outbound(keeper.url + "/base/", {"Authorization": "Bearer s"})
    assert line.call("POST", "/v1/charges", {"amount": 1}, key="k-1") == (201, {"id": "c1"})
    assert line.call("POST", "/v1/charges/c1/close") == (422, {"code": "no"})
    assert line.call("GET", "/v1/charges", query={"key": "a b&c"}) == (200, None)
    (path, headers, body), (_, plain, nothing), (asked, _, _) = keeper.heard
    assert (path, headers["Idempotency-Key"], headers["Authorization"], body) == (
        "/base/v1/charges", "k-1", "Bearer s", b'{"amount":1}'
    )  # fmt: skip
    assert "Idempotency-Key" not in plain
    assert (nothing, asked, keeper.lines) == (b"", "/base/v1/charges?key=a+b%26c", 1)


def test_a_line_that_the_party_has_closed_meanwhile_is_not_used_again() -> None:
    closed = threading.Event()

    def once(_party, line):
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        line.close()
        closed.set()

    with Party(once) as party:
        line = Outbound(party.url, {})
        for _ in range(3):
            closed.clear()
            assert line.call("GET", "/") == (200, {})
            assert closed.wait(6)
    assert party.calls == 3


def test_who_is_away_costs_one_probe_an_interval_and_is_asked_again_once_it_answers() -> None:
    now, answers = Clockwork(), [hang_up]

    def behave(party, line):
        answers[0](party, line)

    def answer(_party, line):
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with Party(behave) as party:
        fuse = Fuse(Breaker(trips_at=3, first=timedelta(seconds=1), longest=timedelta(seconds=4)), now)
        line = Outbound(party.url, {}, fuse=fuse)

        def asked() -> int:
            """How many of twenty callers reached the party."""
            before: int = party.calls
            for _ in range(20):
                with contextlib.suppress(OutsideUnavailable):
                    line.call("GET", "/")
            return int(party.calls - before)

        assert asked() == 3
        for seconds in (1, 2, 4, 4):  # longer and longer, up to the longest
            now.seconds += seconds - 0.01
            assert asked() == 0
            now.seconds += 0.01
            assert asked() == 1
        answers[0] = answer
        now.seconds += 4
        assert asked() == 20


def test_of_those_who_come_at_once_one_is_the_probe() -> None:
    now = Clockwork()
    fuse = Fuse(Breaker(trips_at=1, first=timedelta(seconds=1), longest=timedelta(seconds=1)), now)
    fuse.failed()
    now.seconds = 1
    with contextlib.ExitStack() as crowd:
        together, found = threading.Barrier(8), []

        def come() -> None:
            together.wait()
            found.append(fuse.admits())

        for _ in range(8):
            one = threading.Thread(target=come)
            one.start()
            crowd.callback(one.join)
    assert sum(found) == 1


def test_a_party_that_refuses_everything_is_there(keeper) -> None:
    keeper.said = [(500, b"no")]
    line = Outbound(keeper.url, {}, fuse=Fuse(Breaker(1, timedelta(hours=1), timedelta(hours=1))))
    for _ in range(3):
        with pytest.raises(OutsideUnavailable):
            line.call("POST", "/", {})
    assert len(keeper.heard) == 3
