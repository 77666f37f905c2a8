"""What no well-behaved client sends, byte by byte: it is refused or it hangs up, nothing breaks, others are served."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests

from deploy.story.people import Grounds

PATIENCE = 20.0


@pytest.fixture(
    scope="module",
    params=["platform", pytest.param("stack", marks=[pytest.mark.servers, pytest.mark.xdist_group("stack")])],
)
def grounds(request: pytest.FixtureRequest) -> Grounds:
    found: Grounds = request.getfixturevalue(request.param)
    return found


def head(line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([line, "Host: caravan", "Connection: close", *headers, "", ""]).encode("latin-1") + body


def post(body: bytes, *headers: str, path: str = "/v1/accounts") -> bytes:
    length = f"Content-Length: {len(body)}"
    return head(f"POST {path} HTTP/1.1", "Content-Type: application/json", length, *headers, body=body)


def account(**changes: object) -> bytes:
    body = {"email": "li.lei@example.com", "password": "three unusual words", "name": "Li"} | changes
    return json.dumps(body).encode()


SMUGGLED = b"GET /v1/categories HTTP/1.1\r\nHost: caravan\r\n\r\n"
UNREADABLE = {
    "no request at all": b"GARBAGE\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 64 + b"\r\n\r\n",
    "another protocol": head("GET /v1/categories HTTP/7.3"),
    "a NUL in the address": head("GET /v1/products/\x00 HTTP/1.1"),
    "an escaped NUL in the address": head("GET /v1/products/%00 HTTP/1.1"),
    "a NUL in a header": head("GET /v1/categories HTTP/1.1", "X-Thing: a\x00b"),
    "a blank before the colon": head("GET /v1/categories HTTP/1.1", "Authorization : Bearer x"),
    "a header without a name": head("GET /v1/categories HTTP/1.1", ": x"),
    "two lengths": post(b"{}", "Content-Length: 3"),
    "a negative length": head("POST /v1/accounts HTTP/1.1", "Content-Length: -1"),
    "a length beyond all numbers": head("POST /v1/accounts HTTP/1.1", f"Content-Length: {'9' * 40}"),
    "a length that is no number": head("POST /v1/accounts HTTP/1.1", "Content-Length: 0x10"),
    "a length and chunks": post(b"0\r\n\r\n" + SMUGGLED, "Transfer-Encoding: chunked"),
    "chunks hidden behind a blank": post(b"0\r\n\r\n" + SMUGGLED, "Transfer-Encoding : chunked"),
    "chunks told twice": head(
        "POST /v1/accounts HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=b"0\r\n\r\n"
    ),
    "a chunk without a size": head(
        "POST /v1/accounts HTTP/1.1", "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"
    ),
    "a chunk beyond all numbers": head(
        "POST /v1/accounts HTTP/1.1", "Transfer-Encoding: chunked", body=b"f" * 40 + b"\r\n" + b" " * 2**21
    ),
    "a header of a megabyte": head("GET /v1/categories HTTP/1.1", f"X-Thing: {'a' * 2**20}"),
    "ten thousand headers": head("GET /v1/categories HTTP/1.1", *(f"X-{number}: a" for number in range(10_000))),
    "an address of a megabyte": head(f"GET /{'a' * 2**20} HTTP/1.1"),
    "a body of two megabytes": post(b" " * 2**21),
    "a coding we do not know": head(
        "POST /v1/accounts HTTP/1.1", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"
    ),
    "a way out of the tree": head("GET /v1/../../etc/passwd HTTP/1.1"),
    "an escaped way out of the tree": head("GET /v1/products/..%2f..%2fetc%2fpasswd HTTP/1.1"),
    "an overlong dot": head("GET /v1/products/%c0%ae%c0%ae HTTP/1.1"),
    "no UTF-8 in the address": head("GET /v1/products/%ff%fe HTTP/1.1"),
    "no UTF-8 in a query": head("GET /v1/search?q=%ff%fe&limit=1000 HTTP/1.1"),
    "a method in small letters": head("get /v1/orders HTTP/1.1"),
    "a method nobody knows": head("BREW /v1/orders HTTP/1.1"),
    "a trace": head("TRACE /v1/orders HTTP/1.1"),
    "a tunnel": b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
    "no JSON": post(b"{"),
    "a number that is none": post(account().replace(b'"Li"', b"NaN")),
    "a number without end": post(account().replace(b'"Li"', b"1e999")),
    "an integer of a hundred thousand digits": post(account().replace(b'"Li"', b"9" * 100_000)),
    "ten thousand brackets": post(b"[" * 10_000 + b"]" * 10_000),
    "ten thousand braces": post(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "a NUL in a text": post(account(name="a\0b")),
    "half a character": post(account().replace(b'"Li"', b'"\\ud800"')),
    "no UTF-8": post(account().replace(b"Li", b"\xff\xfe")),
    "UTF-16": post(account().decode().encode("utf-16")),
    "a mark before the text": post(b"\xef\xbb\xbf" + account()),
    "a packed body": post(gzip.compress(b" " * 2**24), "Content-Encoding: gzip"),
    "a form": post(b"email=a", "X-Thing: a").replace(b"application/json", b"multipart/form-data; boundary=x"),
    "a list for a text": post(account(name=["Li"])),
    "a text for the body": post(b'"Li"'),
    "a key of no ASCII": post(account(name=7), "Idempotency-Key: \xff\xfe"),
    "a key without end": post(account(name=7), f"Idempotency-Key: {'k' * 4000}"),
    "a token without end": head("GET /v1/me HTTP/1.1", f"Authorization: Bearer {'a.' * 2000}"),
    "a token of no ASCII": head("GET /v1/me HTTP/1.1", "Authorization: Bearer \xff.\xfe.\xfd"),
}  # fmt: skip


def answers(grounds: Grounds, sent: bytes) -> bytes:
    """All that comes back until the other side hangs up, as it is asked to after its answer."""
    where = urlsplit(grounds.url)
    with closing(socket.create_connection((where.hostname or "", where.port or 80), timeout=PATIENCE)) as line:
        found = b""
        try:
            line.sendall(sent)
            while piece := line.recv(65_536):
                found += piece
        except TimeoutError:
            raise
        except OSError:
            pass  # it refused before it had read everything
        return found


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_refused_and_nothing_breaks(grounds: Grounds, what: str) -> None:
    found = answers(grounds, UNREADABLE[what])
    if found:  # or it was hung up on, which is an answer too
        assert found.count(b"HTTP/1.1 ") == 1, "a request was hidden in the request"
        status, rest = found.split(b" ", 2)[1:]
        assert status.startswith(b"4"), found[:300]
        assert b"application/problem+json" in rest, found[:300]
        assert b"Traceback" not in rest
    assert requests.get(f"{grounds.url}/v1/categories", timeout=PATIENCE).status_code == 200


MEBIBYTE = 2**20
WRONG = account(name=7)


def chunked(body: bytes) -> bytes:
    kind = "Content-Type: application/json"
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:65_536], body[65_536:]) if piece)
    return head("POST /v1/accounts HTTP/1.1", kind, "Transfer-Encoding: chunked", body=pieces + b"0\r\n\r\n")


@pytest.mark.parametrize("sent", [post, chunked])
def test_a_body_of_a_mebibyte_reaches_its_service_and_with_one_byte_more_it_does_not(
    grounds: Grounds, sent: Callable[[bytes], bytes]
) -> None:
    most = answers(grounds, sent(WRONG.ljust(MEBIBYTE)))
    assert most.startswith(b"HTTP/1.1 422 "), most[:300]
    assert b'"field":"name"' in most
    more = answers(grounds, sent(WRONG.ljust(MEBIBYTE + 1)))
    assert more.startswith(b"HTTP/1.1 413 "), more[:300]
    assert b"application/problem+json" in more
    assert b'"code":"payload_too_large"' in more


@pytest.mark.parametrize("depth", [50, 1_000, 400_000])
def test_json_of_any_depth_is_refused_where_a_text_belongs(grounds: Grounds, depth: int) -> None:
    found = answers(grounds, post(account().replace(b'"Li"', b"[" * depth + b"]" * depth)))
    assert found[:13] in (b"HTTP/1.1 422 ", b"HTTP/1.1 400 "), found[:300]
    assert (b'"field":"name"' if depth == 50 else b'"code":') in found


def test_the_last_of_two_equal_names_counts_everywhere_alike(grounds: Grounds) -> None:
    body = account(name=7).replace(b'"name": 7', b'"name": "Li", "name": 7')
    assert b'"field":"name"' in answers(grounds, post(body))


@pytest.fixture
def slow_clients(grounds: Grounds) -> Iterator[list[socket.socket]]:
    """Forty who have begun to speak: half of them a header, half of them a body."""
    where = urlsplit(grounds.url)
    lines = [socket.create_connection((where.hostname or "", where.port or 80), timeout=PATIENCE) for _ in range(40)]
    for number, line in enumerate(lines):
        line.sendall(post(account())[:40] if number % 2 else post(b"{" * 100)[:-99])
    yield lines
    for line in lines:
        line.close()


def test_those_who_speak_slowly_keep_nobody_waiting(grounds: Grounds, slow_clients: list[socket.socket]) -> None:
    found = [requests.get(f"{grounds.url}/v1/categories", timeout=5).status_code for _ in range(20)]
    assert found == [200] * 20
