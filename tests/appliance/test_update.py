# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates as a person does them: a good version stays, a broken one is gone again by itself."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import __version__, control, places
from appliance.update.keys import PublicKey, SecretKey, write_public
from appliance.update.signature import make_secret, public_of
from image import bundle
from tests.appliance import cable, units
from tests.clients.mtp_tools import MtpTools

pytestmark = pytest.mark.guest("appliance")

TARGET = "mtp-appliance.target"
BASE = 1
_PATIENCE = 300.0
_PATIENT, _IMPATIENT = 280, 40
SETTINGS = places.SETTINGS
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SecretKey:
    """A key that the appliance trusts."""
    secret = SecretKey(make_secret(), "test")
    public = tmp_path_factory.mktemp("key") / "test.pub"
    write_public(public, PublicKey(public_of(secret.raw), "test"))
    assert "test" in units.run("mtp-appliance", "update", "trust", str(public))
    return secret


def trial(patience: int) -> None:
    """Let a version be good after 3 seconds, and have so long to come up, however slow this is."""
    drop_in = Path("/run/systemd/system/mtp-appliance-trial.service.d/short.conf")
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text(f"[Service]\nEnvironment=STEADY=3 PATIENCE={patience}\n")
    units.run("systemctl", "daemon-reload")


@pytest.fixture
def make(key: SecretKey, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes bundles of the program that is installed, changed; afterwards the image's own runs."""

    trial(_PATIENT)

    def make(name: str, change: Callable[[Files], None] = lambda files: None) -> Path:
        files = bundle.program_files(places.PROGRAM)
        change(files)
        _, data = bundle.make(files, BASE, key, version=f"{__version__}+{name}")
        path = tmp_path / f"{name}.mtp-update"
        path.write_bytes(data)
        return path

    yield make
    (places.VERSIONS / "chosen").unlink(missing_ok=True)
    (places.TAKEN_BACK).unlink(missing_ok=True)
    (places.TAKEN_BACK.with_name("current")).unlink(missing_ok=True)
    units.run("systemctl", "restart", TARGET)
    wait_until_serves(__version__)


def update_status() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(units.run("mtp-appliance", "update", "status", "--json"))
    return found


def serving() -> str:
    """Say which version the responder is, as its status has it; "" for none."""
    try:
        found: str = json.loads(places.STATUS.read_text())["versions"]["appliance"]
    except (OSError, ValueError, KeyError):
        return ""
    return found


def warnings() -> list[str]:
    return [each["code"] for each in json.loads(places.STATUS.read_text())["warnings"]]


def wait_until_confirmed(version: str) -> None:
    units.wait_until(
        lambda: serving() == version and "state=confirmed" in chosen(),
        f"{version} runs and is confirmed",
        _PATIENCE,
    )


def chosen() -> str:
    return (places.VERSIONS / "chosen").read_text()


def wait_until_taken_back(version: str) -> None:
    units.wait_until(lambda: f"failed={version}-" in chosen(), f"{version} is given up", _PATIENCE)
    wait_until_serves(__version__)


def wait_until_serves(version: str) -> None:
    units.wait_until(
        lambda: serving() == version and units.is_active(units.RESPONDER),
        f"{version} serves",
        _PATIENCE,
    )


def assert_serves(share: Path, tmp_path: Path) -> None:
    cable.wait_until_on_the_bus()
    (tmp_path / "sent").write_bytes(b"from the PC")
    MtpTools().put(tmp_path / "sent", "")
    assert (share / "sent").read_bytes() == b"from the PC"
    units.wait_until(lambda: not list(units.FAILURES.iterdir()), "no failure is told of")
    assert units.failed() == ""


def test_a_good_one_comes_through_the_share_and_stays(
    make: Callable[..., Path], share: Path, tmp_path: Path
) -> None:
    (share / "old").write_bytes(b"as it was")
    settings = SETTINGS.read_bytes()
    version = f"{__version__}+good"
    MtpTools().put(make("good"), "")
    assert f"version {version}" in units.run("mtp-appliance", "update", "check")
    assert "start anew" in units.run("mtp-appliance", "update", "install", "--restart")
    wait_until_confirmed(version)
    assert units.run("mtp-appliance", "--version").split()[-1] == version
    told = update_status()
    assert (told["running"], told["chosen"], told["image"]) == (version, version, __version__)
    assert (told["trial"], told["last"]) == (False, "")
    assert ((share / "old").read_bytes(), SETTINGS.read_bytes()) == (b"as it was", settings)
    assert_serves(share, tmp_path)
    assert "update-taken-back" not in warnings()
    assert __version__ in units.run("mtp-appliance", "update", "rollback", "--restart")
    wait_until_serves(__version__)
    assert_serves(share, tmp_path)


def raises_at_import(files: Files) -> None:
    files["appliance/services/mtpd.py"] = b"raise RuntimeError('broken')\n"


def does_not_start_at_all(files: Files) -> None:
    files["appliance/cli/__init__.py"] = b"raise RuntimeError('broken')\n"


def is_never_ready(files: Files) -> None:
    name = "appliance/services/mtpd.py"
    assert b'notify("READY=1")' in files[name]
    files[name] = files[name].replace(b'notify("READY=1")', b"pass")


@pytest.mark.parametrize("broken", [raises_at_import, does_not_start_at_all, is_never_ready])
def test_a_broken_one_is_taken_back_by_itself(
    broken: Callable[[Files], None], make: Callable[..., Path], share: Path, tmp_path: Path
) -> None:
    (share / "old").write_bytes(b"as it was")
    settings = SETTINGS.read_bytes()
    path = make("broken", broken)
    if broken is is_never_ready:
        trial(_IMPATIENT)
    units.run("mtp-appliance", "update", "install", str(path), "--restart")
    if broken is does_not_start_at_all:
        assert_a_person_can_look()
    wait_until_taken_back(f"{__version__}+broken")
    units.wait_until(lambda: "update-taken-back" in warnings(), "the status warns of it")
    told = update_status()
    assert told["running"] == told["chosen"] == __version__
    assert told["last"].startswith(f"{__version__}+broken: ")
    assert "ready" in told["last"] or "again and again" in told["last"]
    assert_serves(share, tmp_path)
    assert ((share / "old").read_bytes(), SETTINGS.read_bytes()) == (b"as it was", settings)
    units.run("mtp-appliance", "update", "confirm")
    assert not places.TAKEN_BACK.exists()


def assert_a_person_can_look() -> None:
    """The program of the image answers while one is on trial that does not start."""
    trial = places.TAKEN_BACK.with_name("trial")
    units.wait_until(trial.exists, "it is on trial")
    environment = {name: value for name, value in os.environ.items() if name != "INVOCATION_ID"}
    done = subprocess.run(
        ["mtp-appliance", "update", "status"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


def test_by_the_page_s_helper(make: Callable[..., Path], share: Path) -> None:
    path = share / "helped.mtp-update"
    path.write_bytes(make("helped").read_bytes())
    version = f"{__version__}+helped"
    (found,) = control.ask(places.HELPER, "update find")
    assert found["path"] == str(path)
    assert control.ask(places.HELPER, "update check", path=str(path))["version"] == version
    control.ask(places.HELPER, "update install", path=str(path))
    control.ask(places.HELPER, "restart")
    wait_until_confirmed(version)
    assert control.ask(places.HELPER, "update status")["running"] == version
    assert control.ask(places.HELPER, "update roll back") == {"version": __version__}


def test_without_an_update_the_start_pays_nothing() -> None:
    assert units.show("mtp-appliance-version.service", "ConditionResult") == "no"
