# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines served as a person asks for it: on the command line, and in a settings file."""

import json
import socket
import struct
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.clients.served import serve
from tests.fakes.usbredir_guest import PATIENCE, Guest, dial


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
    with (
        serve(*words, "--state-dir", tmp_path / "state", share=share),
        closing(Guest(dial(path))) as guest,
    ):
        _, _, device = guest.plug()
        assert device[4:6] == (b"\x34\x12" if by_file else b"\x6b\x1d")
    assert not path.exists()


def roads(state: Path) -> list[str]:
    try:
        status = json.loads((state / "status.json").read_text())
    except FileNotFoundError:  # it is written for the first time soon after the start
        return []
    return [session["road"] for session in status["sessions"]]


@pytest.mark.parametrize("calls", [False, True], ids=["a guest that connects", "one that listens"])
def test_the_status_says_that_a_machine_has_it(tmp_path: Path, calls: bool) -> None:
    share, path, state = tmp_path / "share", tmp_path / "share.sock", tmp_path / "state"
    share.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        if calls:
            listener.bind(str(path))
            listener.listen()
        place = f"connect:unix:{path}" if calls else f"unix:{path}"
        with (
            serve(share, "--usbredir", place, "--state-dir", state, share=share),
            closing(Guest(listener.accept()[0] if calls else dial(path))) as guest,
        ):
            guest.plug()
            guest.configure()
            guest.write(struct.pack("<IHHII", 16, 1, 0x1002, 1, 1))  # OpenSession
            deadline = time.monotonic() + PATIENCE
            while not (seen := roads(state)) and time.monotonic() < deadline:
                time.sleep(0.05)
    assert seen == ["usbredir"]
