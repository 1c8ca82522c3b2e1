# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings page, from the PC's side of the cable."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import places, status
from appliance.control import ask
from appliance.settings.passwords import hash_password
from appliance.settings.store import SettingsFile
from tests.appliance import cable, units
from tests.appliance.browser import Browser
from tests.appliance.pc import Pc

pytestmark = pytest.mark.guest("appliance")

PASSWORD = "correct horse"
#: What a browser may look at, once somebody has logged in.
PAGES = ("/", "/settings", "/storage", "/maintenance", "/maintenance/logs", "/help", "/settings")
BOOT = places.BOOT_SETTINGS.with_name("reset-password")
#: Kibibytes.
MOST_MEMORY = 40 * 1024


def settings() -> SettingsFile:
    return SettingsFile(places.SETTINGS, places.STATE, keeps=False)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = settings().text()
    yield
    settings().forget_secrets()
    settings().replace(before)


@pytest.fixture
def browser(pc: Pc) -> Browser:
    """At the PC, by the number of the device."""
    pc.plug_in()
    return Browser(pc, f"http://{cable.addresses()['inet']}").wait()


def claim(browser: Browser) -> None:
    answer = browser.post(
        "/claim", "/claim", {"name": "Kitchen", "password": PASSWORD, "again": PASSWORD}
    )
    assert answer.status == 303, answer.text
    assert settings().read().settings.web_password


def test_it_is_there_by_number_and_by_name(pc: Pc, browser: Browser) -> None:
    assert "MTP Appliance" in browser.get().text
    address = cable.addresses()["inet"]
    name = f"{os.uname().nodename}.local"
    named = Browser(pc, f"http://{name}", "--resolve", f"{name}:80:{address}")
    assert named.get().status == 200
    assert status.read(places.STATUS).page == f"http://{name}"
    six = f"[{cable.addresses()['inet6']}%{pc.interface}]"
    Browser(pc, f"http://{six}").wait()


@pytest.mark.parametrize("host", ["evil.example", "10.55.99.1", "mtp-appliance.local.evil.example"])
def test_a_foreign_name_is_refused(browser: Browser, host: str) -> None:
    assert browser.get("/", "-H", f"Host: {host}").status == 421


def test_it_is_not_at_the_device_s_other_addresses(browser: Browser) -> None:
    assert browser.get().status == 200
    for address in ("127.0.0.1", "[::1]"):
        assert _refused("curl", f"http://{address}/")


def test_nobody_reaches_it_by_way_of_another_interface(browser: Browser) -> None:
    """Not even at the cable's address, which the device answers to on all of them."""
    assert browser.get().status == 200
    address = cable.addresses()["inet"]
    units.run("ip", "netns", "add", "neighbour")
    try:
        for words in (
            "link add there0 type veth peer name here0 netns neighbour",
            "address add 192.168.77.1/24 dev there0",
            "link set there0 up",
            "-n neighbour address add 192.168.77.2/24 dev here0",
            "-n neighbour link set here0 up",
            f"-n neighbour route add {address} via 192.168.77.1",
        ):
            units.run("ip", *words.split())
        inside = ("ip", "netns", "exec", "neighbour")
        units.run(*inside, "ping", "-c", "1", "-W", "10", address)
        assert _refused(*inside, "curl", f"http://{address}/")
    finally:
        units.run("ip", "netns", "delete", "neighbour")


def _refused(*curl: str) -> bool:
    done = subprocess.run([*curl, "-g", "-s", "-m", "30"], capture_output=True, check=False)
    return done.returncode == 7  # curl(1): failed to connect


def test_it_is_claimed_and_changes_a_setting(pc: Pc, browser: Browser) -> None:
    assert "Log in" not in browser.get("/claim").text
    claim(browser)
    sent = browser.post("/settings/change", "/settings", {"trash.days": "77"})
    assert sent.status == 303
    assert settings().read().settings.trash_days == 77
    assert settings().read().settings.name == "Kitchen"
    stranger = Browser(pc, f"http://{cable.addresses()['inet']}")
    assert stranger.get("/settings").status in (302, 303, 401, 403)
    assert stranger.post("/login", "/login", {"password": "wrong"}).status != 303
    assert stranger.post("/login", "/login", {"password": PASSWORD}).status == 303
    assert stranger.get("/settings").status == 200


def test_it_is_small(browser: Browser) -> None:
    claim(browser)
    for path in PAGES:
        assert browser.get(path).status == 200, path
    told = units.run("cat", f"/proc/{units.main_pid(units.WEB)}/status")
    sizes = {line.split(":")[0]: line.split()[1:2] for line in told.splitlines()}
    print("the page:", *(f"{name} {sizes[name][0]} kB" for name in ("VmRSS", "VmHWM")))
    assert int(sizes["VmRSS"][0]) < MOST_MEMORY, sizes


def test_it_ends_when_nobody_looks_and_comes_again(browser: Browser) -> None:
    drop_in = Path("/run/systemd/system") / f"{units.WEB}.d" / "zz-idle.conf"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("[Service]\nExecStart=\nExecStart=/usr/bin/mtp-appliance web --idle 2\n")
    units.run("systemctl", "daemon-reload")
    try:
        units.run("systemctl", "stop", units.WEB)
        assert browser.get().status == 200
        first = units.main_pid(units.WEB)
        assert first
        units.wait_until(lambda: not units.main_pid(units.WEB), "the page has ended")
        assert units.show(units.WEB, "Result") == "success"
        assert browser.get().status == 200
        assert units.main_pid(units.WEB) not in (0, first)
    finally:
        drop_in.unlink()
        units.run("systemctl", "daemon-reload")


def test_it_comes_again_when_it_was_killed(browser: Browser) -> None:
    before = units.main_pid(units.WEB)
    units.run("systemctl", "kill", "--signal=SIGKILL", units.WEB)
    units.wait_until(lambda: units.main_pid(units.WEB) != before, "it is gone")
    browser.wait()


def test_it_is_there_again_after_the_gadget_was_made_anew(pc: Pc, browser: Browser) -> None:
    assert browser.get().status == 200
    units.run("systemctl", "restart", units.GADGET)
    units.wait_until_active(units.RESPONDER)
    cable.wait_until_on_the_bus()
    pc.plug_in()
    browser.wait()
    assert units.failed() == ""


def test_a_lost_password_is_reset_by_a_file_on_the_boot_partition(pc: Pc, browser: Browser) -> None:
    settings().set({"web.password": hash_password(PASSWORD)})
    units.wait_until(lambda: browser.get("/claim").status in (302, 303), "it is somebody's")
    BOOT.parent.mkdir(parents=True, exist_ok=True)
    BOOT.touch()
    units.run("systemctl", "restart", units.GADGET)
    units.wait_until_active(units.RESPONDER)
    assert not BOOT.exists()
    assert settings().read().settings.web_password == ""
    cable.wait_until_on_the_bus()
    pc.plug_in()
    browser.wait()
    assert browser.get("/claim").status == 200


# Root's helper


def test_the_helper_answers_root_and_the_page() -> None:
    found = ask(places.HELPER, "logs", source="responder", lines=500)
    assert any("Ready over USB" in each["text"] for each in found["lines"])
    assert {each["source"] for each in found["lines"]} == {"responder"}
    newer = ask(places.HELPER, "logs", source="responder", lines=500, after=found["cursor"])
    assert len(newer["lines"]) < len(found["lines"])
    assert ask(places.HELPER, "logs", source="kernel", lines=5)["lines"]
    seen = ask(places.HELPER, "doctor")
    assert "settings" in {each["about"] for each in seen}
    assert not [each for each in seen if each["grade"] == "problem"]
    assert len(ask(places.HELPER, "report")["data"]) > 1000
    assert "'lines'" in as_user("mtp-appliance-web", "mtp-appliance-helper")


@pytest.mark.parametrize(
    ("user", "group", "words"),
    [
        ("nobody", "mtp-appliance-helper", "may not do that"),
        ("mtp-appliance", "mtp-appliance-helper", "may not do that"),
        ("mtp-appliance-leds", "mtp-appliance-helper", "may not do that"),
        ("nobody", "nogroup", "is not for this user"),
        ("mtp-appliance", "mtp-appliance", "is not for this user"),
        ("mtp-appliance-leds", "mtp-appliance-leds", "is not for this user"),
    ],
)
def test_the_helper_refuses_everybody_else(user: str, group: str, words: str) -> None:
    assert words in as_user(user, group)


def as_user(user: str, group: str) -> str:
    """Ask the helper for a line of the log, as somebody."""
    program = (
        "import sys; sys.path.insert(0, '/usr/lib/mtp-appliance')\n"
        "from appliance.control import ask; from appliance.places import HELPER\n"
        "from appliance.errors import ApplianceError\n"
        "try: print(ask(HELPER, 'logs', source='all', lines=1))\n"
        "except ApplianceError as error: print(error)"
    )
    switch = ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--")
    return units.run(*switch, "python3", "-I", "-c", program)
