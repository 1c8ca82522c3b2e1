# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual Pi itself: that it is what the other tests take it for."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.vm import dummy

pytestmark = pytest.mark.guest


def test_the_kernel_is_debians_and_not_the_hosts() -> None:
    assert os.uname().release.endswith("-amd64")
    assert "Debian" in os.uname().version


def test_there_is_a_udc() -> None:
    assert dummy.udc_name().startswith("dummy_udc")


@pytest.mark.parametrize("speed", ["full", "super", "high"])
def test_the_cable_has_every_speed(speed: str) -> None:
    name = dummy.load(speed)
    fastest = Path(f"/sys/class/udc/{name}/maximum_speed").read_text().strip()
    assert fastest == f"{speed}-speed"


def test_the_projects_tree_is_there_and_the_hosts_cannot_be_changed() -> None:
    assert Path("pyproject.toml").exists()
    with pytest.raises(OSError, match="Read-only"):
        Path("/run/tree/pyproject.toml").touch()


def test_functionfs_takes_descriptors(tmp_path: Path) -> None:
    gadget = Path("/sys/kernel/config/usb_gadget/probe")
    function = gadget / "functions" / "ffs.probe"
    function.mkdir(parents=True)
    subprocess.run(["mount", "-t", "functionfs", "probe", tmp_path], check=True)
    try:
        assert (tmp_path / "ep0").exists()
    finally:
        subprocess.run(["umount", tmp_path], check=True)
        function.rmdir()
        gadget.rmdir()
