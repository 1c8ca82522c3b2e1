# SPDX-License-Identifier: GPL-3.0-or-later
"""The image that was made, looked into without mounting it."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from image.boards import Board
from image.boot_files import NO_KERNEL
from image.release import read_packages
from tests.image.disk import Disk


@pytest.fixture(scope="module")
def listing(made: Disk) -> dict[str, str]:
    """Names on the root, with what `ls -l` says before them."""
    return dict(_entries(made.root_listing()))


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        about, mark, name = line.partition(" squashfs-root/")
        if mark:
            yield name.partition(" -> ")[0], about


def test_four_partitions(made: Disk) -> None:
    table = made.table()["partitions"]
    assert [each["type"] for each in table] == ["c", "83", "83", "83"]


def test_the_boot_partition_is_for_this_board_alone(made: Disk, board: Board) -> None:
    names = made.boot_names()
    kernels = {name for name in names if re.fullmatch(r"kernel.*\.img", name)}
    assert kernels == {board.kernel_file}
    assert {*board.device_trees, "config.txt", "cmdline.txt", "README.txt"} <= names
    assert NO_KERNEL not in names
    assert f"kernel={board.kernel_file}" in made.boot_file("config.txt").decode().split()


def test_the_fat_is_clean(made: Disk) -> None:
    checked = subprocess.run(
        ["/sbin/fsck.fat", "-n", made.part(1)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("number", [3, 4])
def test_the_writable_file_systems_are_clean(made: Disk, number: int) -> None:
    checked = subprocess.run(
        ["/sbin/e2fsck", "-fn", made.part(number)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_nobody_can_log_in(made: Disk) -> None:
    shadow = [line.split(":") for line in made.root_file("etc/shadow").splitlines()]
    assert {name: word for name, word, *_ in shadow if not word.startswith(("!", "*"))} == {}
    assert {changed for _, _, changed, *_ in shadow} == {""}, "the image of another day is another"
    people = [line.split(":") for line in made.root_file("etc/passwd").splitlines()]
    assert [each[0] for each in people if 1000 <= int(each[2]) < 60000] == []


@pytest.mark.parametrize(
    "name",
    [
        "usr/sbin/sshd",
        "usr/bin/apt",
        "var/lib/dpkg/status",
        "etc/systemd/system/multi-user.target.wants/systemd-networkd-wait-online.service",
        "etc/ssh/ssh_host_ed25519_key",
    ],
)
def test_what_must_not_be_there(listing: dict[str, str], name: str) -> None:
    assert name not in listing


@pytest.mark.parametrize(
    "name",
    [
        "usr/bin/mtp-appliance",
        "usr/lib/mtp-appliance/appliance/cli/__init__.py",
        "usr/lib/mtp-appliance/functionfs/__init__.py",
        "usr/lib/mtp-appliance/libaio/__init__.py",
        "usr/lib/mtp-appliance/ioctl_opt/__init__.py",
        "etc/systemd/system/multi-user.target.wants/mtp-appliance.target",
        "etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
        "etc/systemd/system/multi-user.target.wants/mtp-appliance-grow.service",
        "etc/systemd/system/multi-user.target.wants/mtp-appliance-card-log.timer",
        "usr/share/doc/mtp-appliance/copyright",
        "usr/share/doc/python3/copyright",
    ],
)
def test_what_must_be_there(listing: dict[str, str], name: str) -> None:
    assert name in listing


def test_names_are_looked_up_where_there_is_wifi_and_only_there(
    made: Disk, listing: dict[str, str]
) -> None:
    lines = [line for line in made.root_listing() if " squashfs-root/etc/resolv.conf" in line]
    assert [line.partition(" -> ")[2] for line in lines] == ["../run/systemd/resolve/resolv.conf"]
    assert "etc/.resolv.conf.systemd-resolved.bak" not in listing
    units = "usr/lib/systemd/system"
    assert f"{units}/systemd-resolved.service" in listing
    wanted = made.root_file(f"{units}/mtp-appliance-wifi.service.d/image.conf")
    assert "Wants=systemd-resolved.service" in wanted
    condition = "ConditionPathExists=/run/mtp-appliance-wifi/wpa_supplicant.conf"
    for unit in ("mtp-appliance-wifi.service", "systemd-resolved.service.d/image.conf"):
        assert condition in made.root_file(f"{units}/{unit}").splitlines()
    enabled = [name for name in listing if name.startswith("etc/systemd/system/")]
    assert [name for name in enabled if "resolve" in name] == []
    assert any(name.endswith("/systemd-timesyncd.service") for name in enabled)


def test_bytecode_is_there_and_never_looked_at_again(made: Disk, listing: dict[str, str]) -> None:
    sources = [
        name
        for name in listing
        if name.startswith("usr/lib/mtp-appliance/appliance/") and name.endswith(".py")
    ]
    assert len(sources) > 100
    for name in sources:
        folder, _, file = name.rpartition("/")
        assert f"{folder}/__pycache__/{file.removesuffix('.py')}.cpython-313.pyc" in listing
    argv = ["unsquashfs", "-cat", str(made.part(2))]
    inside = "usr/lib/mtp-appliance/appliance/__pycache__/errors.cpython-313.pyc"
    data = subprocess.run([*argv, inside], capture_output=True, check=True).stdout
    # PEP 552: bit 0, checked by content; bit 1, looked at. Unchecked is 1 alone.
    assert int.from_bytes(data[4:8], "little") == 1


def test_the_share_cannot_be_mistaken_where_nothing_is_mounted(listing: dict[str, str]) -> None:
    assert listing["srv/share"].startswith("d--------- 0/0")


def test_the_state_is_the_responders(made: Disk) -> None:
    about = made.ext4(3, "stat /lib/mtp-appliance-settings/settings.toml")
    people = dict(line.split(":")[:3:2] for line in made.root_file("etc/passwd").splitlines())
    assert re.search(rf"User:\s+{people['mtp-appliance']}\s", about)
    assert "Mode:  0640" in about


def test_the_programs_are_the_boards(made: Disk, board: Board) -> None:
    program = made.scratch / "python"
    argv = ["unsquashfs", "-cat", str(made.part(2)), "usr/bin/python3.13"]
    program.write_bytes(subprocess.run(argv, capture_output=True, check=True).stdout)
    header = program.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    assert (
        int.from_bytes(header[18:20], "little") == {"arm64": 183, "armel": 40}[board.architecture]
    )


def test_the_list_of_packages(made: Disk) -> None:
    names = {each.name for each in read_packages(made.path)}
    wanted = {"python3", "python3-flask", "systemd", "libaio1t64", "functionfs", "raspi-firmware"}
    assert wanted <= names
    assert any(name.startswith("linux-image-") for name in names)
    assert names & {"openssh-server", "cloud-init", "network-manager", "dphys-swapfile"} == set()
