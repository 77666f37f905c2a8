"""Reading requests strictly: unknown, missing or ill-typed fields are refused, nothing is coerced."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deploy.sandbox.desk import clock

Body = dict[str, Any]
LARGEST = 10**12


class Refusal(Exception):
    """A request that is answered `{code, message, …more}` with an HTTP status; nothing was changed."""

    def __init__(self, status: int, code: str, message: str, /, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Body = {"code": code, "message": message, **more}


@dataclass(frozen=True)
class Field:
    """One field: `parse` gives its value or raises ValueError; absent or null means `default`."""

    parse: Callable[[Any], Any]
    required: bool = True
    default: Any = None


def optional(parse: Callable[[Any], Any], default: Any = None) -> Field:
    """A field that may be left out."""
    return Field(parse, required=False, default=default)


def read(shape: Mapping[str, Field], given: Any) -> Body:
    """`given` checked against `shape`, with every field present; 422 `invalid_body` names the bad ones."""
    if not isinstance(given, dict):
        raise Refusal(422, "invalid_body", "The body must be a JSON object.")
    errors = dict.fromkeys(given.keys() - shape.keys(), "unknown field")
    body: Body = {}
    for name, field in shape.items():
        value = given.get(name)
        if value is None:
            body[name] = field.default
            if field.required:
                errors[name] = "missing"
            continue
        try:
            body[name] = field.parse(value)
        except (ValueError, OverflowError) as problem:
            errors[name] = str(problem)
    if errors:
        named = "; ".join(f"{name}: {error}" for name, error in sorted(errors.items()))
        raise Refusal(422, "invalid_body", named, fields=errors)
    return body


def nested(shape: Mapping[str, Field]) -> Callable[[Any], Body]:
    """An object within the body, read as strictly."""

    def parse(value: Any) -> Body:
        try:
            return read(shape, value)
        except Refusal as refusal:
            raise ValueError(str(refusal)) from None

    return parse


def integer(least: int, most: int = LARGEST) -> Callable[[Any], int]:
    """A whole number; neither 1.0 nor true counts as one."""

    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return parse


def seconds(most: float) -> Callable[[Any], float]:
    """A span of time in seconds, whole or not."""

    def parse(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
            raise ValueError(f"must be seconds from 0 to {most:g}")
        return float(value)

    return parse


def text(most: int = 200, pattern: str = r"[^\x00-\x1f]+") -> Callable[[Any], str]:
    """A non-empty line of text."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most or not re.fullmatch(pattern, value):
            raise ValueError(f"must be text of 1 to {most} characters matching {pattern}")
        return value

    return parse


def one_of(*words: str) -> Callable[[Any], str]:
    """One of a few words."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return parse


def moment(value: Any) -> str:
    """An RFC 3339 time, rewritten in the sandbox's own form."""
    return clock.stamp(clock.parse(value))


def web_address(value: Any) -> str:
    """An absolute http or https address."""
    address = text(2000, r"\S+")(value)
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).netloc:
        raise ValueError("must be an absolute http(s) address")
    return address


money = integer(1)
currency = text(3, r"[A-Z]{3}")
reference = text(100, r"[\x21-\x7e]+")
