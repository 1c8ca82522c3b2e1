# SPDX-License-Identifier: GPL-3.0-or-later
"""The image, booted from its own partitions by its own init, and used from the PC's side."""

import html
import subprocess
from pathlib import Path
from typing import Any

import pytest

from appliance.leds.patterns import Pattern
from image.boards import Board
from tests.image import pc
from tests.image.disk import Disk
from tests.image.machine import Machine
from tests.image.made.conftest import write_card

Results = dict[str, Any]


@pytest.fixture(scope="module")
def first(board: Board, card: Disk) -> Results:
    """A card's first start."""
    with Machine(board, card, pc.make(board), "first") as machine:
        results = machine.results()
        machine.wait_for_end()
    return results


@pytest.fixture(scope="module")
def second(board: Board, card: Disk, first: Results) -> Results:
    """The second start, whose power goes in the middle of an upload."""
    with Machine(board, card, pc.make(board), "second") as machine:
        return machine.results("cut")


@pytest.fixture(scope="module")
def third(board: Board, card: Disk, second: Results) -> Results:
    """The start after the power cut."""
    with Machine(board, card, pc.make(board), "third") as machine:
        results = machine.results()
        machine.wait_for_end()
    return results


@pytest.fixture(scope="module")
def wrong(board: Board, image: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A card of the wrong board with a broken settings file, so small that the share is missing."""
    # QEMU has SD cards of such sizes only.
    size = 512 << 20
    bad = write_card(image, tmp_path_factory.mktemp("wrong"), size)
    bad.move(4, size)
    bad.put_boot_file("mtp-appliance.toml", b'name = "unfinished\r\n')
    model = "Raspberry Pi 3 Model B Rev 1.2"
    with Machine(board, bad, pc.make(board), "wrong", model=model) as machine:
        results = machine.results()
        machine.wait_for_end()
    return results | {"boot files": bad.boot_names()}


@pytest.mark.parametrize("start", ["first", "second", "third"])
def test_no_unit_has_failed(start: str, request: pytest.FixtureRequest) -> None:
    results = request.getfixturevalue(start)
    assert results["failed"] == []
    assert results["notes"] == {}


def test_nothing_is_loaded_that_the_board_does_not_have(first: Results) -> None:
    assert {"cfg80211", "drm"} & set(first["modules"]) == set()


def test_the_pc_sees_the_device_and_moves_files(first: Results) -> None:
    assert "1d6b:0104" in first["detected"] or "MTP Appliance" in first["detected"]
    assert "old.bin" in first["files"]
    assert first["fetched"] == first["sent"]


def test_the_pc_gets_an_address_and_no_way_to_anywhere(first: Results) -> None:
    address, *others = first["lease"].split()
    assert address.startswith("10.")
    assert others == []


def test_the_settings_page_answers(first: Results) -> None:
    assert "MTP Appliance" in first["page"]
    assert "This appliance belongs to nobody yet" in first["page"]


def shows(light: list[tuple[bool, float]], pattern: Pattern) -> bool:
    """Whether all steps of a pattern were seen from their beginning to their end."""
    whole = light[1:-1]
    return all(
        any(lit is on and abs(length - seconds) < 0.2 for on, length in whole)
        for lit, seconds in pattern.value.steps
    )


def test_the_light_says_connected(first: Results) -> None:
    assert [lit for lit, _ in first["light"]] == [True]


def test_the_share_grows_to_the_card(first: Results) -> None:
    assert first["share"] > 1_200_000_000


def test_file_systems_and_swap(first: Results) -> None:
    mounts = first["mounts"]
    assert mounts["/"] == ["squashfs", "ro"]
    assert mounts["/boot/firmware"] == ["vfat", "ro"]
    assert mounts["/var"] == mounts["/etc/mtp-appliance"] == ["ext4", "rw"]
    assert mounts["/srv/share"] == ["ext4", "rw"]
    assert first["swap"] == []


def test_what_was_set_is_kept_and_the_card_knows_itself(first: Results, second: Results) -> None:
    assert "Kept over a start" in second["detected"]
    assert len(first["machine-id"]) == 32
    assert second["machine-id"] == first["machine-id"]


def test_after_the_power_cut_the_old_files_are_whole(
    first: Results, second: Results, third: Results
) -> None:
    assert second["cut"] > 8 << 20
    assert "old.bin" in third["files"]
    assert "big.bin" not in third["files"]
    assert third["fetched"] == first["sent"]
    assert third["remains"] < 1 << 20


def test_the_card_is_clean_after_it_all(card: Disk, third: Results) -> None:
    assert third["done"]
    for number in (3, 4):
        (card.scratch / f"part{number}").unlink(missing_ok=True)
        checked = subprocess.run(
            ["/sbin/e2fsck", "-fn", card.part(number)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout


def test_a_full_share_is_said_and_gives_its_files(first: Results, third: Results) -> None:
    assert any("is full" in each for each in third["full warnings"])
    assert "is full" in third["full page"]
    assert shows(third["full light"], Pattern.ERROR)
    assert "is full" in third["full told"]["mtp-appliance-log.txt"]
    assert third["boot"].split(",")[0] == "ro"
    assert third["full fetched"] == first["sent"]
    assert "more.bin" not in third["full files"]


def test_broken_settings_are_said_and_those_before_stay(third: Results) -> None:
    words = "the settings have errors"
    assert any(words in each for each in third["broken warnings"])
    assert words in third["broken page"]
    assert shows(third["broken light"], Pattern.ERROR)
    assert words in third["broken told"]["mtp-appliance-log.txt"]
    assert "Kept over a start" in third["broken detected"]
    assert "old.bin" in third["broken files"]


def test_a_bad_card_works_as_far_as_it_can(wrong: Results) -> None:
    assert "1d6b:0104" in wrong["detected"] or "MTP Appliance" in wrong["detected"]
    assert "MTP Appliance" in wrong["page"]
    assert wrong["failed"] == []


@pytest.mark.parametrize(
    "words",
    [
        "the card is smaller than the image",
        "the card has no partition for the files",
        "this is a Raspberry Pi 3 Model B",
        "mtp-appliance.toml on the card does not count",
    ],
)
def test_what_is_wrong_with_the_card_is_said(wrong: Results, words: str) -> None:
    assert any(words in each for each in wrong["warnings"])
    assert words in html.unescape(wrong["page"])
    assert words in wrong["told"]["mtp-appliance-log.txt"]


def test_what_is_wrong_with_its_settings_is_written_beside_them(wrong: Results) -> None:
    assert "mtp-appliance.toml" in wrong["told"]["mtp-appliance-errors.txt"]
    assert {"mtp-appliance-log.txt", "mtp-appliance-errors.txt"} <= wrong["boot files"]


def test_the_light_says_that_something_is_wrong(wrong: Results) -> None:
    assert shows(wrong["light"], Pattern.ERROR)
