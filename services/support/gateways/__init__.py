"""Whom support calls outside: the mail server, and merchants' systems."""

from services.support.gateways.mail import Mailer, MailRefused, OutcomeUnknown, SmtpMailer, mailer
from services.support.gateways.webhooks import Message, guarded, send

__all__ = ["MailRefused", "Mailer", "Message", "OutcomeUnknown", "SmtpMailer", "guarded", "mailer", "send"]
