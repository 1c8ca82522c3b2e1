# SPDX-License-Identifier: GPL-3.0-or-later
"""An image put together of a small root: what lies where, and the same each time."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from image import assemble, release
from image.boards import BOARDS
from image.layout import ALIGNMENT, MIB
from tests.image.disk import Disk
from tests.image.scripts import IMAGE, functions
from tests.image.trees import make_root

EPOCH = 1_750_000_000


def build(
    folder: Path, board: str = "zero2w", mask: int = 0o022, made: float | None = None
) -> Disk:
    """Put an image together of a root whose files are of the date `made`; None: of today."""
    folder.mkdir()
    root = make_root(folder / "root", BOARDS[board])
    if made is not None:
        for each in root.rglob("*"):
            os.utime(each, (made, made))
    os.umask(mask)
    work = folder / "work"
    work.mkdir()
    assemble.assemble(root, BOARDS[board], folder / "card.img", work, EPOCH)
    scratch = folder / "scratch"
    scratch.mkdir()
    return Disk(folder / "card.img", scratch)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return build(tmp_path_factory.mktemp("image") / "one")


def test_the_same_root_gives_the_same_image(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    again = build(tmp_path / "two", mask=0o077, made=EPOCH - 86_400)
    parts = {number: digest(disk.part(number)) for number in range(1, 5)}
    assert {number: digest(again.part(number)) for number in range(1, 5)} == parts
    assert digest(disk.path) == digest(again.path)


def test_the_table(disk: Disk) -> None:
    table = disk.table()
    assert (table["label"], table["id"]) == ("dos", "0x4d545041")
    found = [(each["type"], each["start"] * 512 % ALIGNMENT) for each in table["partitions"]]
    assert found == [("c", 0), ("83", 0), ("83", 0), ("83", 0)]
    assert table["partitions"][0]["bootable"]


@pytest.mark.parametrize(("number", "label"), [(3, "mtp-state"), (4, "mtp-share")])
def test_the_writable_file_systems_are_clean_and_journalled(
    disk: Disk, number: int, label: str
) -> None:
    checked = subprocess.run(
        ["/sbin/e2fsck", "-fn", disk.part(number)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    about = disk.ext4(number, "stats -h")
    assert label in about
    assert "has_journal" in about


def test_the_share_is_the_responders_and_can_grow(disk: Disk) -> None:
    assert f"User: {os.getuid():5d}   Group: {os.getgid():5d}" in disk.ext4(4, "stat /")
    assert "Mode:  02775" in disk.ext4(4, "stat /")
    assert "lost+found" not in disk.ext4(4, "ls -l /")
    # Where it is damaged, nothing more is written to it; the state is repaired at the next start.
    behaviour = {n: disk.ext4(n, "stats -h").partition("Errors behavior:")[2] for n in (3, 4)}
    assert behaviour[4].split("\n")[0].strip() == "Remount read-only"
    assert behaviour[3].split("\n")[0].strip() == "Continue"
    blocks = disk.ext4(4, "stats -h").partition("Reserved GDT blocks:")[2].split()[0]
    # Each block of the table holds 64 groups of 128 MiB.
    assert (int(blocks) + 1) * 64 * 128 * MIB >= 1 << 40


def test_the_boot_partition(disk: Disk) -> None:
    assert {
        *("bootcode.bin", "start.elf", "fixup.dat", "kernel8.img", "initrd.img", "config.txt"),
        *("cmdline.txt", "README.txt", "mtp-appliance.toml", "bcm2837-rpi-zero-2-w.dtb"),
    } <= disk.boot_names()
    tree = disk.scratch / "tree.dtb"
    tree.write_bytes(disk.boot_file("bcm2837-rpi-zero-2-w.dtb"))
    for path, key, value in (
        ("/soc/usb@7e980000", "dr_mode", "peripheral"),
        ("/leds/led-act", "linux,default-trigger", "none"),
    ):
        asked = ["fdtget", str(tree), path, key]
        assert subprocess.check_output(asked, text=True).strip() == value


def test_the_state_begins_as_var_and_the_root_keeps_its_own(disk: Disk) -> None:
    name = "var/lib/mtp-appliance-settings/settings.toml"
    assert disk.ext4(3, f"cat /{name.removeprefix('var/')}").endswith("version = 1\n")
    assert disk.root_file(name) == "version = 1\n"


def test_the_root_has_no_second_kernel(disk: Disk) -> None:
    listed = "\n".join(disk.root_listing())
    assert "vmlinuz" not in listed
    assert "raspi-firmware/start.elf" not in listed
    assert "/boot/firmware" in listed


#: Spec: doc/json-schema/os-list-schema.json of Raspberry Pi Imager, "Operating system entry".
IMAGER_ASKS_FOR = {
    *("name", "description", "icon", "url", "release_date"),
    *("extract_size", "extract_sha256", "image_download_size"),
}


def test_release_files_and_what_bmaptool_writes(disk: Disk, tmp_path: Path) -> None:
    board = BOARDS["zero2w"]
    files = release.release(disk.path, board, tmp_path, EPOCH, "https://example.org/there/")
    assert {each.name for each in files} == {
        *("card.img.xz", "card.img.bmap", "card.packages", "card.spdx.json"),
        *("mtp-appliance-imager.json", "mtp-appliance.svg", "SHA256SUMS"),
    }
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
    unpacked = subprocess.run(
        ["xz", "-dc", tmp_path / "card.img.xz"], stdout=subprocess.PIPE, check=True
    ).stdout
    assert unpacked == disk.path.read_bytes()
    assert "python3\t1:2.0+dfsg-3\tarm64\tdeb\n" in (tmp_path / "card.packages").read_text()
    about = json.loads((tmp_path / "card.entry.json").read_text())
    assert set(about) >= IMAGER_ASKS_FOR
    assert about["url"] == "https://example.org/there/card.img.xz"
    assert about["extract_size"] == len(unpacked)
    assert about["extract_sha256"] == hashlib.sha256(unpacked).hexdigest()
    target = tmp_path / "card"
    subprocess.run(
        ["bmaptool", "--quiet", "copy", tmp_path / "card.img.xz", target],
        check=True,
        capture_output=True,
    )
    assert target.read_bytes() == disk.path.read_bytes()


def test_a_base_of_which_all_is_installed_has_its_list_of_packages(tmp_path: Path) -> None:
    """As pi-gen's: nothing in it is unpacked only."""
    root = make_root(tmp_path / "root", BOARDS["zero2w"])
    lists = root / "usr/share/mtp-appliance"
    (root / "var/lib/dpkg").mkdir()
    (lists / "dpkg-status").rename(root / "var/lib/dpkg/status")
    (lists / "unpacked").unlink()
    note = functions("recipe.sh", "note_packages")
    subprocess.run(["sh", "-euc", f"root=$1; {note} note_packages", "sh", root], check=True)
    work = tmp_path / "work"
    work.mkdir()
    assemble.assemble(root, BOARDS["zero2w"], tmp_path / "card.img", work, EPOCH)
    found = {each.name for each in release.read_packages(tmp_path / "card.img")}
    assert found >= {"python3", "mtp-appliance"}


def test_a_release_is_made_of_the_base_that_is_named() -> None:
    """By make, which runs nothing here."""
    asked = ["make", "--dry-run", "-C", str(IMAGE.parent), "release", "BASE=/a.tar", "BOARD=zero"]
    assert "image build zero --base /a.tar\n" in subprocess.check_output(asked, text=True)


def test_a_root_without_the_responders_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    with pytest.raises(ApplianceError, match="no user mtp-appliance"):
        assemble.owner(tmp_path, "mtp-appliance")
