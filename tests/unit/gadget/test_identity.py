# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and numbers that stay: from the board, or derived."""

from pathlib import Path

import pytest

from appliance.gadget.identity import device_identity, network_addresses, serial_number

TREE = "sys/firmware/devicetree/base/serial-number"
CPU = "proc/cpuinfo"
MACHINE = "etc/machine-id"
HOST = "proc/sys/kernel/hostname"


def files(root: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("contents", "serial"),
    [
        ({TREE: "00000000abcd1234\0"}, "00000000abcd1234"),
        ({CPU: "model\t: ARM\nSerial\t\t: 00000000deadbeef\n"}, "00000000deadbeef"),
        ({TREE: "1\0", CPU: "Serial : 2\n"}, "1"),
        ({TREE: "1\0", MACHINE: "f" * 32}, "1"),  # without /proc, as in the responder's unit
    ],
)
def test_the_board_knows(tmp_path: Path, contents: dict[str, str], serial: str) -> None:
    assert serial_number(files(tmp_path, contents)) == serial


@pytest.mark.parametrize(
    "contents",
    [{MACHINE: "f" * 32}, {HOST: "raspberrypi\n"}, {CPU: "Serial : 0000000000000000\n"}, {}],
)
def test_else_it_is_derived(tmp_path: Path, contents: dict[str, str]) -> None:
    root = files(tmp_path, contents)
    serial = serial_number(root)
    assert serial == serial_number(root)
    assert len(serial) == 16
    assert int(serial, 16)
    assert all(text.strip().upper() not in serial for text in contents.values())


def test_other_machines_have_other_numbers(tmp_path: Path) -> None:
    first = serial_number(files(tmp_path / "a", {MACHINE: "a" * 32}))
    second = serial_number(files(tmp_path / "b", {MACHINE: "b" * 32}))
    assert first != second


def test_addresses_are_local_and_for_one_machine() -> None:
    addresses = network_addresses("0001")
    for address in (addresses.host, addresses.device):
        octets = bytes.fromhex(address.replace(":", ""))
        assert len(octets) == 6
        assert octets[0] & 3 == 2
    assert addresses.host != addresses.device
    assert network_addresses("0001") == addresses
    assert network_addresses("0002") != addresses


def test_identity_has_all_that_clients_ask_for(tmp_path: Path) -> None:
    identity = device_identity(files(tmp_path, {TREE: "42\0"}))
    assert identity.serial_number == "42"
    assert identity.manufacturer
    assert identity.model
    assert identity.version
