# SPDX-License-Identifier: GPL-3.0-or-later
"""configfs, as far as ordinary files can be it: objects come with their attributes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.gadget import configfs
from tests.unit.gadget.conftest import FakeSys


def play_kernel(root: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSys:
    """Let directories below `root` behave as the kernel's do, as far as making and removing go."""
    fake = FakeSys(root)
    write = configfs.set_attribute

    def make(path: Path) -> bool:
        there = path.is_dir()
        path.mkdir(parents=True, exist_ok=True)
        if path.parent == fake.gadgets:
            (path / "UDC").write_text("\n")
            (path / "os_desc").mkdir(exist_ok=True)
        return not there

    def set_attribute(path: Path, value: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, value)

    def sweep(gadget: configfs.Gadget) -> None:
        shutil.rmtree(gadget.path, ignore_errors=True)

    monkeypatch.setattr(configfs, "_make_directory", make)
    monkeypatch.setattr(configfs, "set_attribute", set_attribute)
    monkeypatch.setattr(configfs.Gadget, "sweep", sweep)
    return fake


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSys]:
    fake = play_kernel(tmp_path, monkeypatch)
    fake.add_controller("fake.usb")
    serial = tmp_path / "sys/firmware/devicetree/base/serial-number"
    serial.parent.mkdir(parents=True)
    serial.write_text("00000000abcd1234\0")
    yield fake
