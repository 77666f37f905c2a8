"""Calls to addresses that users gave us.

The name is resolved once, everything that is not a public address is refused, and the connection goes to that very
address: neither a clever spelling nor a name server that changes its mind leads into our own network.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from shared.kernel import clock
from shared.kernel.errors import Invalid
from shared.storage.unit_of_work import forbid_open_transaction
from shared.web.outbound.line import Address, Resolve, Timed, resolve, resolved

SECONDS = 5.0
"""For everything: name, connection, and answer."""
MOST_READ = 64 * 1024
PORTS = (443, 8443)
Why = Literal["not_allowed", "no_such_host", "connection", "tls", "timeout", "protocol"]

_NOT_PUBLIC = [
    ipaddress.ip_network(text)
    for text in (
        # IANA's special purposes, multicast, reserved
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3",
        "168.63.129.16/32",  # a cloud's own services, on a public address
        # of 2000::/3: protocols (Teredo with them), documentation, 6to4
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
]  # fmt: skip
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_INWARD = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)


class UrlNotAllowed(Invalid):
    """This URL may not be called: it must be https on port 443 or 8443 of a public host, with no user name in it."""


class NoAnswer(Exception):
    """A call that brought no usable answer; `why` is a stable word. It may have arrived nevertheless."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


@dataclass(frozen=True)
class Target:
    """A URL taken apart. `address` is set where the host is written as one."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None


@dataclass(frozen=True)
class Reply:
    """An answer of any status; `body` are its first 64 KiB at most."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def is_public(address: Address) -> bool:
    """Whether an address is somebody's on the Internet, rather than ours, a network's own, or a way around."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _GLOBAL_UNICAST:
            return False
    return not any(address in network for network in _NOT_PUBLIC)


class Guarded:
    """Calls URLs that users gave us. Thread safe.

    `allowed`: networks (``127.0.0.1/32``) that may be called although they are not public, by http and on any port;
    empty in production. `resolver` and `trust` (certificates) are for tests.
    """

    def __init__(
        self, allowed: Sequence[str] = (), *, seconds: float = SECONDS, resolver: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self.allowed = [ipaddress.ip_network(network) for network in allowed]
        self.seconds, self.resolver = seconds, resolver
        self._trust = trust

    def check(self, url: str) -> Target:
        """The URL taken apart, as far as it can be judged without asking anybody. Raises UrlNotAllowed."""
        if len(url) > 2000 or not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url:
            raise UrlNotAllowed("a URL is at most 2000 printable ASCII characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UrlNotAllowed("not a URL") from None
        scheme, host = parts.scheme, parts.hostname or ""
        if scheme != "https" and not (scheme == "http" and self.allowed):
            raise UrlNotAllowed("only https is called")
        if "@" in parts.netloc or "#" in url:
            raise UrlNotAllowed("a URL to be called has no user name and no fragment")
        address = self._written(host, bracketed="[" in parts.netloc)
        if address is None:
            self._check_name(host)
        port = port if port is not None else 443 if scheme == "https" else 80
        target = Target(scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), address)
        if port == 0 or (not self.allowed and port not in PORTS):
            raise UrlNotAllowed("only ports 443 and 8443 are called")
        if address is not None:
            self._permit(address, target)
        return target

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """POST once, following nothing. Raises NoAnswer, also where the URL may not be called."""
        forbid_open_transaction()
        until = clock.monotonic() + self.seconds
        try:
            target = self.check(url)
            line = self._connected(target, self._addresses(target, until), until)
        except UrlNotAllowed:
            raise NoAnswer("not_allowed") from None
        try:
            return _exchange(line, target, body, headers, until)
        except TimeoutError:
            raise NoAnswer("timeout") from None
        except (http.client.HTTPException, ValueError):
            raise NoAnswer("protocol") from None
        except OSError:
            raise NoAnswer("connection") from None
        finally:
            line.close()

    def _written(self, host: str, *, bracketed: bool) -> Address | None:
        """The address that `host` itself is, in any of the spellings that a resolver would take for one."""
        try:
            if bracketed:
                return ipaddress.IPv6Address(host)
            if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
                return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
        except (ValueError, OSError):
            raise UrlNotAllowed("not an address") from None
        return None

    def _check_name(self, host: str) -> None:
        labels = host.removesuffix(".").split(".")
        if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise UrlNotAllowed("not a host name")
        if not self.allowed and (len(labels) < 2 or f".{host.removesuffix('.').lower()}".endswith(_INWARD)):
            raise UrlNotAllowed("not a public host name")

    def _permit(self, address: Address, target: Target) -> None:
        plain = getattr(address, "ipv4_mapped", None) or address
        if any(plain in network for network in self.allowed):
            return
        if not is_public(address) or target.scheme != "https" or target.port not in PORTS:
            raise UrlNotAllowed("not a public address")

    def _addresses(self, target: Target, until: float) -> list[Address]:
        """Where the name leads, asked once. One address that may not be called spoils them all."""
        if target.address is not None:
            return [target.address]
        try:
            found = resolved(target.host, target.port, until, self.resolver)
        except TimeoutError:
            raise NoAnswer("timeout") from None
        if not found:
            raise NoAnswer("no_such_host")
        for address in found:
            self._permit(address, target)
        return found

    def _connected(self, target: Target, addresses: Sequence[Address], until: float) -> socket.socket:
        why: Why = "connection"
        for number, address in enumerate(addresses[:4]):
            share = (until - clock.monotonic()) / min(4, len(addresses) - number)
            line: socket.socket | None = None
            try:
                line = socket.create_connection((str(address), target.port), timeout=max(0.01, share))
                if target.scheme == "http":
                    return line
                return self._context().wrap_socket(line, server_hostname=target.host.removesuffix("."))
            except TimeoutError:
                why = "timeout"
            except (ssl.SSLError, ValueError):
                why = "tls"
            except OSError:
                why = "connection"
            if line is not None:
                line.close()
        raise NoAnswer(why)

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = ssl.create_default_context()
        return self._trust


def _exchange(line: socket.socket, target: Target, body: bytes, headers: Mapping[str, str], until: float) -> Reply:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = 443 if target.scheme == "https" else 80
    connection = http.client.HTTPConnection(target.host, target.port)
    timed: Any = Timed(line, until)
    connection.sock = timed
    own = {"Host": host if target.port == usual else f"{host}:{target.port}", "Connection": "close"}
    connection.request("POST", target.path, body, dict(headers) | own)
    answer = connection.getresponse()
    return Reply(answer.status, dict(answer.headers.items()), answer.read(MOST_READ))
