# SPDX-License-Identifier: GPL-3.0-or-later
"""The board's Wi-Fi: off until the settings name a network; then the files are served there too."""

import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import places
from appliance.settings.passwords import hash_password
from appliance.settings.store import SettingsFile
from tests.appliance import cable, units
from tests.appliance.access_point import NETWORK, PASSPHRASE, AccessPoint, address_of
from tests.appliance.browser import Browser
from tests.appliance.pc import Pc
from tests.appliance.settings_file import SETTINGS, STORAGE, edit

pytestmark = [pytest.mark.guest("appliance"), pytest.mark.usefixtures("settings_as_they_were")]

secrets = SettingsFile(places.SETTINGS, places.STATE, keeps=False)
WIFI, PAGE = "mtp-appliance-wifi.service", "mtp-appliance-web.service"
CARD = "wlan0"
SUPPLICANT = Path("/run/mtp-appliance-wifi/wpa_supplicant.conf")
PTPIP = 15740


@pytest.fixture(scope="module")
def air() -> Iterator[AccessPoint]:
    air = AccessPoint()
    air.make()
    yield air
    air.remove()
    secrets.forget_secrets()


def quoted(text: str) -> str:
    return "'" + text + "'"


def join(passphrase: str = PASSPHRASE, *more: str) -> None:
    """Name the network, and wait until the radio is on for it."""
    before = units.main_pid(WIFI)
    lines = [f"network = {quoted(NETWORK)}", *more]
    secrets.set({"wifi.passphrase": passphrase})
    edit("\n".join(["version = 1", STORAGE, "[wifi]", *lines, ""]))
    told = f'psk="{passphrase}"'
    units.wait_until(
        lambda: SUPPLICANT.exists() and told in SUPPLICANT.read_text(),
        "the network is written down",
    )
    units.wait_until_anew(WIFI, before)


def is_up() -> bool:
    return int(Path(f"/sys/class/net/{CARD}/flags").read_text(), 16) & 1 == 1


def _log() -> str:
    return units.run("journalctl", "--no-pager", "-n", "50", "-u", WIFI)


def test_off_by_default(air: AccessPoint) -> None:
    assert units.show(WIFI, "ActiveState") == "inactive"
    assert not is_up()
    assert not SUPPLICANT.exists()


def test_the_files_are_served_in_the_network_that_is_named(
    air: AccessPoint, share: Path, tmp_path: Path
) -> None:
    (share / "over the air.txt").write_text("hello")
    join(PASSPHRASE, 'country = "DE"', "ptpip = true")
    units.wait_until(lambda: address_of(CARD) != "", f"it is in the network\n{air.log()}")
    units.wait_until(lambda: air.reaches(address_of(CARD), PTPIP), "PTP/IP answers there")
    camera = ("gphoto2", "--port", f"ptpip:{address_of(CARD)}", "--camera", "PTP/IP Camera")
    assert "over the air.txt" in air.run(*camera, "--list-files")
    assert not air.reaches(address_of(CARD), 80)
    edit(f"version = 1\n{STORAGE}")
    units.wait_until(lambda: not is_up(), "the radio is off again")
    assert not SUPPLICANT.exists()


def test_the_page_comes_to_the_wifi_also_where_somebody_has_it_open_at_the_cable(
    air: AccessPoint, pc: Pc
) -> None:
    """The radio comes late: its driver takes a while, or starts anew."""
    secrets.set({"web.password": hash_password("correct horse")})
    join(PASSPHRASE, "page = true")
    units.wait_until(lambda: address_of(CARD) != "", f"it is in the network\n{air.log()}")
    units.wait_until(lambda: air.reaches(address_of(CARD), 80), "the page answers there")
    air.remove()
    pc.plug_in()
    browser = Browser(pc, f"http://{cable.addresses()['inet']}")
    units.wait_until(lambda: browser.get("/help").status == 200, "the page is open at the cable")
    assert units.is_active(PAGE)
    air.make()
    units.wait_until(lambda: address_of(CARD) != "", f"it is in the network\n{air.log()}")
    units.wait_until(lambda: air.reaches(address_of(CARD), 80), "the page answers there again")
    units.wait_until(lambda: browser.get("/help").status == 200, "and at the cable")


def test_a_wrong_passphrase_harms_nothing_else(air: AccessPoint, share: Path) -> None:
    join("wrong horse")
    units.wait_until(lambda: "WRONG_KEY" in _log(), "it was let in by nobody")
    assert address_of(CARD) == ""
    cable.wait_until_on_the_bus()
    assert units.failed() == ""


def test_the_secret_stays_one(air: AccessPoint, tmp_path: Path) -> None:
    join("never to be shown")
    assert SUPPLICANT.stat().st_mode & 0o777 == 0o600
    applied = Path("/run/mtp-appliance-gadget/applied.json")
    assert applied.stat().st_mode & 0o077 == 0
    pid = units.main_pid(WIFI)
    assert "never" not in Path(f"/proc/{pid}/cmdline").read_text()
    report = tmp_path / "report.zip"
    units.run("mtp-appliance", "report", str(report))
    with zipfile.ZipFile(report) as archive:
        shown = "".join(archive.read(name).decode() for name in archive.namelist())
    shown += units.run("mtp-appliance", "settings", "show")
    shown += units.run("mtp-appliance", "settings", "export") + units.journal(1000)
    assert "never to be shown" not in shown


def test_what_cannot_be_is_refused(air: AccessPoint) -> None:
    before = SETTINGS.read_bytes()
    for key, value in (("wifi.country", "de"), ("wifi.network", "x" * 33), ("wifi.page", "maybe")):
        argv = ["mtp-appliance", "settings", "set", key, value]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, key in done.stderr) == (2, True), done.stderr
    assert SETTINGS.read_bytes() == before


def test_it_is_nobody_and_locked_in(air: AccessPoint) -> None:
    join()
    status = units.run("cat", f"/proc/{units.main_pid(WIFI)}/status")
    numbers = {line.split(":")[0]: line.split()[1:] for line in status.splitlines()}
    assert "0" not in numbers["Uid"]
    units.run("systemd-analyze", "security", "--no-pager", "--threshold=20", WIFI)
