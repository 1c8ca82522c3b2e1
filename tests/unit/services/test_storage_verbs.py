# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings page asks of the storages: what lasts is in the settings file too."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.mtp.ports import Change, ChangeKind
from appliance.services.storage_verbs import StorageVerbs
from appliance.settings.store import SettingsFile
from appliance.storage import Catalogue, Folder

NAMES = ("Card", "Stick", "Disk")


@pytest.fixture
def file(tmp_path: Path) -> SettingsFile:
    path = tmp_path / "settings.toml"
    tables = (
        f'# about {name}\n[[storages]]\npath = "{tmp_path / name}"\nname = "{name}"\n'
        for name in NAMES
    )
    path.write_text("# mine\n\n" + "\n".join(tables))
    return SettingsFile(path, tmp_path / "state")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Catalogue]:
    for name in NAMES:
        (tmp_path / name).mkdir()
    with Catalogue([Folder(tmp_path / name, name) for name in NAMES]) as catalogue:
        yield catalogue


@pytest.fixture
def person(store: Catalogue, file: SettingsFile) -> StorageVerbs:
    return StorageVerbs(store, file)


def names(person: StorageVerbs) -> list[str]:
    return [each["name"] for each in person.listed()]


def in_file(file: SettingsFile) -> list[str]:
    return [each.name for each in file.read().settings.storages]


def test_a_name_changes_and_the_objects_keep_their_handles(
    person: StorageVerbs, store: Catalogue, file: SettingsFile, tmp_path: Path
) -> None:
    told: list[Change] = []
    (tmp_path / "Stick" / "file").touch()
    (_, stick, _) = store.storage_ids()
    before = store.children(stick, 0)
    store.listen(told.append)
    assert person.rename("Stick", "Pocket") == ""
    assert names(person) == in_file(file) == ["Card", "Pocket", "Disk"]
    assert [each.kind for each in told] == [ChangeKind.STORAGE_REMOVED, ChangeKind.STORAGE_ADDED]
    assert (store.storage(stick).name, store.children(stick, 0)) == ("Pocket", before)


@pytest.mark.parametrize("name", ["", " ", "a/b", "Card", "x" * 101, "\x1b[31m"])
def test_names_that_no_storage_can_have(
    person: StorageVerbs, file: SettingsFile, name: str
) -> None:
    with pytest.raises(ApplianceError):
        person.rename("Stick", name)
    assert names(person) == in_file(file) == list(NAMES)


def test_an_order(person: StorageVerbs, file: SettingsFile) -> None:
    person.order(["Disk", "Card", "Stick"])
    assert names(person) == in_file(file) == ["Disk", "Card", "Stick"]
    text = file.path.read_text()
    assert text.index("# about Disk") < text.index('name = "Stick"')
    assert text.index("# about Stick") < text.index('name = "Stick"')
    assert text.startswith("# mine\n")
    assert text.count("# about") == 3
    person.order(list(NAMES))
    assert names(person) == in_file(file) == list(NAMES)


@pytest.mark.parametrize("order", [[], ["Card"], [*NAMES, "Card"], ["Card", "Card", "Disk"], ["x"]])
def test_what_is_no_order(person: StorageVerbs, file: SettingsFile, order: list[str]) -> None:
    before = file.path.read_text()
    with pytest.raises(ApplianceError):
        person.order(order)
    assert (names(person), file.path.read_text()) == (list(NAMES), before)


def test_browsing(person: StorageVerbs, tmp_path: Path) -> None:
    root = tmp_path / "Card"
    (root / "b folder" / "inside").mkdir(parents=True)
    (root / "b folder" / "inside" / "deep").write_bytes(b"123")
    (root / "A file").write_bytes(b"12345")
    found = person.browse("Card")
    assert [(each["name"], each["folder"], each["size"]) for each in found] == [
        ("b folder", True, 0),
        ("A file", False, 5),
    ]
    assert [each["name"] for each in person.browse("Card", "b folder/inside")] == ["deep"]


@pytest.mark.parametrize(
    "path", ["none", "A file", "..", "../Stick", "link", "link/x", ".mtp-appliance", "a\0b", "./x"]
)
def test_there_is_no_way_out_of_a_storage(person: StorageVerbs, tmp_path: Path, path: str) -> None:
    root = tmp_path / "Card"
    (root / "A file").touch()
    (root / "link").symlink_to(tmp_path / "Stick", target_is_directory=True)
    (tmp_path / "Stick" / "x").mkdir()
    with pytest.raises(ApplianceError, match="cannot be listed"):
        person.browse("Card", path)


def test_a_storage_that_is_away_shows_nothing(person: StorageVerbs) -> None:
    person.eject("Card")
    with pytest.raises(ApplianceError, match="cannot be listed"):
        person.browse("Card")


def states(person: StorageVerbs) -> dict[str, str]:
    return {each["name"]: each["state"] for each in person.listed()}


def test_unlocking_brings_back_what_was_ejected_where_else_nothing_is_seen(
    person: StorageVerbs, tmp_path: Path
) -> None:
    """It is what "Show the files again" and the button ask for: they were told of as ejected."""
    verbs = person.verbs()
    person.eject("Card")
    verbs["storage lock"]()
    verbs["storage unlock"]()
    assert states(person) == {"Card": "ejected", "Stick": "in", "Disk": "in"}
    for name in NAMES:
        person.eject(name)
    (tmp_path / "Stick").rmdir()  # its disk was taken out
    verbs["storage unlock"]()
    assert states(person) == {"Card": "in", "Stick": "ejected", "Disk": "in"}


def test_unlocking_says_when_nothing_comes_back(person: StorageVerbs, tmp_path: Path) -> None:
    for name in NAMES:
        person.eject(name)
        (tmp_path / name).rmdir()
    with pytest.raises(ApplianceError, match="cannot be served"):
        person.verbs()["storage unlock"]()


@pytest.mark.parametrize("path", ["more", "", "{0}/more\0"])
def test_a_folder_is_added_by_its_whole_path(
    person: StorageVerbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "more").mkdir()
    monkeypatch.chdir(tmp_path)
    before = names(person)
    for lasting in (True, False):
        with pytest.raises(ApplianceError, match="begins with /"):
            person.add(path.format(tmp_path), "More", lasting=lasting)
    assert names(person) == before


def test_what_cannot_be_written_down_is_not_served(
    person: StorageVerbs, file: SettingsFile, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    before = names(person)
    file.path.write_text("name = ")
    with pytest.raises(ApplianceError):
        person.add(str(tmp_path / "more"), "More")
    assert names(person) == before


DEEDS: dict[str, Callable[[StorageVerbs], object]] = {
    "remove": lambda person: person.remove("Stick"),
    "rename": lambda person: person.rename("Stick", "Pocket"),
    "order": lambda person: person.order(["Disk", "Card", "Stick"]),
    "read-only": lambda person: person.read_only("Stick", read_only=True),
}
FAULTS = [errno.ENOSPC, errno.EIO, errno.EROFS]


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.__getitem__)
@pytest.mark.parametrize("deed", DEEDS)
def test_what_cannot_be_written_down_is_not_done(
    person: StorageVerbs,
    file: SettingsFile,
    monkeypatch: pytest.MonkeyPatch,
    deed: str,
    fault: int,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(fault, os.strerror(fault))

    before, text = person.listed(), file.path.read_text()
    with monkeypatch.context() as patched:
        patched.setattr("appliance.settings.store.write_atomically", fail)
        with pytest.raises(ApplianceError, match=os.strerror(fault)):
            DEEDS[deed](person)
    assert (person.listed(), file.path.read_text()) == (before, text)
    DEEDS[deed](person)
    assert person.listed() != before
    assert file.path.read_text() != text


def test_without_a_settings_file_it_lasts_until_the_next_start(store: Catalogue) -> None:
    person = StorageVerbs(store, None)
    for said in (
        person.rename("Card", "Other"),
        person.order(["Disk", "Stick", "Other"]),
        person.read_only("Disk", read_only=True),
    ):
        assert said == "until the next start"
