# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine: clock, battery and picture."""

import struct
import time
from pathlib import Path

import pytest

from appliance.mtp.codes import ResponseCode
from appliance.mtp.errors import MtpError
from appliance.services.host import LinuxHost

ALL_CAPABILITIES, NONE = "000001ffffffffff", "0000000000000000"


def machine(root: Path, *, capabilities: str = ALL_CAPABILITIES, **files: str) -> Path:
    """A root whose files are named with `__` for `/`."""
    contents = {"proc__self__status": f"Name:\tpython3\nCapEff:\t{capabilities}\n", **files}
    for name, content in contents.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def supply(name: str, **values: str) -> dict[str, str]:
    folder = f"sys__class__power_supply__{name}"
    return {f"{folder}__{key}": f"{value}\n" for key, value in values.items()}


@pytest.mark.parametrize(
    ("files", "level"),
    [
        ({}, None),
        (supply("AC", type="Mains", online="1"), None),
        (supply("BAT0", type="Battery", capacity="73"), 73),
        (supply("BAT0", type="Battery", capacity="73", scope="System"), 73),
        (supply("hid-mouse", type="Battery", capacity="5", scope="Device"), None),
        (supply("BAT0", type="Battery", capacity="104"), 100),
        (supply("BAT0", type="Battery"), None),
        (supply("BAT0", type="Battery", capacity="unknown"), None),
        (
            {
                **supply("hid-pen", type="Battery", capacity="5", scope="Device"),
                **supply("z", type="Battery", capacity="9"),
            },
            9,
        ),
    ],
)
def test_the_battery(tmp_path: Path, files: dict[str, str], level: int | None) -> None:
    assert LinuxHost(machine(tmp_path, **files)).battery_level() == level


@pytest.mark.parametrize(
    ("capabilities", "files", "settable", "expected"),
    [
        (ALL_CAPABILITIES, {}, True, True),
        (ALL_CAPABILITIES, {}, False, False),
        (NONE, {}, True, False),
        ("0000000002000000", {}, True, True),
        (ALL_CAPABILITIES, {"sys__class__rtc__rtc0": ""}, True, False),
        (ALL_CAPABILITIES, {"run__systemd__timesync__synchronized": ""}, True, False),
    ],
)
def test_whether_the_clock_may_be_set(
    tmp_path: Path, capabilities: str, files: dict[str, str], settable: bool, expected: bool
) -> None:
    root = machine(tmp_path, capabilities=capabilities, **files)
    host = LinuxHost(root, clock_settable=settable)
    assert host.may_set_clock is expected
    if not expected:
        with pytest.raises(MtpError) as caught:
            host.set_clock(0)
        assert caught.value.code is ResponseCode.ACCESS_DENIED


def test_a_time_that_no_clock_shows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MtpError):
        LinuxHost(machine(tmp_path)).set_clock(1e30)


def test_the_clock_is_this_machines(tmp_path: Path) -> None:
    before = time.time()
    assert before <= LinuxHost(machine(tmp_path)).now() <= time.time()


def test_nothing_is_there(tmp_path: Path) -> None:
    host = LinuxHost(tmp_path)
    assert host.battery_level() is None
    assert not host.may_set_clock


def test_the_icon_holds_the_sizes_that_file_managers_want() -> None:
    data = LinuxHost().icon()
    reserved, kind, count = struct.unpack_from("<HHH", data)
    assert (reserved, kind) == (0, 1)
    sizes = set()
    for index in range(count):
        width, height, *_, size, offset = struct.unpack_from("<BBBBHHII", data, 6 + 16 * index)
        image = data[offset : offset + size]
        assert image.startswith(b"\x89PNG\r\n\x1a\n")
        assert struct.unpack_from(">II", image, 16) == (width or 256, height or 256)
        sizes.add(width or 256)
    assert sizes == {16, 32, 48, 256}
    assert len(data) < 40_000
