# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines served as a person asks for it: on the command line, and in a settings file."""

from pathlib import Path

import pytest

from tests.clients.served import serve
from tests.fakes.usbredir_guest import Guest, dial


@pytest.mark.parametrize("how", ["command line", "settings"])
def test_the_device_is_there_with_the_ids_that_are_set(tmp_path: Path, how: str) -> None:
    share, path, settings = tmp_path / "share", tmp_path / "share.sock", tmp_path / "settings.toml"
    share.mkdir()
    settings.write_text(
        f'version = 1\nusbredir = ["unix:{path}"]\n[usb]\nvendor_id = 0x1234\n'
        f'[[storages]]\npath = "{share}"\n'
    )
    by_file = how == "settings"
    words = ("--settings", settings) if by_file else (share, "--usbredir", f"unix:{path}")
    with serve(*words, "--state-dir", tmp_path / "state", share=share):
        guest = Guest(dial(path))
        _, _, device = guest.plug()
        assert device[4:6] == (b"\x34\x12" if by_file else b"\x6b\x1d")
        guest.close()
    assert not path.exists()
