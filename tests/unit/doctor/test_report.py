# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: all that helps, and nothing that is secret."""

import io
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.doctor.redaction import redact, without_names
from appliance.errors import ApplianceError
from appliance.services.report import make_report, write_report
from appliance.settings.passwords import hash_password
from appliance.status import Status, Transfer
from tests.unit.doctor.machines import SERIAL, UDC, MadeUp
from tests.unit.test_cli import run

PLANTED = "Holiday in Rome.jpg"


@pytest.fixture
def made_up(tmp_path: Path) -> MadeUp:
    made_up = MadeUp(tmp_path)
    hashed = hash_password("correct horse")
    made_up.settings = replace(made_up.settings, web_password=hashed)
    made_up.write("boot/firmware/cmdline.txt", f"smsc95xx.macaddr=B8:27:EB:12:34:56 x={SERIAL}")
    made_up.write("boot/firmware/config.txt", "dtoverlay=dwc2\nwifi_psk=hunter2hunter2\n")
    made_up.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    made_up.answers["journalctl"] = (
        f"serial {SERIAL.upper()} mac 02:11:22:33:44:55 {hashed}\n"
        "wpa passphrase: hunter2hunter2\n  password = hunter2hunter2\n"
        "machine 0123456789abcdef0123456789abcdef\n"
    )
    return made_up


def contents(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_what_is_in_it(made_up: MadeUp) -> None:
    parts = contents(make_report(made_up.machine(status=Status(ready=True, name="Kitchen"))))
    assert "Kitchen" in parts["status.json"]
    assert "dtoverlay=dwc2" in parts["boot/config.txt"]
    assert "/srv/share" in parts["settings.toml"]
    assert "new high-speed USB device" in parts["logs/kernel.txt"]
    assert "serial" in parts["logs/mtp-appliance.service.txt"]
    gadget = parts["gadget.txt"].splitlines()
    assert f"sys/class/udc/{UDC}/state: configured" in gadget
    assert f"sys/class/udc/{UDC}/current_speed: high-speed" in gadget
    assert "functionfs" in parts["mounts.txt"]
    assert "doctor" in parts["README.txt"]
    assert '"grade": "good"' in parts["doctor.json"]


def test_what_is_not(made_up: MadeUp) -> None:
    status = Status(ready=True, transfers=(Transfer(PLANTED),))
    everything = "\n".join(contents(make_report(made_up.machine(status=status))).values()).lower()
    for secret in (
        SERIAL,
        "hunter2",
        "scrypt$",
        "b8:27:eb",
        "02:11:22",
        "0123456789abcdef0123456789abcdef",
        PLANTED,
    ):
        assert secret.lower() not in everything, secret
    assert SERIAL[-4:] in everything


@pytest.mark.parametrize(
    ("level", "name", "is_told"),
    [
        ("normal", PLANTED, False),
        ("normal", 'it\'s "Rome" \\ ü.jpg', False),
        ("verbose", PLANTED, True),
    ],
)
def test_names_of_files_are_in_it_for_who_has_asked_for_them(
    made_up: MadeUp, level: str, name: str, is_told: bool
) -> None:
    """Whatever is worth an error names the file: its owner is to know which."""
    said = ascii(name.encode())
    made_up.settings = replace(made_up.settings, log_level=level)
    made_up.answers["journalctl"] = f"LOST    {said}, which was not there: no room\nMENDED  x\n"
    log = contents(make_report(made_up.machine()))["logs/mtp-appliance.service.txt"]
    assert ("Rome" in log, ", which was not there" in log) == (is_told, True)
    assert "MENDED  x" in log


@given(st.text(), st.lists(st.text(max_size=12), max_size=3))
def test_no_text_is_too_strange(text: str, serials: list[str]) -> None:
    redact(without_names(text), serials)


def test_a_log_that_is_long_keeps_its_end(made_up: MadeUp) -> None:
    made_up.answers["journalctl"] = "old\n" * 1_000_000 + "the last line\n"
    parts = contents(make_report(made_up.machine()))
    assert parts["logs/mtp-appliance.service.txt"].endswith("the last line\n")
    assert len(parts["logs/mtp-appliance.service.txt"]) <= 1 << 20


def test_it_is_written_for_its_maker_alone(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    write_report(b"data", path, force=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ApplianceError, match="is there already"):
        write_report(b"other", path, force=False)
    assert path.read_bytes() == b"data"
    write_report(b"other", path, force=True)
    assert path.read_bytes() == b"other"
    assert [each.name for each in tmp_path.iterdir()] == ["report.zip"]


def test_a_place_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="cannot write"):
        write_report(b"data", tmp_path / "none" / "report.zip", force=False)


def test_as_a_command(made_up: MadeUp, tmp_path: Path) -> None:
    made_up.machine()
    path = tmp_path / "report.zip"
    done = run("report", path, "--root", made_up.root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "README.txt" in contents(path.read_bytes())
    assert run("report", path, "--root", made_up.root).returncode == 1
