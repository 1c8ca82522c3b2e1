# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in `overlay/`: it is installed whole, offline, and says what the command says."""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from appliance.cli import COMMANDS
from appliance.leds.board import BOARD_LEDS

ROOT = Path(__file__).parent.parent
OVERLAY = ROOT / "overlay"
MAN = OVERLAY / "usr/share/man/man1/mtp-appliance.1"
COMPLETION = OVERLAY / "usr/share/bash-completion/completions/mtp-appliance"
UNITS = sorted((OVERLAY / "usr/lib/systemd/system").glob("*.service"))
PINNED = dict(
    line.partition(" ")[0].split("==")
    for line in (OVERLAY / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


def install(
    *arguments: str | Path, overlay: Path = OVERLAY, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", overlay / "install.sh", *arguments],
        env=os.environ | {"PYTHON": sys.executable} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def make_wheels(folder: Path) -> None:
    """Make what pip takes for the pinned packages."""
    for name, version in PINNED.items():
        module = name.replace("-", "_")
        info = f"{module}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{module}/__init__.py", "")
            wheel.writestr(f"{info}/METADATA", f"Name: {name}\nVersion: {version}\n")
            tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{info}/WHEEL", tags)
            wheel.writestr(f"{info}/RECORD", "")


def copy_overlay(folder: Path, wheels: Path) -> Path:
    """Copy the project, as far as it is installed, with the made packages pinned."""
    overlay = folder / "overlay"
    shutil.copytree(OVERLAY, overlay)
    for name in ("appliance", "webui", "LICENSE"):
        (folder / name).symlink_to(ROOT / name)
    lines = []
    for name, version in PINNED.items():
        wheel = next(wheels.glob(f"{name.replace('-', '_')}-*.whl"))
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{name}=={version} --hash=sha256:{digest}\n")
    (overlay / "requirements.txt").write_text("".join(lines))
    return overlay


def test_installed_offline_and_again(tmp_path: Path) -> None:
    wheels, target = tmp_path / "wheels", tmp_path / "target"
    wheels.mkdir()
    target.mkdir()
    make_wheels(wheels)
    overlay = copy_overlay(tmp_path, wheels)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    assert (done := install(target, overlay=overlay, **offline)).returncode == 0, done.stderr
    own = {path.relative_to(OVERLAY) for path in OVERLAY.glob("etc/**/*") if path.is_file()}
    for name in own:
        assert (target / name).read_bytes() == (OVERLAY / name).read_bytes()
        (target / name).write_text("somebody's own")
    (program := target / "usr/bin/mtp-appliance").write_text("an old one")
    assert (done := install(target, overlay=overlay, **offline)).returncode == 0, done.stderr
    assert {(target / name).read_text() for name in own} == {"somebody's own"}
    assert program.read_bytes() == (OVERLAY / "usr/bin/mtp-appliance").read_bytes()
    library = target / "usr/lib/mtp-appliance"
    for each in ("functionfs", "ioctl_opt", "libaio", "appliance"):
        assert (library / each / "__init__.py").exists()
    for path in (ROOT / "webui").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = library / path.relative_to(ROOT)
            assert copy.read_bytes() == path.read_bytes()
    for path in (*OVERLAY.glob("etc/**/*"), *OVERLAY.glob("usr/**/*")):
        copy = target / path.relative_to(OVERLAY)
        assert copy.exists()
        assert os.access(copy, os.X_OK) == os.access(path, os.X_OK)


def test_packages_of_another_content_are_refused(tmp_path: Path) -> None:
    wheels, target = tmp_path / "wheels", tmp_path / "target"
    wheels.mkdir()
    target.mkdir()
    make_wheels(wheels)
    done = install(target, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (target / "usr/lib/mtp-appliance/functionfs").exists()


def test_nothing_installed_names_this_machine(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    for each in ("functionfs", "ioctl_opt", "libaio"):
        (packages / each).mkdir(parents=True)
        (packages / each / "__init__.py").touch()
    target = tmp_path / "target"
    target.mkdir()
    assert install("--packages", packages, target).returncode == 0
    for path in target.rglob("*"):
        assert not path.is_file() or str(ROOT).encode() not in path.read_bytes(), path


@pytest.mark.parametrize("arguments", [(), ("--packages",), ("one", "two"), ("/nowhere",)])
def test_called_wrongly_it_does_nothing(arguments: tuple[str, ...]) -> None:
    done = install(*arguments)
    assert done.returncode != 0
    assert "install.sh:" in done.stderr


def test_the_pinned_packages_are_what_the_project_wants() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"]["usb"]
    assert {re.split("[=>]", each)[0] for each in wanted} == set(PINNED)
    assert f"functionfs=={PINNED['functionfs']}" in wanted


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_in_the_man_page_and_completed(command: str) -> None:
    assert f"\n.B {command}\n" in MAN.read_text()
    assert f" {command} " in COMPLETION.read_text().replace('"', " ")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_verb_is_completed(command: str) -> None:
    parser = argparse.ArgumentParser()
    import_module(f"appliance.cli.{command}").describe(parser)
    verbs = {
        verb
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for verb in action.choices
    }
    completed = re.search(rf' 2\\ {command}\) verbs="(.*)"', COMPLETION.read_text())
    assert set(completed[1].split() if completed else ()) == verbs


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_failure_of_each_unit_is_told_of_and_taken_back(unit: Path) -> None:
    """By one name, whichever instance of a template it is."""
    text, name = unit.read_text(), "%p.service" if "@" in unit.name else "%n"
    assert f"note-failure {name}\n" in text
    assert "ExecStartPost=-" in text
    assert f"/bin/rm -f /run/mtp-appliance-failures/{name}\n" in text


def test_the_boards_own_led_may_be_lit_whatever_it_is_called() -> None:
    rules = (OVERLAY / "usr/lib/udev/rules.d/60-mtp-appliance.rules").read_text()
    (names,) = re.findall(r'SUBSYSTEM=="leds", KERNEL=="([^"]+)"', rules)
    assert tuple(names.split("|")) == BOARD_LEDS
