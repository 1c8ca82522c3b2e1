# SPDX-License-Identifier: GPL-3.0-or-later
"""Each daemon taken over: a program in its place, with its unit's own user and sandbox, tries what
it should not. The same program without a sandbox, and what each may do, say that it would notice.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance import places
from appliance.settings.passwords import hash_password
from appliance.settings.store import SettingsFile
from tests.appliance import probe, units

pytestmark = pytest.mark.guest("appliance")

#: Of the documentation's networks (RFC 5737, 3849), so nobody's: for the appliance, the internet.
FAR, NEAR, PORT = ("198.51.100.7", "2001:db8::7"), ("127.0.0.1", "::1"), 4711
PROBE = Path("/run/mtp-appliance-probe")
PROGRAM, SAID = PROBE / "probe.py", PROBE / "said"
ROOTS_OWN = Path("/srv/share/roots-own")
_SECRETS = (places.SECRETS / "web.password", places.SECRETS / "wifi.passphrase")
_SHARE, _STATE, _PAGE = "/srv/share/probed", "/var/lib/mtp-appliance", "/var/lib/mtp-appliance-web"

#: Folders of somebody else's in these places.
ELSES = tuple(f"{place}/somebody" for place in ("/srv", "/media", "/mnt", "/home"))
_SOMEBODY = 4711

#: What nobody of them may.
NEVER = (
    *(f"read:{_SECRETS[1]}", f"make:{places.SECRETS}/x", f"append:{_SECRETS[0]}"),
    *("read:/etc/shadow", "read:/root/private", f"read:{ROOTS_OWN}", "list:/boot/firmware"),
    *("read:/run/mtp-appliance-gadget/applied.json", "read:/dev/vda", "read:/dev/mem"),
    *("append:/etc/passwd", "make:/etc/x", "make:/usr/lib/mtp-appliance/x", "make:/var/lib/x"),
    *(f"make:{places.VERSIONS}/x", f"make:{places.FAILURES}/x", "make:/var/tmp/../x"),
    *("append:/usr/bin/mtp-appliance", "append:/proc/sys/kernel/hostname", "make:/run/x"),
    *("append:/sys/power/state", "make:/etc/systemd/system/x.service"),
    # Beside the share, where the responder's unit lets it write: permissions alone stand there.
    *(f"make:{place}/x" for place in ("/srv", "/media", "/mnt", "/home", *ELSES)),
    *(f"read:{place}/private" for place in ELSES),
    *(f"{how}:{place}:{PORT}" for how in ("call", "send") for place in FAR),
    *("socket:AF_PACKET", "socket:AF_NETLINK"),
    *("see:1", "signal:1", "become:0", "mount", "namespace", "code"),
)
#: What some may: each of them, and no other.
SOMETIMES: Mapping[str, tuple[str, ...]] = {
    f"read:{_SECRETS[0]}": (units.WEB,),
    f"make:{_SHARE}": (units.RESPONDER,),
    "list:/srv/share": (units.RESPONDER,),
    f"make:{_STATE}/x": (units.RESPONDER,),
    f"list:{_STATE}": (units.RESPONDER,),
    "make:/etc/mtp-appliance/x": (units.RESPONDER,),
    f"make:{_PAGE}/x": (units.WEB,),
    f"list:{_PAGE}": (units.WEB,),
    **{f"{how}:{place}:{PORT}": (units.RESPONDER,) for how in ("call", "send") for place in NEAR},
    "socket:AF_INET": (units.RESPONDER,),
    "clock": (units.RESPONDER,),
    f"talk:{places.HELPER}": (units.WEB, units.LEDS),
    f"ask:{places.HELPER}:doctor": (units.WEB,),
    "read:/etc/mtp-appliance/settings.toml": (units.RESPONDER, units.WEB, units.LEDS),
    "make:/tmp/x": (units.RESPONDER, units.WEB, units.LEDS),
    # Which board it is, for the pins; and whether there is IPv6.
    "read:/proc/cpuinfo": (units.LEDS,),
    "read:/proc/self/net/if_inet6": (units.RESPONDER, units.WEB, units.LEDS),
}
#: What root's own helper may not either, and what only root may and it may too. Not tried: /run
#: and /sys, which the virtual Pi has mounted twice, and systemd makes one of the two read-only.
ROOTS_NEVER = (
    *(f"{how}:{place}:{PORT}" for how in ("call", "send") for place in (*FAR, *NEAR)),
    *("socket:AF_INET", "socket:AF_INET6", "socket:AF_PACKET", "read:/dev/vda", "read:/dev/mem"),
    *("append:/etc/passwd", "append:/usr/bin/mtp-appliance", "make:/etc/systemd/system/x.service"),
    *(f"make:{place}/x" for place in ("/etc", "/usr/lib/mtp-appliance", "/var/lib")),
    *("make:/srv/share/x", "make:/root/x", "make:/home/x", "make:/var/tmp/../x"),
    *("append:/proc/sys/kernel/hostname", "mount", "namespace", "code", "become:4711"),
)
ROOTS = (
    *("make:/etc/mtp-appliance/x", f"make:{_STATE}/x", f"make:{_PAGE}/x", f"make:{_SECRETS[0]}-x"),
    *("read:/etc/shadow", f"read:{_SECRETS[1]}", f"read:{ROOTS_OWN}", "clock", "make:/tmp/x"),
)
#: What a virtual machine, or root's own shell here, lacks.
NOT_EVEN_ROOT = {"read:/dev/mem", "append:/sys/power/state"}


@pytest.fixture(scope="module", autouse=True)
def laid_out() -> Iterator[None]:
    """Secrets to find, files to look into, somebody to call."""
    file = SettingsFile(places.SETTINGS, places.STATE, keeps=False)
    file.set({"web.password": hash_password("a secret"), "wifi.passphrase": "never to be shown"})
    PROBE.mkdir()
    shutil.copy(probe.__file__, PROGRAM)
    PROGRAM.chmod(0o644)
    for path in (Path("/root/private"), ROOTS_OWN):
        path.write_text("private")
        path.chmod(0o600)
    for each in map(Path, ELSES):
        each.mkdir(parents=True, mode=0o700)
        (each / "private").write_text("private")
        for path in (each, each / "private"):
            os.chown(path, _SOMEBODY, _SOMEBODY)
    places.BOOT_SETTINGS.parent.mkdir(parents=True, exist_ok=True)
    for address in FAR:
        units.run("ip", "address", "add", address, "dev", "lo")
    with socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True):
        yield
    for address in FAR:
        units.run("ip", "address", "delete", address, "dev", "lo")
    file.forget_secrets()
    ROOTS_OWN.unlink()
    for place in ELSES:
        shutil.rmtree(place)
    shutil.rmtree(PROBE)


@contextmanager
def in_the_place_of(unit: str, *tries: str) -> Iterator[None]:
    """Let a unit run the probe: all of it stays, but for the program and its supervision."""
    drop_in = Path("/run/systemd/system") / f"{unit}.d" / "zz-probe.conf"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text(
        f"[Service]\nType=exec\nRestart=no\nWatchdogSec=0\nStandardOutput=file:{SAID}\n"
        f"ExecStart=\nExecStart=/usr/bin/python3 -I {PROGRAM} {' '.join(tries)}\n"
    )
    SAID.unlink(missing_ok=True)
    units.run("systemctl", "daemon-reload")
    try:
        units.run("systemctl", "restart", unit)
        yield
    finally:
        drop_in.unlink()
        units.run("systemctl", "daemon-reload")
        units.run("systemctl", "stop", unit)
        if unit not in (units.WEB, units.HELPER):  # which are on call
            units.run("systemctl", "start", unit)


@pytest.mark.parametrize("unit", [units.RESPONDER, units.LEDS, units.WEB])
def test_who_takes_a_daemon_over_gets_no_further(unit: str) -> None:
    may = {words for words, whom in SOMETIMES.items() if unit in whom}
    assert_gets_no_further(unit, may, (*NEVER, *SOMETIMES))


def test_who_takes_roots_helper_over_gets_no_further() -> None:
    assert_gets_no_further(units.HELPER, {*ROOTS}, (*ROOTS_NEVER, *ROOTS))


def assert_gets_no_further(unit: str, may: set[str], tries: tuple[str, ...]) -> None:
    with in_the_place_of(unit, *tries):
        units.wait_until(lambda: SAID.exists() and SAID.read_text().endswith("}\n"), "it has tried")
    found = json.loads(SAID.read_text())
    did = {words for words, came in found.items() if came is True}
    assert did == may, {words: found[words] for words in did ^ may}


def test_without_a_sandbox_the_same_comes_about() -> None:
    tries = {*NEVER, *SOMETIMES, *ROOTS_NEVER, *ROOTS}
    argv = ["python3", "-I", str(PROGRAM), *tries]
    found = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    did = {words for words, came in found.items() if came is True}
    assert tries - did <= NOT_EVEN_ROOT, {words: found[words] for words in tries - did}


def test_the_page_is_told_which_start_this_is() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    assert f"MTP_APPLIANCE_BOOT_ID={boot}" in units.show(units.WEB, "Environment").split()
