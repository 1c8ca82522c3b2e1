# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unit's sandbox leaves of /proc is enough for what the unit does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_cli import ENVIRONMENT, ROOT
from webui.boot import boot

UNITS = ROOT / "overlay/usr/lib/systemd/system"
PROCESSES_ALONE = 'mount -t proc -o subset=pid proc /proc && exec "$@"'
IPV6 = "from appliance.services.wifi import _IPV6; print(_IPV6.exists())"
BOARD = "from pathlib import Path; print(len(Path('/proc/cpuinfo').read_text()) > 0)"


def answer(code: str, *, processes_alone: bool) -> str:
    """Ask in a place of its own, which needs no root."""
    argv: tuple[str, ...] = (sys.executable, "-c", code)
    if processes_alone:
        users = () if os.geteuid() == 0 else ("--user", "--map-root-user", "--pid", "--fork")
        argv = ("unshare", *users, "--mount", "sh", "-c", PROCESSES_ALONE, "sh", *argv)
    done = subprocess.run(
        argv, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("mtp-appliance.service", IPV6),
        ("mtp-appliance-leds.service", BOARD),
    ],
)
def test_the_same_as_without_a_sandbox(unit: str, code: str) -> None:
    processes_alone = "\nProcSubset=pid\n" in (UNITS / unit).read_text()
    assert answer(code, processes_alone=processes_alone) == answer(code, processes_alone=False)


def test_the_boots_name_comes_from_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own sandbox shows it nothing in /proc but processes."""
    unit = (UNITS / "mtp-appliance-web.service").read_text()
    assert "\nEnvironment=MTP_APPLIANCE_BOOT_ID=%b\n" in unit
    assert boot() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    monkeypatch.setenv("MTP_APPLIANCE_BOOT_ID", "this one")
    assert boot() == "this one"
