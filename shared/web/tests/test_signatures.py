"""Signed callbacks, as Standard Webhooks has them."""

import base64
import hmac
from collections.abc import Callable

import pytest

from shared.kernel import clock
from shared.web.signatures import BadSignature, sign, verify

SECRET, BODY = "s" * 32, b'{"amount": 100}'


def headers(**changes: str) -> dict[str, str]:
    now = int(clock.machine_seconds())
    good = {
        "webhook-id": "m1", "webhook-timestamp": str(now), "webhook-signature": sign(SECRET, "m1", now, BODY),
    }  # fmt: skip
    return good | {name.replace("_", "-"): value for name, value in changes.items()}


def test_a_signed_callback_is_believed_and_says_its_id() -> None:
    assert verify(SECRET, headers(), BODY) == "m1"


def test_any_one_of_several_signatures_suffices_so_that_secrets_can_be_changed() -> None:
    good = headers()["webhook-signature"]
    assert verify(SECRET, headers(webhook_signature=f"v1,AAAA {good} v0,{good[3:]}"), BODY) == "m1"


@pytest.mark.parametrize(("secrets", "believed"), [(f"new,{SECRET}", True), (f"{SECRET}, new", True), ("new", False)])
def test_while_a_secret_is_changed_the_old_one_is_believed_too(secrets: str, believed: bool) -> None:
    if believed:
        assert verify(secrets, headers(), BODY) == "m1"
    else:
        with pytest.raises(BadSignature):
            verify(secrets, headers(), BODY)


def test_no_secret_at_all_believes_nobody() -> None:
    forged = headers(webhook_signature=sign("", "m1", int(clock.machine_seconds()), BODY))
    for nothing in ("", ",", " "):
        with pytest.raises(BadSignature):
            verify(nothing, forged, BODY)


def test_a_secret_in_standard_webhooks_own_form_is_decoded() -> None:
    key = b"0123456789abcdef0123456789abcdef"
    written = "whsec_" + base64.b64encode(key).decode()
    wanted = base64.b64encode(hmac.digest(key, b"msg_1.1614265330." + BODY, "sha256")).decode()
    assert sign(written, "msg_1", 1614265330, BODY) == f"v1,{wanted}"


def at(seconds: int) -> Callable[[], dict[str, str]]:
    def made() -> dict[str, str]:
        moment = int(clock.machine_seconds()) + seconds
        return headers(webhook_timestamp=str(moment), webhook_signature=sign(SECRET, "m1", moment, BODY))

    return made


@pytest.mark.parametrize(
    "made",
    [
        dict,
        at(-301),
        at(302),
        lambda: headers(webhook_signature=""),
        lambda: headers(webhook_signature="v1,"),
        lambda: headers(webhook_signature="v1,é"),
        lambda: headers(webhook_signature=headers()["webhook-signature"].replace("v1,", "v0,")),
        lambda: headers(webhook_id="m2"),
        lambda: headers(webhook_id=""),
        lambda: headers(webhook_timestamp="soon"),
        lambda: headers(webhook_timestamp="9" * 30),
        lambda: headers(webhook_timestamp="-1"),
    ],
)
def test_anything_else_is_refused(made: Callable[[], dict[str, str]]) -> None:
    with pytest.raises(BadSignature):
        verify(SECRET, made(), BODY)


def test_another_body_or_secret_is_refused() -> None:
    for secret, body in ((SECRET, BODY + b" "), ("t" * 32, BODY)):
        with pytest.raises(BadSignature):
            verify(secret, headers(), body)
