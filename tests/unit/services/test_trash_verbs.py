# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks of the trash, where a storage is not as it should be."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.mtp.device import Device
from appliance.mtp.responder import Responder
from appliance.services.trash_verbs import TrashVerbs
from appliance.storage import Catalogue, Folder, TrashPolicy
from tests.fakes.device import IDENTITY, ForgetfulState, TestHost
from tests.unit.storage.helpers import FIRST, SECOND, find, put


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Catalogue]:
    folders = [Folder(tmp_path / name, name) for name in ("Card", "Stick")]
    for each in folders:
        each.path.mkdir()
    with Catalogue(folders, trash=TrashPolicy()) as catalogue:
        yield catalogue


@pytest.fixture
def person(store: Catalogue) -> TrashVerbs:
    device = Device(IDENTITY, ForgetfulState(), TestHost())
    return TrashVerbs(store, Responder(device, store))


def test_the_trash_of_the_others_while_one_is_away(store: Catalogue, person: TrashVerbs) -> None:
    store.delete(put(store, "file", b"1"))
    store.eject(SECOND)
    assert [each["storage"] for each in person.listed()] == ["Card"]
    with pytest.raises(ApplianceError, match="Stick cannot be emptied"):
        person.empty("", "Stick")
    assert person.empty("", "") == 1


def test_the_trash_of_the_others_while_one_is_read_only(
    store: Catalogue, person: TrashVerbs
) -> None:
    store.delete(put(store, "file", b"1"))
    store.set_read_only(FIRST, read_only=True)
    assert person.empty("", "") == 0
    with pytest.raises(ApplianceError, match="Card cannot be emptied"):
        person.empty("", "Card")
    store.set_read_only(FIRST, read_only=False)
    assert person.restore("file", "") == "Card"


def test_the_newest_of_all_storages(
    store: Catalogue, person: TrashVerbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for later, (folder, storage) in enumerate([("Stick", SECOND), ("Card", FIRST)] * 2):
        name = f"file {later}"
        (tmp_path / folder / name).write_text(name)
        monkeypatch.setattr(time, "time", lambda later=later: now + 10 * later)
        store.delete(find(store, name, storage=storage))

    def names(most: int | None) -> list[str]:
        return [each["name"].removeprefix("file ") for each in person.listed(most)]

    assert names(None) == ["1", "3", "0", "2"]
    assert names(3) == ["1", "2", "3"]
    assert names(9) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("act", ["restore", "empty"])
def test_a_name_in_two_storages_has_to_be_told_apart(
    store: Catalogue, person: TrashVerbs, tmp_path: Path, act: str
) -> None:
    for name, storage in (("Card", FIRST), ("Stick", SECOND)):
        (tmp_path / name / "file").write_text(name)
        store.delete(find(store, "file", storage=storage))
    with pytest.raises(ApplianceError, match="file is in the trash of Card, Stick"):
        getattr(person, act)("file", "")
    assert [each["storage"] for each in person.listed()] == ["Card", "Stick"]
    assert getattr(person, act)("file", "Stick") == ("Stick" if act == "restore" else 1)
    assert getattr(person, act)("file", "") == ("Card" if act == "restore" else 1)
    with pytest.raises(ApplianceError, match="file is not in the trash"):
        getattr(person, act)("file", "")
