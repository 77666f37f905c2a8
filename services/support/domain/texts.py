"""Words for notices, in the reader's language, and the layout of a letter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.support.domain.words import CODES, GREETING, SIGNATURE, TEMPLATES

LOCALES = ("en", "zh-CN")
_NO_MINOR_UNITS = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "PYG", "RWF"})
_THREE = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


@dataclass(frozen=True)
class Letter:
    """An e-mail before it has an address."""

    subject: str
    text: str


def locale_of(wish: str) -> str:
    """The language we have that is nearest to a BCP 47 tag."""
    return "zh-CN" if wish.lower().startswith("zh") else "en"


def render(template: str, fields: dict[str, Any], locale: str) -> tuple[str, str]:
    """``(subject, text)`` of a notice."""
    subject, text = TEMPLATES[template][locale]
    shown = {name: _show(name, value, fields, locale) for name, value in fields.items()}
    return subject.format_map(shown), text.format_map(shown)


def letter(template: str, fields: dict[str, Any], locale: str, name: str, url: str) -> Letter:
    """The notice as a plain letter to somebody of that name."""
    subject, text = render(template, fields, locale)
    greeting = GREETING[locale].format(name=" ".join(name.split()))
    return Letter(subject, f"{greeting}\n\n{text}\n\n{SIGNATURE[locale].format(url=url)}\n")


def _show(name: str, value: Any, fields: dict[str, Any], locale: str) -> str:
    if name == "amount":
        return money(value, fields["currency"])
    if name.endswith("_by"):
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M} UTC"
    if name in ("reason", "decision"):
        return CODES.get(str(value), {}).get(locale, str(value))
    return str(value)


def money(amount: int, currency: str) -> str:
    """Minor units as people write them, e.g. ``CNY 129.00``."""
    digits = 0 if currency in _NO_MINOR_UNITS else 3 if currency in _THREE else 2
    sign, amount = "-" if amount < 0 else "", abs(amount)
    if not digits:
        return f"{currency} {sign}{amount}"
    whole, part = divmod(amount, 10**digits)
    return f"{currency} {sign}{whole}.{part:0{digits}}"
