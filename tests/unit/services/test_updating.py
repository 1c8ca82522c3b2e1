# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates as a whole: refused with the reason, installed, chosen, taken back; the power failing."""

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import appliance
from appliance.errors import ApplianceError
from appliance.services import updating
from appliance.services.update_verbs import UpdateVerbs
from appliance.services.updating import Where
from appliance.update import choice as choices
from appliance.update import keys, versions
from appliance.update.choice import IMAGE, Choice
from tests.unit.update.helpers import KEY, OTHER_SECRET, PROGRAM, make_bundle

RELEASE = f"{appliance.__version__} 1 4711"
BOARD = "Raspberry Pi Zero 2 W Rev 1.0"


@pytest.fixture
def where(tmp_path: Path) -> Where:
    where = Where(
        tmp_path / "versions", tmp_path / "program", tmp_path / "run/taken-back", tmp_path / "root"
    )
    where.versions.mkdir()
    where.taken_back.parent.mkdir()
    keys.write_public(where.program / "keys/release.pub", KEY)
    (where.program / "release").write_text(f"{RELEASE}\n")
    model = where.root / "proc/device-tree/model"
    model.parent.mkdir(parents=True)
    model.write_text(f"{BOARD}\0")
    return where


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    def make(data: bytes | None = None, **values: Any) -> Path:
        path = tmp_path / "a.mtp-update"
        path.write_bytes(make_bundle(**values) if data is None else data)
        return path

    return make


def choice(where: Where) -> Choice:
    return choices.read(where.versions, RELEASE)


def settle(where: Where) -> None:
    """Let the version on trial have been seen to run."""
    choices.write(where.versions, choice(where).confirmed())


def test_installed_it_is_chosen_on_trial(where: Where, bundle: Callable[..., Path]) -> None:
    where.taken_back.write_text("before")
    found = updating.install(bundle(), where=where)
    name = versions.directory_name(found.manifest)
    assert choice(where) == Choice(name, RELEASE, choices.TRIAL)
    assert {n: (where.versions / name / n).read_bytes() for n in PROGRAM} == PROGRAM
    assert not where.taken_back.exists()
    told = updating.status(where)
    assert (told.running, told.image) == (appliance.__version__, appliance.__version__)
    assert (told.installed, told.chosen, told.trial, told.starts) == (("9.1.0",), "9.1.0", False, 0)
    assert told.keys == (str(KEY),)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"secret": OTHER_SECRET}, "not trusted here"),
    ({"data": make_bundle()[:-1]}, "cut short"),
    ({"data": make_bundle() + b"\0"}, "altered"),
    ({"data": b"\x89PNG"}, "no update"),
    ({"machines": ("pdp11",)}, "is for pdp11, and this is"),
    (
        {"boards": ("Raspberry Pi 5", "Banana")},
        f"is for Raspberry Pi 5 or Banana, and this is {BOARD}",
    ),
    ({"base": 2}, "needs a system of base 2, and this one has 1"),
    ({"version": "0.0.1"}, "which is not newer than"),
    ({"version": appliance.__version__}, "which is not newer than"),
    ({"files": {"../x/y": b"x", "appliance/__init__.py": b""}}, "no name for a file"),
    ({"files": {"webui/__init__.py": b"1"}}, "no program"),
    ({"files": {"appliance/__init__.py": b"= 3"}}, "Python cannot run"),
]


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_refused(
    values: dict[str, Any], words: str, where: Where, bundle: Callable[..., Path]
) -> None:
    with pytest.raises(ApplianceError) as caught:
        updating.install(bundle(**values), where=where)
    assert words in caught.value.message
    assert caught.value.hint
    assert choice(where) == Choice(image=RELEASE)
    assert versions.installed(where.versions) == ()


@pytest.mark.parametrize(
    "values",
    [
        {"machines": (os.uname().machine, "pdp11")},
        {"boards": ("Raspberry Pi Zero 2",)},
        {"boards": ("Banana", "Raspberry Pi")},
    ],
)
def test_for_this_machine(
    values: dict[str, Any], where: Where, bundle: Callable[..., Path]
) -> None:
    assert updating.check(bundle(**values), where).manifest.version == "9.1.0"


def test_an_older_one_is_installed_when_it_is_meant(
    where: Where, bundle: Callable[..., Path]
) -> None:
    updating.install(bundle(version="0.0.1"), older=True, where=where)
    assert updating.status(where).chosen == "0.0.1"


def test_on_an_ordinary_machine_nothing_is_taken(where: Where, bundle: Callable[..., Path]) -> None:
    (where.program / "release").unlink()
    with pytest.raises(ApplianceError, match="no appliance that takes updates"):
        updating.install(bundle(), where=where)
    assert updating.status(where).image == ""


def test_a_key_of_the_owner(where: Where, bundle: Callable[..., Path], tmp_path: Path) -> None:
    (where.program / "keys/release.pub").unlink()
    with pytest.raises(ApplianceError, match="no key to check"):
        updating.check(bundle(), where)
    keys.write_public(tmp_path / "mine.pub", KEY)
    assert updating.trust(tmp_path / "mine.pub", where) == KEY
    assert updating.check(bundle(), where).key == KEY


def test_the_next_update_goes_back_to_the_last_good_one(
    where: Where, bundle: Callable[..., Path]
) -> None:
    for version in ("9.1.0", "9.2.0", "9.3.0"):
        updating.install(bundle(version=version), where=where)
        settle(where)
    assert updating.status(where).installed == ("9.2.0", "9.3.0")
    assert updating.roll_back(where) == "9.2.0"
    assert updating.status(where).chosen == "9.2.0"
    assert not updating.status(where).trial
    assert updating.roll_back(where) == appliance.__version__
    assert choice(where).version == IMAGE
    with pytest.raises(ApplianceError, match="none before it"):
        updating.roll_back(where)


def test_one_that_was_never_started_gives_way(where: Where, bundle: Callable[..., Path]) -> None:
    updating.install(bundle(), where=where)
    updating.install(bundle(version="9.2.0"), where=where)
    assert updating.status(where).installed == ("9.2.0",)
    assert choice(where).before == IMAGE


def test_while_one_is_on_trial_there_is_no_other(where: Where, bundle: Callable[..., Path]) -> None:
    updating.install(bundle(), where=where)
    with pytest.raises(ApplianceError, match="no version is on trial"):
        updating.confirm(where)
    started = Choice(**{**_fields(choice(where)), "starts": 1})
    choices.write(where.versions, started)
    with pytest.raises(ApplianceError, match="still on trial"):
        updating.install(bundle(version="9.2.0"), where=where)
    updating.confirm(where)
    assert choice(where) == started.confirmed()
    updating.install(bundle(version="9.2.0"), where=where)


def _fields(value: Choice) -> dict[str, Any]:
    return {name: getattr(value, name) for name in Choice.__slots__}


def test_what_was_taken_back_is_told_of_until_it_was_seen(where: Where) -> None:
    choices.write(where.versions, Choice(IMAGE, RELEASE, failed="9.1.0-0123abcd", why="it fell"))
    where.taken_back.write_text("version 9.1.0 was taken back: it fell\n")
    assert updating.status(where).last == "9.1.0: it fell"
    updating.confirm(where)
    assert not where.taken_back.exists()
    assert updating.status(where).last == "9.1.0: it fell"


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no room"), (errno.EROFS, "cannot be written"), (errno.EIO, "cannot be")],
)
def test_a_disk_that_fails(
    number: int,
    words: str,
    where: Where,
    bundle: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = bundle()

    def fail(fd: int, data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(ApplianceError, match=words):
        updating.install(path, where=where)
    assert choice(where) == Choice(image=RELEASE)
    assert versions.installed(where.versions) == ()


class PowerCutError(BaseException):
    """The power fails: nothing of the program runs on."""


STEPS = ("mkdir", "open", "write", "fsync", "fchmod", "rename", "replace", "unlink", "rmdir")


def cuts(patch: pytest.MonkeyPatch, moment: int) -> Callable[[], int]:
    """Let the power fail at so many steps from now; how many there have been."""
    count = 0

    def cutting(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count >= moment:
                raise PowerCutError
            return original(*arguments, **named)

        return call

    for name in STEPS:
        patch.setattr(os, name, cutting(getattr(os, name)))
    return lambda: count


def moments(patch: pytest.MonkeyPatch, where: Where, act: Callable[[], object]) -> Iterator[int]:
    """Do something with the power failing at its first step, at its second, until it gets done.

    Each time, what was there before is there again.
    """
    before = where.versions.with_name("before")
    shutil.copytree(where.versions, before)
    for moment in itertools.count(1):
        shutil.rmtree(where.versions)
        shutil.copytree(before, where.versions)
        with patch.context() as context:
            cuts(context, moment)
            try:
                act()
            except PowerCutError:
                pass
            else:
                return
        yield moment


def test_the_power_fails_at_each_step(
    where: Where, bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is chosen is the old version or the new one, and that is whole; the next try works."""
    updating.install(bundle(), where=where)
    settle(where)
    old = choice(where)
    path = bundle(version="9.2.0")
    seen = set[str]()
    for moment in moments(monkeypatch, where, lambda: updating.install(path, where=where)):
        now = choice(where)
        seen.add(now.version)
        assert now == old or (now.is_on_trial and now.before == old.version), moment
        assert now.version in versions.installed(where.versions), moment
        for name, data in PROGRAM.items():
            assert (where.versions / now.version / name).read_bytes() == data, moment
        updating.install(path, where=where)
        assert updating.status(where).chosen == "9.2.0"
        assert not (where.versions / ".new").exists()
    assert len(seen) == 2
    assert updating.status(where).chosen == "9.2.0"
    assert not (where.versions / ".new").exists()


def test_the_power_fails_while_going_back(
    where: Where, bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    updating.install(bundle(), where=where)
    settle(where)
    old = choice(where)
    seen = [choice(where) for _ in moments(monkeypatch, where, lambda: updating.roll_back(where))]
    assert set(seen) == {old, Choice(image=RELEASE)}
    assert choice(where) == Choice(image=RELEASE)


@pytest.fixture
def verbs(where: Where, tmp_path: Path) -> UpdateVerbs:
    share, uploads = tmp_path / "share", tmp_path / "uploads"
    for each in (share, uploads):
        each.mkdir()
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[[storages]]\npath = "{share}"\n')
    return UpdateVerbs(where, settings, uploads)


def test_verbs_of_the_helper(verbs: UpdateVerbs, tmp_path: Path) -> None:
    table = verbs.verbs()
    dropped = tmp_path / "share" / "new.mtp-update"
    dropped.write_bytes(make_bundle(version="0.0.1"))
    (tmp_path / "share" / "other.mtp-update").mkdir()
    (tmp_path / "share" / "link.mtp-update").symlink_to(dropped)
    (tmp_path / "share" / "song.mp3").touch()
    Path(os.fsdecode(os.fsencode(tmp_path / "share") + b"/\xff.mtp-update")).touch()  # no text
    found = table["update find"]()
    assert [each["path"] for each in found] == [str(dropped)]
    told = table["update check"](path=str(dropped))
    assert (told["version"], told["older"], told["notes"]) == ("0.0.1", True, "- It is better.")
    with pytest.raises(ApplianceError, match="not newer"):
        table["update install"](path=str(dropped))
    with pytest.raises(ApplianceError, match="not newer"):
        table["update install"](path=str(dropped), older="yes")
    assert table["update install"](path=str(dropped), older=True)["version"] == "0.0.1"
    assert table["update status"]()["chosen"] == "0.0.1"
    assert table["update roll back"]() == {"version": appliance.__version__}
    uploaded = tmp_path / "uploads" / "bundle.mtp-update"
    uploaded.write_bytes(make_bundle())
    assert table["update check"](path=str(uploaded))["older"] is False


@pytest.mark.parametrize(
    "path", ["", "x", "/etc/passwd", "{0}/deep/x", "{0}/../x", "{0}/..", "{0}/a\0", "{0}", "/"]
)
def test_the_helper_looks_nowhere_else(path: str, verbs: UpdateVerbs, tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="from a storage or an upload alone"):
        verbs.check(path.format(tmp_path / "share"))
