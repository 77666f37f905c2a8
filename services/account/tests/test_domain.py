"""What is true of people, tries, keys and shops."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.account import keyring
from services.account.domain.people import (
    EmailInvalid,
    PhoneInvalid,
    RegionInvalid,
    checked_address,
    normal_email,
    normal_phone,
)
from services.account.domain.sessions import TRY_WINDOW, Tries
from services.account.domain.shops import MOVES, PLANS, Shop, SuspensionInPast, WrongShopState
from services.account.domain.signing import (
    KNOWN_BEFORE_USE,
    ROTATE_AFTER,
    KeyRow,
    needs_successor,
    signing_order,
)
from services.account.tests.makers import home
from shared.kernel.errors import PreconditionFailed

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def make_shop(**more) -> Shop:
    given = {"shop_name": "山茶小铺", "currency": "CNY", "plan": "basic"} | more
    return Shop(seller_id="s", account_id="a", created_at=NOW, **given)


def test_an_address_has_one_spelling():
    assert normal_email("  Li.Lei@EXAMPLE.com ") == normal_email("li.lei@example.com") == "li.lei@example.com"
    assert normal_email("李雷@例子.中国") == "李雷@例子.中国"


@pytest.mark.parametrize("text", ["", "li.lei", "li@", "li lei@example.com", "a@b@c.com", "a@localhost"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(EmailInvalid) as refusal:
        normal_email(text)
    assert refusal.value.field == "email"


def test_telephone_numbers_are_kept_in_one_form():
    assert normal_phone("138 0013 8000", "CN") == normal_phone("+86 138-0013-8000", "US") == "+8613800138000"
    for text in ("12", "call me", "0000000000000", ""):
        with pytest.raises(PhoneInvalid):
            normal_phone(text, "CN")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"country": "XX"}, "country"), ({"region": "US-CA"}, "region"), ({"region": "Zhejiang"}, "region")],
)
def test_a_region_belongs_to_its_country(wrong, field):
    with pytest.raises(RegionInvalid) as refusal:
        checked_address(home(**wrong))
    assert refusal.value.field == field


def test_a_country_without_regions_stands_for_itself():
    assert checked_address(home(country="SG", region="SG", phone="+65 6123 4567"))["phone"] == "+6561234567"


def test_ten_tries_are_free_and_the_eleventh_waits_for_the_window():
    assert Tries(10, NOW).wait_seconds(NOW) == 0
    assert Tries(11, NOW).wait_seconds(NOW) == TRY_WINDOW.total_seconds() + 1
    assert Tries(500, NOW - TRY_WINDOW + timedelta(seconds=1)).wait_seconds(NOW) == 2


def test_neighbours_in_one_ipv6_subscription_are_one_network():
    assert keyring.network("2001:db8:1:2::1") == keyring.network("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert keyring.network("::ffff:192.0.2.7") == keyring.network("192.0.2.7") == "192.0.2.7"
    assert keyring.network("nonsense") == "unknown"


def test_a_wrapped_key_opens_only_with_its_own_secret():
    key = keyring.new_signing_key()
    wrapped = keyring.wrap("a" * 32, key)
    opened = keyring.unwrap(["b" * 32, "a" * 32], str(key.kid), wrapped)
    assert opened is not None
    assert opened.as_dict(private=True) == key.as_dict(private=True)
    assert keyring.unwrap(["b" * 32], str(key.kid), wrapped) is None
    assert keyring.unwrap(["a" * 32], "another id", wrapped) is None


def test_a_successor_is_known_before_it_signs():
    old = KeyRow(1, "old", NOW - ROTATE_AFTER, "")
    assert needs_successor([], NOW)
    assert needs_successor([old], NOW)
    young = KeyRow(2, "young", NOW, "")
    assert not needs_successor([old, young], NOW)
    assert [row.key_id for row in signing_order([old, young], NOW)] == ["old", "young"]
    assert [row.key_id for row in signing_order([old, young], NOW + KNOWN_BEFORE_USE)] == ["young", "old"]
    assert [row.key_id for row in signing_order([old, young], NOW + timedelta(days=2))] == ["young"]


@pytest.mark.parametrize("state", ["PENDING", "APPROVED", "REJECTED", "SUSPENDED"])
@pytest.mark.parametrize("move", ["approve", "reject", "suspend"])
def test_a_shop_moves_only_as_the_table_says(state, move):
    shop = make_shop()
    shop.state = state
    deed: dict[str, Callable[[], object]] = {
        "approve": shop.approve,
        "reject": lambda: shop.reject("x"),
        "suspend": lambda: shop.suspend("x", None, NOW),
    }
    if (state, move) in MOVES:
        deed[move]()
        assert shop.state == MOVES[state, move]
        assert shop.version == 2
    else:
        with pytest.raises(WrongShopState):
            deed[move]()
        assert (shop.state, shop.version) == (state, 1)


def test_the_plan_sets_the_fees():
    terms = make_shop().approve("flagship")
    assert (terms.commission_bp, terms.holdback_bp) == (PLANS["flagship"].commission_bp, 0)


def test_a_suspended_shop_changes_its_settings_in_silence():
    shop = make_shop()
    shop.approve()
    shop.suspend("fakes", NOW + timedelta(days=3), NOW)
    assert shop.change(None, {"review_orders": True}) == []
    assert shop.approve().review_orders is True


def test_settings_that_are_the_same_are_no_change():
    shop = make_shop()
    shop.approve()
    assert shop.change(None, {"cod_allowed": True}) == []
    assert shop.version == 2
    with pytest.raises(PreconditionFailed):
        shop.change(1, {"cod_allowed": False})


def test_a_suspension_cannot_end_before_it_begins():
    shop = make_shop()
    shop.approve()
    with pytest.raises(SuspensionInPast):
        shop.suspend("fakes", NOW, NOW)
    assert shop.state == "APPROVED"
