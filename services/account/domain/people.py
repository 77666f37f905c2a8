"""Accounts and delivery addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from shared.contracts.account import Role, UserRegistered
from shared.contracts.event import Sealed
from shared.kernel.errors import Conflict, Invalid, NotFound

MAX_ADDRESSES = 20
_REGION = re.compile(r"^([A-Z]{2})(-[A-Z0-9]{1,3})?$")


class EmailInvalid(Invalid):
    """This is not an e-mail address."""


class EmailTaken(Conflict):
    """There is an account with this e-mail address already; sign in instead."""


class PhoneInvalid(Invalid):
    """This is no telephone number of the country; write it as you dial it, or with + and its code."""


class RegionInvalid(Invalid):
    """Country is an ISO 3166-1 code such as CN, region an ISO 3166-2 code of that country such as CN-ZJ."""


class NoSuchAddress(NotFound):
    """You keep no such address."""


class TooManyAddresses(Conflict):
    """At most twenty addresses are kept; delete one first."""


@dataclass
class Account:
    """A person. What is personal is sealed under the person's own key; `version` counts changes."""

    account_id: str
    full_name: Sealed
    email: Sealed
    phone: Sealed | None
    locale: str
    roles: list[Role]
    created_at: datetime
    consents: list[str] = field(default_factory=list)
    version: int = 1

    def registered(self) -> UserRegistered:
        """The fact that this account was opened."""
        return UserRegistered(
            account_id=self.account_id, roles=tuple(self.roles), locale=self.locale, full_name=self.full_name,
            email=self.email, phone=self.phone, consents=tuple(self.consents),
        )  # fmt: skip

    def change(self, **new: Any) -> None:
        """Set the given fields."""
        for name, value in new.items():
            setattr(self, name, value)
        self.version += 1


def normal_email(text: str) -> str:
    """The one spelling under which an address is known: NFC, IDNA domain, all lower case. Raises
    EmailInvalid."""
    try:
        found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except EmailNotValidError as error:
        raise EmailInvalid(field="email") from error
    return found.normalized.lower()


def normal_phone(text: str, country: str) -> str:
    """E.164, e.g. +8613800138000. `country` (ISO 3166-1) says how to read a national number. Raises
    PhoneInvalid."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        raise PhoneInvalid(field="phone") from error
    if not phonenumbers.is_valid_number(number):
        raise PhoneInvalid(field="phone")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def checked_address(given: dict[str, Any]) -> dict[str, Any]:
    """`given` with the phone number normalised. Raises RegionInvalid, PhoneInvalid."""
    if given["country"] not in phonenumbers.SUPPORTED_REGIONS:
        raise RegionInvalid(field="country")
    found = _REGION.match(given["region"])
    if not found or found[1] != given["country"]:
        raise RegionInvalid(field="region")
    return given | {"phone": normal_phone(given["phone"], given["country"])}
