"""The smallest pieces: money, ids, time, settings, refusals, signatures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel import clock, errors, settings
from shared.kernel.ids import group_number, is_group_number, luhn, new_id
from shared.kernel.money import allocate, percentage
from shared.kernel.settings import BadSettings

AMOUNTS = st.integers(-(10**15), 10**15)
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)


@given(AMOUNTS, WEIGHTS)
def test_shares_sum_to_the_whole_and_are_fair_to_one_minor_unit(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    assert sum(shares) == total
    whole = sum(weights) or len(weights)
    for share, weight in zip(shares, weights if any(weights) else [1] * len(weights), strict=True):
        assert abs(share * whole - total * weight) < whole


@given(AMOUNTS, WEIGHTS)
def test_shares_of_a_refund_are_those_of_the_payment(total: int, weights: list[int]) -> None:
    assert allocate(-total, weights) == [-share for share in allocate(total, weights)]


def test_a_remainder_goes_to_the_larger_fraction_and_then_to_the_earlier() -> None:
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(10, [3, 3, 1]) == [4, 4, 2]
    assert allocate(5, [0, 0]) == [3, 2]
    assert allocate(5, [0, 1]) == [0, 5]


@pytest.mark.parametrize("weights", [[], [-1], [1, -1]])
def test_nothing_can_be_shared_over_nobody_or_less(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        allocate(1, weights)


def test_a_percentage_is_rounded_half_up() -> None:
    assert [percentage(amount, 500) for amount in (9, 10, 29, 30, 1000)] == [0, 1, 1, 2, 50]


def test_ids_grow_with_time_and_never_repeat() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert {one[14] for one in ids} == {"7"}


def test_a_group_number_survives_a_typing_slip() -> None:
    number = group_number()
    assert is_group_number(number)
    for place in range(1, 17):
        for digit in set("0123456789") - {number[place]}:
            assert not is_group_number(number[:place] + digit + number[place + 1 :])
    for wrong in ("", "G", number[1:], number + "0", "H" + number[1:], number.replace(number[5], "٣")):
        assert not is_group_number(wrong)


def test_the_check_digit_is_luhns() -> None:
    assert luhn("7992739871") == "3"


def test_times_are_written_and_read_in_utc() -> None:
    moment = datetime(2026, 11, 22, 8, 0, 0, 123, UTC)
    assert clock.rfc3339(moment) == "2026-11-22T08:00:00.000123Z"
    assert clock.parse_rfc3339("2026-11-22T16:00:00.000123+08:00") == moment
    assert clock.parse_rfc3339(clock.rfc3339(clock.machine_now())) <= clock.machine_now() + timedelta(seconds=1)
    for wrong in ("2026-11-22T08:00:00", "yesterday", ""):
        with pytest.raises(ValueError, match=r".+"):
            clock.parse_rfc3339(wrong)


def test_a_refusal_has_a_code_of_its_name_and_a_title_of_its_docstring() -> None:
    class OutOfPaper(errors.Conflict):
        """There is no paper left.

        More for developers."""

    refusal = OutOfPaper(field="paper", left=0)
    assert (refusal.code, refusal.status, refusal.title()) == ("out_of_paper", 409, "There is no paper left.")
    assert (refusal.field, refusal.more) == ("paper", {"left": 0})
    assert OutOfPaper in errors.catalogue()


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("SECRET", "PROVIDER_SECRET", "CARRIER_SECRET"):
        monkeypatch.setenv(f"CARAVAN_{name}", "s" * 32 + name)
    monkeypatch.setenv("CARAVAN_ENV", "production")
    return monkeypatch


def test_production_starts_with_its_own_secrets_and_without_the_sandbox(production: pytest.MonkeyPatch) -> None:
    assert settings.load("order").production
    assert not settings.load("order").sandbox
    production.setenv("CARAVAN_OUTBOUND_ALLOWED", "")
    assert settings.load("order").outbound_allowed == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET", "short"),
        ("SECRET", "s" * 32 + ",short"),
        ("SECRET", ","),
        ("CARRIER_SECRET", f"{'s' * 32},{settings.DEVELOPMENT_SECRET}"),
        ("SECRET", settings.DEVELOPMENT_SECRET),
        ("PROVIDER_SECRET", ""),
        ("SANDBOX", "true"),
        ("OUTBOUND_ALLOWED", "127.0.0.1/32"),
    ],
)
def test_production_refuses_what_is_fit_for_development_only(
    production: pytest.MonkeyPatch, name: str, value: str
) -> None:
    production.setenv(f"CARAVAN_{name}", value)
    with pytest.raises(BadSettings):
        settings.load("order")


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("CARAVAN_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("CARAVAN_SECRET", "from the environment")
    assert settings.load("order").secret == "from a file"


def test_a_service_on_a_server_that_names_no_vault_makes_none(monkeypatch):
    monkeypatch.setenv("CARAVAN_DATABASE_URL", "postgresql+psycopg://catalog:secret@postgres/catalog")
    assert settings.load("catalog").vault_url == settings.NO_VAULT
    monkeypatch.setenv("CARAVAN_DATABASE_URL", "sqlite:////var/lib/caravan/catalog.sqlite")
    monkeypatch.setenv("CARAVAN_HOME", "/var/lib/caravan")
    assert settings.load("catalog").vault_url == "sqlite:////var/lib/caravan/vault.sqlite"
