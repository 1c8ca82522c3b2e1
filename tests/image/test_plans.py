# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts: the layout, the boot partition's text, the lists of packages."""

import json
import os
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from image import boot_files, packages
from image.__main__ import main, source_date
from image.boards import BOARDS, find_board
from image.layout import ALIGNMENT, MIB, Layout, plan, sfdisk_script
from image.release import write_manifest
from image.root import MODULES, START_MODULES
from image.sbom import sbom

STATUS = """Package: libc6
Status: install ok installed
Architecture: arm64
Source: glibc (2.41-1)
Version: 2.41-12
Description: words
 more words

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""


@pytest.mark.parametrize("size", [0, 1, ALIGNMENT, ALIGNMENT + 1, 345 * MIB + 17])
def test_partitions_lie_one_behind_the_other(size: int) -> None:
    layout = plan(size)
    parts = layout.partitions
    assert [each.name for each in parts] == ["boot", "root", "state", "share"]
    assert layout["root"].size >= size
    assert parts[0].start >= MIB
    for one, other in pairwise(parts):
        assert one.end == other.start
    assert all(each.start % ALIGNMENT == each.size % ALIGNMENT == 0 for each in parts)
    assert layout.size == parts[-1].end


def test_the_image_fits_the_smallest_card() -> None:
    assert plan(400 * MIB).size < 1_000_000_000


def test_the_script_says_what_the_plan_says() -> None:
    layout: Layout = plan(100 * MIB)
    lines = sfdisk_script(layout).splitlines()
    places = [tuple(map(int, re.findall(r"\d+", line)[:2])) for line in lines if "start" in line]
    assert places == [(each.start // 512, each.size // 512) for each in layout.partitions]


@pytest.mark.parametrize("name", BOARDS)
def test_config_and_command_line(name: str) -> None:
    board = find_board(name)
    config = boot_files.config_text(board).splitlines()
    assert "enable_uart=0" in config
    assert "initramfs initrd.img followkernel" in config
    line = boot_files.command_line()
    assert line.count("\n") == 1
    assert not re.search(r"console=(tty(S|AMA)|serial)", line)


def told(config: str, model: str) -> dict[str, str]:
    """What a board's firmware is told: of each name the last value that is for it or for all."""
    found, counts = {}, True
    for line in config.splitlines():
        if filtered := re.fullmatch(r"\[(\w+)\]", line):
            counts = filtered[1] in {"all", model}
        elif counts and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name] = value
    return found


#: Spec: config.txt, "Model filters".
MODELS = {"zero": "pi0", "zero2w": "pi02"}


@pytest.mark.parametrize("lines", [boot_files.DEBIAN_LINES, boot_files.RASPBERRY_LINES])
@pytest.mark.parametrize("name", BOARDS)
def test_a_board_loads_its_own_kernel_and_no_other(name: str, lines: tuple[str, ...]) -> None:
    board = find_board(name)
    config = boot_files.config_text(board, lines)
    for other, model in MODELS.items():
        kernel = told(config, model)["kernel"]
        assert kernel == (board.kernel_file if other == name else boot_files.NO_KERNEL)
    assert told(config, "pi02").keys() == told(config, "pi0").keys()
    assert set(lines) | {"enable_uart=0"} <= set(config.partition("[all]")[2].splitlines())


def test_no_board_finds_the_kernel_of_another() -> None:
    assert len({board.kernel_file for board in BOARDS.values()}) == len(BOARDS)
    assert boot_files.NO_KERNEL not in {board.kernel_file for board in BOARDS.values()}


@pytest.mark.parametrize("said", ["today", "1.5", "-5", "99999999999"])
def test_a_date_that_is_none_is_said_before_any_work(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", said)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    base = tmp_path / "base.tar"
    argv = ["image", "build", "zero", "--base", str(base), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", argv)
    assert main() != 0
    told = capsys.readouterr().err
    assert f"SOURCE_DATE_EPOCH={said} is no date" in told
    assert "date +%s" in told
    assert list(tmp_path.iterdir()) == []


def test_the_date_of_a_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    assert source_date() == 1_750_000_000
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert source_date() > 1_750_000_000


def test_a_board_that_there_is_no_image_for() -> None:
    with pytest.raises(ApplianceError, match="zero2w"):
        find_board("zero3")


def test_the_read_me_is_for_any_pc() -> None:
    text = boot_files.readme_text(BOARDS["zero"], "1.2.3")
    assert "1.2.3" in text
    assert text.count("\n") == text.count("\r\n")
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80


def test_what_the_start_loads_is_on_the_root_too() -> None:
    assert set(START_MODULES) <= set(MODULES)


def test_lists_of_packages() -> None:
    (found,) = packages.from_dpkg(STATUS)
    assert found == packages.Package("libc6", "2.41-12", "arm64", "glibc")
    assert found.purl == "pkg:deb/debian/libc6@2.41-12?arch=arm64"
    whole = packages.of_image(STATUS, "")
    assert {"libc6", "functionfs", "libaio", "ioctl-opt", "mtp-appliance"} == {
        each.name for each in whole
    }
    assert all(each.licence for each in whole if each.kind != "deb")


def test_each_python_package_is_pinned_by_its_content() -> None:
    lines = packages.REQUIREMENTS.read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    for line in wanted:
        assert re.fullmatch(r"[\w-]+==[\w.]+( --hash=sha256:[0-9a-f]{64})+", line), line


def test_the_list_of_packages_is_a_valid_spdx_document(tmp_path: Path) -> None:
    from spdx_tools.spdx.parser.parse_anything import parse_file  # noqa: PLC0415 - slow
    from spdx_tools.spdx.validation.document_validator import (  # noqa: PLC0415
        validate_full_spdx_document,
    )

    path = tmp_path / "image.spdx.json"
    path.write_text(sbom("a.img", "1.0", "ab" * 32, packages.of_image(STATUS, ""), 1_750_000_000))
    document = parse_file(str(path))
    assert validate_full_spdx_document(document) == []
    assert {each.name for each in document.packages} >= {"a.img", "libc6", "functionfs"}


def test_the_same_packages_give_the_same_document() -> None:
    one, two = (sbom("a.img", "1.0", "00", packages.of_image(STATUS, ""), 5) for _ in range(2))
    assert one == two


def test_the_imagers_list_has_each_image_whose_file_is_there(tmp_path: Path) -> None:
    for board in ("zero", "zero2w"):
        (tmp_path / f"a-{board}.img.xz").touch()
        (tmp_path / f"a-{board}.entry.json").write_text(json.dumps({"name": board}))
    (tmp_path / "b-zero.entry.json").write_text(json.dumps({"name": "an old one"}))
    listed = json.loads(write_manifest(tmp_path).read_text())["os_list"]
    assert [each["name"] for each in listed] == ["zero", "zero2w"]
