"""Addresses that users gave us: nothing leads into our own network, and nobody holds us for long."""

import contextlib
import ipaddress
import socket
import ssl
import threading
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.kernel import clock
from shared.web.outbound import Guarded, NoAnswer, UrlNotAllowed
from shared.web.outbound.guarded import MOST_READ

PUBLIC = "93.184.216.34"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# {port} is that of a server on this machine which must never be reached.
HOSTILE = [
    "https://127.0.0.1:{port}/", "https://localhost:{port}/", "https://LOCALHOST.:{port}/", "https://127.1:{port}/",
    "https://127.0.1:{port}/", "https://2130706433:{port}/", "https://0x7f000001:{port}/", "https://0x7f.1:{port}/",
    "https://017700000001:{port}/", "https://0177.0.0.1:{port}/", "https://127.0.0.1.:{port}/", "https://0:{port}/",
    "https://0.0.0.0:{port}/", "https://127.255.255.254:{port}/", "https://[::1]:{port}/", "https://[::]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/", "https://[::ffff:127.0.0.1]:{port}/", "https://[::ffff:7f00:1]:{port}/",
    "https://[::127.0.0.1]:{port}/", "https://[64:ff9b::7f00:1]:{port}/", "https://[2002:7f00:1::]:{port}/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", "https://[fe80::1%25lo]:{port}/", "https://[fe80::1]/",
    "https://[fc00::1]/", "https://[fd00:ec2::254]/latest/meta-data", "https://[ff02::1]/", "https://[2001:db8::1]/",
    "https://169.254.169.254/latest/meta-data/", "https://[::ffff:169.254.169.254]/", "https://0xa9fea9fe/",
    "https://168.63.129.16/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/",
    "https://198.18.0.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://192.0.0.192/",
    "http://127.0.0.1:{port}/", "http://example.com/", "ftp://example.com/", "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_", "//127.0.0.1:{port}/", "127.0.0.1:{port}", "https://", "https:///x", "https://:443/",
    "https://user@example.com/", "https://example.com@127.0.0.1:{port}/", "https://example.com#@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@example.com/", "https:\\\\127.0.0.1:{port}/", "https://example.com:22/",
    "https://example.com:99999/", "https://example.com:0/", "https://exa mple.com/", "https://example.com/\r\nX: y",
    "https://\t127.0.0.1:{port}/", "https://１２７.0.0.1:{port}/", "https://ⓛocalhost:{port}/", "https://256.1.1.1/",
    "https://1.2.3.4.5/", "https://[::1/", "https://[v1.x]/", "https://-x.example/", "https://rebind.example:{port}/",
    "https://inside.example:{port}/", "https://mixed.example:{port}/", "https://mapped.example:{port}/",
    "https://vault.internal/", "https://printer.local/", "https://rabbitmq/",
]  # fmt: skip
LEADS = {
    "rebind.example": ["127.0.0.1"], "inside.example": ["169.254.169.254"], "mapped.example": ["::ffff:127.0.0.1"],
    "mixed.example": ["192.0.2.77", "127.0.0.1"],
}  # fmt: skip


def lookup(host, _port):
    return [ipaddress.ip_address(one) for one in LEADS.get(host.rstrip("."), ["127.0.0.1"])]


class Canary:
    """A server on this machine: `answer(connection)` is what it does with a caller."""

    def __init__(self, answer=lambda connection: connection.sendall(OK), context=None) -> None:
        self.hits, self.answer, self.context = 0, answer, context
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.door.accept()
            except OSError:
                return
            self.hits += 1
            with contextlib.suppress(OSError), connection:
                if self.context is None:
                    self._converse(connection)
                else:
                    with self.context.wrap_socket(connection, server_side=True) as private:
                        self._converse(private)

    def _converse(self, connection) -> None:
        connection.settimeout(5)
        while not connection.recv(65536).endswith(b"{}"):
            pass
        self.answer(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self.thread.join(6)


def post(guarded: Guarded, url: str):
    return guarded.post(url, b"{}", {"Content-Type": "application/json"})


def loopback(**options) -> Guarded:
    return Guarded(("127.0.0.1/32",), **options)


@pytest.mark.parametrize("allowed", [(), ("192.0.2.77/32",)], ids=["production", "another network allowed"])
def test_no_url_leads_to_our_own_network_however_it_is_written(allowed) -> None:
    guarded = Guarded(allowed, resolver=lookup)
    with Canary() as canary:
        got_through = []
        for url in HOSTILE:
            try:
                got_through.append((url, post(guarded, url.format(port=canary.port))))
            except NoAnswer as refused:
                if refused.why != "not_allowed":
                    got_through.append((url, refused.why))
        assert got_through == []
        assert canary.hits == 0


def test_honest_urls_are_taken() -> None:
    for url in ("https://example.com", "https://shop.example.co.uk:8443/hooks?a=b", f"https://{PUBLIC}/",
                "https://[2606:4700::1111]/", "https://xn--fsq.xn--0zwm56d/"):  # fmt: skip
        assert Guarded().check(url).scheme == "https"
    with pytest.raises(UrlNotAllowed) as refused:
        Guarded().check("http://example.com/")
    assert refused.value.code == "url_not_allowed"


def test_the_name_is_asked_once_and_that_very_address_is_called() -> None:
    asked = []

    def rebinding(host, _port):
        asked.append(host)
        return [ipaddress.ip_address("127.0.0.1" if len(asked) == 1 else PUBLIC)]

    with Canary() as canary:
        guarded = loopback(resolver=rebinding)
        assert post(guarded, f"http://shop.example:{canary.port}/").body == b"ok"
    assert (asked, canary.hits) == (["shop.example"], 1)


def test_a_redirect_is_an_answer_and_nothing_more() -> None:
    with Canary() as inside:
        target = f"http://127.0.0.1:{inside.port}/".encode()
        moved = b"HTTP/1.1 307 Moved\r\nLocation: " + target + b"\r\nContent-Length: 0\r\n\r\n"
        with Canary(lambda connection: connection.sendall(moved)) as outside:
            assert post(loopback(), f"http://127.0.0.1:{outside.port}/").status == 307
        assert inside.hits == 0


def test_of_64_mebibytes_the_first_64_kibibytes_are_read() -> None:
    sent = []

    def flood(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        for _ in range(1024):
            connection.sendall(b"x" * 65536)
            sent.append(65536)

    with Canary(flood) as server:
        reply = post(loopback(), f"http://127.0.0.1:{server.port}/")
        assert (reply.status, len(reply.body)) == (200, MOST_READ)
    assert sum(sent) < 64 * 1024 * 1024


def drip(canary):
    """A byte of a header now and then, for ever."""

    def answer(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not canary[0].over.wait(0.05):
            connection.sendall(b"x")

    return answer


def test_one_who_answers_drop_by_drop_is_left_in_time() -> None:
    whom: list[Canary] = []
    with Canary(drip(whom)) as server:
        whom.append(server)
        begun = clock.monotonic()
        with pytest.raises(NoAnswer) as left:
            post(loopback(seconds=0.3), f"http://127.0.0.1:{server.port}/")
        assert left.value.why == "timeout"
        assert clock.monotonic() - begun < 2


def test_a_name_server_that_is_silent_holds_nobody() -> None:
    done = threading.Event()

    def silent(_host, _port):
        done.wait(5)
        return []

    with pytest.raises(NoAnswer) as left:
        post(Guarded(resolver=silent, seconds=0.2), "https://shop.example/")
    done.set()
    assert left.value.why == "timeout"


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-OpenSSH_9\r\n", b"", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200],
    ids=["another protocol", "nothing", "too many headers"],
)
def test_an_answer_that_is_none_is_said_to_be_none(said) -> None:
    with Canary(lambda connection: connection.sendall(said)) as server, pytest.raises(NoAnswer) as left:
        post(loopback(), f"http://127.0.0.1:{server.port}/")
    assert left.value.why == "protocol"


def test_a_closed_port_and_an_unknown_name_have_words_of_their_own() -> None:
    with Canary() as server:
        port = server.port
    for guarded, url, why in (
        (loopback(), f"http://127.0.0.1:{port}/", "connection"),
        (Guarded(resolver=lambda _host, _port: []), "https://shop.example/", "no_such_host"),
    ):
        with pytest.raises(NoAnswer) as left:
            post(guarded, url)
        assert left.value.why == why


def certificate(name: str, tmp_path):
    """A server's context and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = clock.machine_now()
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = tmp_path / "pem"
    pem.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=signed.public_bytes(serialization.Encoding.PEM).decode())


def test_the_certificate_must_be_the_names_own_though_an_address_is_called(tmp_path) -> None:
    server, trust = certificate("shop.example", tmp_path)
    with Canary(context=server) as canary:
        options = {"resolver": lambda _host, _port: [ipaddress.ip_address("127.0.0.1")]}
        assert post(loopback(trust=trust, **options), f"https://shop.example:{canary.port}/").status == 200
        for guarded, name in (
            (loopback(trust=trust, **options), "other.example"),
            (loopback(**options), "shop.example"),
        ):
            with pytest.raises(NoAnswer) as left:
                post(guarded, f"https://{name}:{canary.port}/")
            assert left.value.why == "tls"
