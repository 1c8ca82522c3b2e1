# SPDX-License-Identifier: GPL-3.0-or-later
"""The host looks at a card by itself: what it says of a good one, and of others."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.power import looking
from tests.power.file_system import make_card
from tests.power.judge import Judge
from tests.power.model import Expected, content
from tests.power.verdicts import complaints
from tests.vm.image import find_program

SETTINGS = 'version = 1\n\n[trash]\ndays = 7\n\n[[storages]]\npath = "/srv/share"\n'


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    judge = Judge(tmp_path)
    make_card(judge.card)
    return judge


def put(judge: Judge, tmp_path: Path, files: dict[str, bytes]) -> None:
    """Make a card anew, with files on it."""
    kept = tmp_path / "made" / "kept"
    for name, data in files.items():
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).write_bytes(data)
    make = (find_program("mke2fs"), "-q", "-F", "-t", "ext4", "-d", str(kept.parent))
    subprocess.run([*make, str(judge.card)], check=True)
    shutil.rmtree(kept.parent)


def answered() -> Expected:
    """What is expected where one file, one folder and one setting were answered."""
    made = Expected()
    for each in (["folder", "Folder"], ["put", "Folder/1", 1, 70_000], ["days", 7]):
        made.follow([each, "done"])
    return made


GOOD = {
    "srv/share/Folder/1": content(1, 70_000),
    "etc/mtp-appliance/settings.toml": SETTINGS.encode(),
}


@pytest.mark.parametrize(
    ("other", "about"),
    [
        ({}, set()),
        # The start removes what is left of an upload, and keeps what was deleted.
        ({"srv/share/.mtp-appliance/77-abc/1-x": b"half"}, set()),
        ({"srv/share/.mtp-appliance/trash/files/1": b"deleted"}, set()),
        ({"srv/share/Folder/1": content(1, 60_000)}, {"file"}),
        ({"srv/share/Folder/2": b"of nowhere"}, {"file"}),
        ({"srv/share/Other/1": b""}, {"file"}),
        ({"etc/mtp-appliance/settings.toml": SETTINGS.replace("7", "8").encode()}, {"file"}),
        ({"etc/mtp-appliance/settings.toml": SETTINGS[:-9].encode()}, {"settings", "file"}),
    ],
)
def test_what_is_wrong_is_said(
    judge: Judge, tmp_path: Path, other: dict[str, bytes], about: set[str]
) -> None:
    put(judge, tmp_path, GOOD | other)
    wrong = complaints(answered(), judge.look(None))
    assert {each.partition(":")[0] for each in wrong} == about, wrong


def test_a_card_without_a_share_is_of_no_use(judge: Judge, tmp_path: Path) -> None:
    assert "no share" in judge.look(None)["unusable"]


def test_a_damaged_file_system_is_of_no_use(judge: Judge, tmp_path: Path) -> None:
    put(judge, tmp_path, GOOD)
    data = bytearray(judge.card.read_bytes())
    data[1 << 20 : 12 << 20] = random.Random(1).randbytes(11 << 20)
    judge.card.write_bytes(data)
    wrong = complaints(answered(), judge.look(None))
    assert wrong
    assert wrong[0].startswith("unusable")


@pytest.mark.parametrize("damage", ["links_count 5", "blocks 4000", "block[0] 0"])
def test_what_a_repair_mends_is_wrong_too(judge: Judge, tmp_path: Path, damage: str) -> None:
    put(judge, tmp_path, GOOD)
    change = f"set_inode_field /kept/srv/share/Folder/1 {damage}"
    argv = [find_program("debugfs"), "-w", "-R", change, str(judge.card)]
    subprocess.run(argv, check=True, capture_output=True)
    assert "unusable" in judge.look(None)


@pytest.mark.parametrize(
    ("names", "remain"),
    [
        (["trash/files/a", "trash/info/a.trashinfo", "trash/days.json"], []),
        (["trash/files/folder/in it", "trash/info/folder.trashinfo"], []),
        (["trash/days.json.new", "state/references.json", "88-own/"], []),
        (["77-upload"], ["77-upload"]),
        (["88-own/1-x"], ["88-own/1-x"]),
        (["88-own/", "99-old/"], ["99-old"]),
        (["trash/info/a.trashinfo"], ["trash/info/a.trashinfo"]),
        (["trash/files/a", "trash/info/a.trashinfo.new"], ["trash/info/a.trashinfo.new"]),
        (["trash/a"], ["trash/a"]),
        (["state/references.json.damaged"], ["state/references.json.damaged"]),
        (["trash/expunged/folder/"], ["trash/expunged/folder"]),
    ],
)
def test_what_remains_is_named(tmp_path: Path, names: list[str], remain: list[str]) -> None:
    workplace = tmp_path / "srv/share/.mtp-appliance"
    for name in names:
        place = workplace / name
        (place if name.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            place.write_bytes(b"")
    named = looking.look(None, tmp_path)["remains"]
    assert [str(Path(each).relative_to(workplace)) for each in named] == remain
