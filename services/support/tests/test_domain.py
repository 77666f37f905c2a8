"""The table of who is told what, and the words."""

import dataclasses
import string
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.support.domain import RULES, letter, locale_of, render
from services.support.domain.texts import LOCALES, money
from services.support.domain.words import CODES, GREETING, SIGNATURE, TEMPLATES
from shared.contracts.order import CancelReason, OrderClosed
from shared.contracts.payment import PaymentConfirmed, Split

PAIRS = [(fact, rule) for fact, rules in RULES.items() for rule in rules]


@pytest.mark.parametrize(("fact", "rule"), PAIRS, ids=lambda one: getattr(one, "template", None))
def test_every_rule_has_words_in_every_language_and_fills_them(fact, rule):
    for locale in LOCALES:
        for text in TEMPLATES[rule.template][locale]:
            wanted = {name for _, name, _, _ in string.Formatter().parse(text) if name}
            assert wanted <= rule.fields.keys()
    parts = [PaymentConfirmed, Split] if fact is PaymentConfirmed else [fact]
    known = {field.name for part in parts for field in dataclasses.fields(part)}
    whom = {"seller": {"seller_id"}, "buyer": {"buyer_id"}, "operator": set[str]()}[rule.to]
    assert whom | set(rule.fields.values()) <= known


def test_no_words_are_left_that_nobody_says():
    assert {rule.template for _, rule in PAIRS} == TEMPLATES.keys()
    assert GREETING.keys() == SIGNATURE.keys() == set(LOCALES)
    assert all(words.keys() == set(LOCALES) for words in TEMPLATES.values())


def test_every_reason_has_words():
    reasons = {*get_args(CancelReason), *get_args(get_type_hints(OrderClosed)["reason"])}
    assert reasons <= CODES.keys()
    assert all(words.keys() == set(LOCALES) for words in CODES.values())


def test_words_in_two_languages():
    fields = {"group_no": "G1", "amount": 12900, "currency": "CNY", "pay_by": "2026-05-01T12:00:00.000000Z"}
    assert render("payment_requested", fields, "en")[1] == (
        "Your goods are set aside. Please pay CNY 129.00 for G1 by 2026-05-01 12:00 UTC."
    )
    assert render("payment_requested", fields, "zh-CN")[0] == "请支付 CNY 129.00"
    reason = {"order_no": "G1-1", "reason": "out_of_stock"}
    assert "the goods are sold out" in render("order_cancelled", reason, "en")[1]
    assert "商品缺货" in render("order_cancelled", reason, "zh-CN")[1]


def test_a_letter_greets_and_signs_and_stays_in_one_line_where_it_must():
    written = letter("order_paid", {"order_no": "G1-1", "amount": 5, "currency": "CNY"}, "en", "Li\r\nWei", "http://x")
    assert written.subject == "Order G1-1 is paid"
    assert written.text.startswith("Dear Li Wei,\n\nYour order G1-1 is paid: CNY 0.05")
    assert "http://x" in written.text


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(5, "CNY", "CNY 0.05"), (500, "JPY", "JPY 500"), (1500, "KWD", "KWD 1.500"), (-12900, "CNY", "CNY -129.00")],
)
def test_money_is_written_as_its_currency_does(amount, currency, shown):
    assert money(amount, currency) == shown


@given(st.text(max_size=12))
def test_any_wish_for_a_language_has_an_answer(wish):
    assert locale_of(wish) in LOCALES


def test_chinese_is_chinese_wherever_it_is_read():
    assert [locale_of(tag) for tag in ("zh", "zh-Hant-TW", "en-GB", "fr")] == ["zh-CN", "zh-CN", "en", "en"]
