"""Personal data is sealed for one person and one field, and is gone everywhere when the key is."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from shared.kernel import clock
from shared.storage import vault as vaults
from shared.storage.vault import Erased, Vault, metadata


@pytest.fixture
def vault(database_url: str) -> Iterator[Vault]:
    made = Vault(database_url)
    metadata.create_all(made.database.engine)
    made.create("ann")
    yield made
    made.close()


def test_what_was_sealed_can_be_opened_and_shows_nothing(vault: Vault) -> None:
    sealed = vault.seal("ann", "delivery", {"name": "Ann", "street": "Main Street 1"})
    assert vault.open(sealed, "delivery") == {"name": "Ann", "street": "Main Street 1"}
    assert "Ann" not in sealed
    assert "ann" not in sealed
    assert sealed != vault.seal("ann", "delivery", {"name": "Ann", "street": "Main Street 1"})


def test_a_value_cannot_be_moved_to_another_field_or_person_nor_changed(vault: Vault) -> None:
    vault.create("bob")
    sealed = vault.seal("ann", "email", "ann@example.org")
    version, _, field, text = sealed.split(".")
    bobs = vault.seal("bob", "email", "").split(".")[1]
    for forged in (
        f"{version}.{bobs}.{field}.{text}",
        f"{version}.{sealed.split('.')[1]}.phone.{text}",
        sealed[:-6] + "AAAA==",
        f"v2{sealed[2:]}",
        "nonsense",
        "",
    ):
        with pytest.raises(ValueError, match=r".+"):
            vault.open(forged, "phone" if "phone" in forged else "email")
    with pytest.raises(ValueError, match="not a value sealed for this field"):
        vault.open(sealed, "phone")


def test_an_erased_person_can_neither_be_read_nor_written(vault: Vault) -> None:
    sealed = vault.seal("ann", "email", "ann@example.org")
    vault.destroy("ann")
    with pytest.raises(Erased):
        vault.open(sealed, "email")
    with pytest.raises(Erased):
        vault.seal("ann", "email", "ann@example.org")
    vault.create("ann")
    with pytest.raises(Erased):
        vault.open(sealed, "email")


def test_an_erasure_elsewhere_takes_hold_within_a_minute(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Vault(vault.database.url)
    sealed = vault.seal("ann", "email", "ann@example.org")
    elsewhere.destroy("ann")
    later = clock.monotonic() + vaults.CACHE_SECONDS + 1
    # The vaults' clock alone: others of this process keep time by the real one.
    monkeypatch.setattr(vaults, "clock", SimpleNamespace(monotonic=lambda: later))
    with pytest.raises(Erased):
        vault.open(sealed, "email")
    elsewhere.close()


def test_many_who_make_a_persons_key_at_once_make_one(vault: Vault) -> None:
    made: list[str] = []
    gate = threading.Barrier(6)

    def create() -> None:
        gate.wait()
        made.append(vault.create("cat"))

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == 1
