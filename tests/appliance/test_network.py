# SPDX-License-Identifier: GPL-3.0-or-later
"""The network on the cable, from the PC's side."""

import os

import pytest

from tests.appliance import cable, units
from tests.appliance.pc import Pc
from tests.usb.host import Host

pytestmark = pytest.mark.guest("appliance")


def test_the_pc_gets_an_address_and_keeps_its_internet(pc: Pc) -> None:
    pc.plug_in()
    assert pc.keeps_its_internet()
    assert pc.reaches(cable.addresses()["inet"])


def test_link_local_ipv6(pc: Pc) -> None:
    pc.plug_in()
    there = f"{cable.addresses()['inet6']}%{pc.interface}"
    assert there.startswith("fe80::")
    units.wait_until(lambda: pc.reaches(there), f"{there} answers")


def test_the_name_is_found(pc: Pc) -> None:
    own = pc.plug_in()
    name = os.uname().nodename
    said = pc.run("python3", "-m", "tests.appliance.mdns", name, own)
    assert said.strip() == cable.addresses()["inet"]


def test_the_same_addresses_after_a_bus_reset(pc: Pc) -> None:
    before = pc.plug_in(), cable.addresses()
    host = Host()
    host.device.reset()
    host.die()
    assert (pc.plug_in(), cable.addresses()) == before
    assert pc.reaches(cable.addresses()["inet"])
    assert pc.keeps_its_internet()


def test_the_same_addresses_after_the_cable_was_out(pc: Pc) -> None:
    before = pc.plug_in(), cable.addresses()
    cable.pull_and_plug()
    assert (pc.plug_in(), cable.addresses()) == before
    assert pc.reaches(cable.addresses()["inet"])
