# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file, edited as a person edits it: the path unit puts it into force."""

import os
from pathlib import Path

import pytest

from tests.appliance import cable, units
from tests.appliance.settings_file import STORAGE, edit, owner
from tests.clients.mtp_tools import MtpTools
from tests.usb.host import Host, wait_for_device

pytestmark = [pytest.mark.guest("appliance"), pytest.mark.usefixtures("settings_as_they_were")]


def _host_name() -> str:
    return Path("/proc/sys/kernel/hostname").read_text().strip()


def test_the_host_name_changes_and_the_responder_stays() -> None:
    before = units.main_pid(units.RESPONDER)
    edit(f'version = 1\n{STORAGE}\n[network]\nhost_name = "kitchen"\n')
    units.wait_until(lambda: _host_name() == "kitchen", "the host name is the new one")
    assert units.main_pid(units.RESPONDER) == before


def test_two_edits_at_once_end_with_the_second() -> None:
    edit(f'version = 1\n{STORAGE}\n[network]\nhost_name = "first"\n')
    units.wait_until(
        lambda: units.show(units.APPLY, "ActiveState") == "activating", "the first is under way"
    )
    edit(f'version = 1\n{STORAGE}\n[network]\nhost_name = "second"\n')
    units.wait_until(lambda: _host_name() == "second", "the host name is the second one")


def test_a_storage_comes_without_a_replug(tmp_path: Path) -> None:
    before = units.main_pid(units.RESPONDER)
    folder = Path("/srv/more")
    folder.mkdir(exist_ok=True)
    os.chown(folder, *owner())
    edit(f'version = 1\n{STORAGE}\n[[storages]]\npath = "/srv/more"\nname = "More"\n')
    units.wait_until(lambda: "More" in MtpTools().detect(), "the PC sees the other storage")
    assert units.main_pid(units.RESPONDER) == before


def test_the_network_function_goes_and_comes() -> None:
    edit(f'version = 1\n{STORAGE}\n[network]\nfunction = "none"\n')
    units.wait_until(lambda: _interfaces() == [6], "MTP is alone")
    edit(f'version = 1\n{STORAGE}\n[network]\nfunction = "ecm"\n')
    units.wait_until(lambda: _interfaces() == [6, 2, 10, 10], "ECM is beside it")


def _interfaces() -> list[int]:
    if not cable.is_on_the_bus():
        return []
    return [face.bInterfaceClass for face in wait_for_device().get_active_configuration()]


def test_a_file_with_errors_changes_nothing() -> None:
    before = units.main_pid(units.RESPONDER), _host_name()
    edit("version = 1\n[network]\nhost_name = 3\n[[[\n")
    applied = units.show(units.APPLY, "InvocationID")
    units.wait_until(
        lambda: applied != "" and units.show(units.APPLY, "ActiveState") != "activating",
        "it is looked at",
    )
    assert (units.main_pid(units.RESPONDER), _host_name()) == before
    host = Host().open()
    host.die()
