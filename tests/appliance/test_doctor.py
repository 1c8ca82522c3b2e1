# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor and the report, on the appliance itself."""

import json
import stat
import zipfile
from pathlib import Path

import pytest

from tests.appliance import units

pytestmark = pytest.mark.guest("appliance")

COMMAND = "/usr/bin/mtp-appliance"


def test_the_doctor_finds_nothing_wrong_with_the_way_to_the_pc() -> None:
    units.wait_until_active("multi-user.target")
    found = json.loads(units.run(COMMAND, "doctor", "--json"))
    grades = {each["about"]: each["grade"] for each in found}
    well = ("settings", "kernel", "configfs", "controller", "gadget", "functionfs", "cable")
    assert {about: grades[about] for about in well} == dict.fromkeys(well, "good"), found
    assert not [each for each in found if each["grade"] == "problem"]
    assert any(each["text"] == "the responder runs" for each in found) or any(
        "the responder had to be started anew" in each["text"] for each in found
    )


def test_the_report_has_the_logs_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    units.run(COMMAND, "report", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        log = archive.read("logs/mtp-appliance.service.txt").decode()
        gadget = archive.read("gadget.txt").decode()
    assert "Ready over USB" in log
    assert "idVendor" in gadget
    macs = [each.read_text().strip() for each in Path("/sys/class/net").glob("usb*/address")]
    assert macs
    assert not [mac for mac in macs if mac in log + gadget]
