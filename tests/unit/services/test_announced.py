# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking for the name in the network: a busctl that says what a test says."""

from pathlib import Path

import pytest

from appliance.services.announced import Announced


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A busctl that says what is in `said`, and notes in `asked` that it was called."""
    script = tmp_path / "busctl"
    script.write_text(f'#!/bin/sh\necho x >>"{tmp_path}/asked"\n. "{tmp_path}/said"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("echo 's \"Kitchen-2\"'", "kitchen-2"),
        ("echo 's \"kitchen\"'; exit 1", ""),
        ("exit 1", ""),
        ('echo \'s "a\\"b"\'', ""),
        ("echo nonsense", ""),
        ("", ""),
    ],
)
def test_what_avahi_says(bus: Path, said: str, name: str) -> None:
    (bus / "said").write_text(said)
    assert Announced()() == name


def test_it_is_asked_once_in_a_while(bus: Path) -> None:
    (bus / "said").write_text("echo 's \"kitchen-2\"'")
    now = [0.0]
    announced = Announced(lambda: now[0])
    assert [announced(), announced()] == ["kitchen-2"] * 2
    (bus / "said").write_text("echo 's \"kitchen-3\"'")
    assert announced() == "kitchen-2"
    now[0] = 11
    assert announced() == "kitchen-3"
    assert (bus / "asked").read_text() == "x\nx\n"


def test_without_busctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Announced()() == ""
