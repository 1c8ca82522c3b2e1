# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree that looks like /sys, as far as ordinary files can."""

from pathlib import Path

import pytest

from appliance.gadget.configfs import GADGETS


class FakeSys:
    """The tree, and what the kernel would do in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gadgets = root / GADGETS
        self.gadgets.mkdir(parents=True)
        (root / "sys/class/udc").mkdir(parents=True)

    def add_controller(self, name: str, function: str = "") -> None:
        folder = self.root / "sys/class/udc" / name
        folder.mkdir()
        (folder / "state").write_text("not attached\n")
        (folder / "function").write_text(f"{function}\n" if function else "")

    def add_gadget(self, name: str, controller: str = "") -> Path:
        folder = self.gadgets / name
        (folder / "os_desc").mkdir(parents=True)
        (folder / "UDC").write_text(f"{controller}\n")
        return folder

    def forget_attributes(self) -> None:
        """Do what the kernel does with a directory's attributes when it goes."""
        for path in self.gadgets.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.unlink()


@pytest.fixture
def sys_tree(tmp_path: Path) -> FakeSys:
    return FakeSys(tmp_path)
