# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as it lies on the appliance: it starts what was chosen, where that starts."""

import subprocess
import sys
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[3] / "overlay/usr/bin/mtp-appliance"
BROKEN = "raise RuntimeError('broken')\n"


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """The launcher with its places below `tmp_path`, and a version of the image's own there."""
    text = (
        LAUNCHER.read_text()
        .replace('"/usr/lib/', f'"{tmp_path}/')
        .replace('"/run/', f'"{tmp_path}/')
    )
    path = tmp_path / "launcher"
    path.write_text(text)
    write_version(tmp_path / "mtp-appliance", "own")
    (tmp_path / "mtp-appliance-version").mkdir()
    return path


def write_version(folder: Path, name: str, head: str = "") -> Path:
    package = folder / "appliance"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"NAME = {name!r}\n")
    main = "from appliance import NAME\ndef main():\n    print(NAME)\n    return 7\n"
    (package / "cli.py").write_text(head + main)
    return folder


def choose(tmp_path: Path, head: str = "") -> None:
    chosen = write_version(tmp_path / "versions/9.1.0-0123abcd", "chosen", head)
    (tmp_path / "mtp-appliance-version/current").symlink_to(chosen)


def run(launcher: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-S", str(launcher)]  # not what .venv has installed
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_without_a_choice_the_image_s_own(launcher: Path) -> None:
    done = run(launcher)
    assert (done.returncode, done.stdout, done.stderr) == (7, "own\n", "")


def test_the_chosen_one(launcher: Path, tmp_path: Path) -> None:
    choose(tmp_path)
    done = run(launcher, INVOCATION_ID="1")
    assert (done.returncode, done.stdout, done.stderr) == (7, "chosen\n", "")


@pytest.mark.parametrize("head", [BROKEN, "import nothing_of_the_kind\n", "= 3\n"])
def test_a_person_gets_the_image_s_own_where_the_chosen_one_does_not_start(
    head: str, launcher: Path, tmp_path: Path
) -> None:
    choose(tmp_path, head)
    (tmp_path / "mtp-appliance-version/trial").touch()
    done = run(launcher)
    assert (done.returncode, done.stdout) == (7, "own\n")
    assert "does not start" in done.stderr


def test_a_service_on_trial_fails(launcher: Path, tmp_path: Path) -> None:
    choose(tmp_path, BROKEN)
    (tmp_path / "mtp-appliance-version/trial").touch()
    done = run(launcher, INVOCATION_ID="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "RuntimeError: broken" in done.stderr


def test_a_service_whose_version_was_good_once_serves_with_the_image_s_own(
    launcher: Path, tmp_path: Path
) -> None:
    choose(tmp_path, BROKEN)
    assert run(launcher, INVOCATION_ID="1").stdout == "own\n"


def test_a_version_that_is_gone(launcher: Path, tmp_path: Path) -> None:
    (tmp_path / "mtp-appliance-version/current").symlink_to(tmp_path / "nowhere")
    assert run(launcher).stdout == "own\n"
