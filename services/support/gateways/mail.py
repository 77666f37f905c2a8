"""The mail server, spoken to so that a failure says whether the letter may have gone out."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from services.support.domain import Letter
from shared.kernel import clock
from shared.kernel.errors import OutsideUnavailable
from shared.kernel.settings import Settings
from shared.storage.unit_of_work import Node, forbid_open_transaction

TIMEOUT_SECONDS = 10.0


class MailRefused(Exception):
    """The server will never take this letter to this address."""


class OutcomeUnknown(Exception):
    """The line broke after the letter was given: it may have gone out, so it must not be given again."""


class Mailer(Protocol):
    def send(self, to: str, letter: Letter, message_id: str) -> None:
        """Raises OutsideUnavailable (not sent, try again), MailRefused, OutcomeUnknown."""


def mailer(node: Node) -> Mailer:
    """The mail server's client, made on first use."""
    found: Mailer = node.outside.get("mail") or node.outside.setdefault("mail", SmtpMailer(node.settings))
    return found


class SmtpMailer:
    """``smtp://[user:password@]host[:port][?starttls=1&from=shop@example.com]``, or ``smtps://``."""

    def __init__(self, settings: Settings) -> None:
        self.url = urlsplit(settings.smtp_url)
        options = parse_qs(self.url.query)
        self.starttls = options.get("starttls", ["0"])[0] == "1"
        home = urlsplit(settings.public_url).hostname or "localhost"
        self.sender = options.get("from", [f"no-reply@{home}"])[0]
        self.domain = self.sender.rpartition("@")[2]

    def send(self, to: str, letter: Letter, message_id: str) -> None:
        forbid_open_transaction()
        body = _stuffed(self._message(to, letter, message_id))
        try:
            server = self._connected()
            try:
                self._envelope(server, to)
                self._give(server, body)
                with contextlib.suppress(Exception):  # the letter is taken: how the line ends does not matter
                    server.quit()
            finally:
                server.close()
        except (smtplib.SMTPException, OSError) as error:
            raise OutsideUnavailable(f"mail: {type(error).__name__}") from error

    def _message(self, to: str, letter: Letter, message_id: str) -> bytes:
        try:
            message = EmailMessage(SMTP.clone(utf8=not to.isascii()))
            message["From"], message["To"], message["Subject"] = f"Caravan <{self.sender}>", to, letter.subject
            message["Date"] = format_datetime(clock.machine_now())
            message["Message-ID"] = f"<{message_id}@{self.domain}>"
            message["Auto-Submitted"] = "auto-generated"
            message.set_content(letter.text)
            return message.as_bytes()
        except ValueError as error:
            raise MailRefused("not an address") from error

    def _connected(self) -> smtplib.SMTP:
        host, port = self.url.hostname or "localhost", self.url.port
        if self.url.scheme == "smtps":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, port or 25, timeout=TIMEOUT_SECONDS)
        try:
            if self.starttls:
                server.starttls(context=ssl.create_default_context())
            if self.url.username:
                server.login(unquote(self.url.username), unquote(self.url.password or ""))
        except BaseException:
            server.close()
            raise
        return server

    def _envelope(self, server: smtplib.SMTP, to: str) -> None:
        server.ehlo_or_helo_if_needed()
        options = []
        if not to.isascii():
            if not server.has_extn("smtputf8"):
                raise MailRefused("the server does not take such addresses")
            server.command_encoding, options = "utf-8", ["SMTPUTF8"]
        _accept(server.mail(self.sender, options))
        _accept(server.rcpt(to))

    def _give(self, server: smtplib.SMTP, body: bytes) -> None:
        server.putcmd("data")
        code, _ = server.getreply()
        if code != 354:
            _accept((code, b""))
            raise OutsideUnavailable(f"mail: unexpected reply {code}")
        try:
            server.send(body)
            answer = server.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise OutcomeUnknown(type(error).__name__) from error
        _accept(answer)


def _accept(answer: tuple[int, bytes]) -> None:
    """Raises OutsideUnavailable on a refusal for now (4xx), MailRefused on one for good (5xx)."""
    code = answer[0]
    if code >= 500:
        raise MailRefused(f"reply {code}")
    if code >= 400:
        raise OutsideUnavailable(f"mail: reply {code}")


def _stuffed(message: bytes) -> bytes:
    """With dots doubled at line starts and the end marked (RFC 5321 §4.5.2)."""
    return re.sub(rb"(?m)^\.", b"..", message.removesuffix(b"\r\n")) + b"\r\n.\r\n"
