# SPDX-License-Identifier: GPL-3.0-or-later
"""When a start opens the boot partition for writing: only where there is something to take over."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.image.scripts import functions

_SCRIPT = "root/usr/lib/mtp-appliance/boot-partition"
SETTINGS = 'name = "x"\n'


def is_new(boot: Path, taken: Path) -> bool:
    text = f"boot={boot}\ntaken={taken}\n{functions(_SCRIPT, 'is_new')}is_new"
    done = subprocess.run(["sh", "-c", text], check=False, capture_output=True, timeout=8)
    assert done.stderr == b""
    return done.returncode == 0


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "mtp-appliance.toml").write_text(SETTINGS)
    (tmp_path / "taken").write_text(hashlib.sha256(SETTINGS.encode()).hexdigest())
    return tmp_path / "boot"


@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("README.txt", False),
        ("reset-password", True),
        ("reset-password.txt", True),
        ("Reset-Password.TXT", True),
        ("reset-password .rtf", True),
        ("my reset-password", False),
        ("mtp-appliance-errors.txt", True),
    ],
)
def test_what_lies_there(boot: Path, name: str, opens: bool) -> None:
    assert not is_new(boot, boot.with_name("taken"))
    (boot / name).touch()
    assert is_new(boot, boot.with_name("taken")) is opens


def test_settings_that_were_edited(boot: Path) -> None:
    (boot / "mtp-appliance.toml").write_text('name = "y"\n')
    assert is_new(boot, boot.with_name("taken"))
    (boot / "mtp-appliance.toml").unlink()
    assert not is_new(boot, boot.with_name("taken"))


@pytest.mark.parametrize("obstacle", [os.mkfifo, Path.mkdir], ids=["a pipe", "a folder"])
def test_what_is_no_mark_keeps_nobody_waiting(boot: Path, obstacle: object) -> None:
    boot.with_name("taken").unlink()
    assert is_new(boot, boot.with_name("taken"))
    assert callable(obstacle)
    obstacle(boot.with_name("taken"))
    assert is_new(boot, boot.with_name("taken"))
