# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a gadget, and its reverse."""

from dataclasses import replace

import pytest

from appliance.gadget.plan import (
    GadgetSettings,
    Link,
    MakeDirectory,
    Network,
    RemoveDirectory,
    Unlink,
    Write,
    plan,
    reverse,
)

SETTINGS = GadgetSettings(
    serial_number="0123456789ABCDEF",
    manufacturer="Maker",
    product="Thing",
    host_address="02:00:00:00:00:01",
    device_address="02:00:00:00:00:02",
)


def values(settings: GadgetSettings) -> dict[str, str]:
    return {step.path: step.value for step in plan(settings) if isinstance(step, Write)}


def links(settings: GadgetSettings) -> list[str]:
    return [step.path for step in plan(settings) if isinstance(step, Link)]


def test_mtp_alone() -> None:
    assert links(SETTINGS) == ["configs/c.1/ffs.mtp", "os_desc/c.1"]
    got = values(SETTINGS)
    expected = {
        "idVendor": "0x1d6b",
        "idProduct": "0x0104",
        "bcdUSB": "0x0200",
        "bDeviceClass": "0x00",
        "strings/0x409/serialnumber": "0123456789ABCDEF",
        "strings/0x409/manufacturer": "Maker",
        "strings/0x409/product": "Thing",
        "os_desc/use": "1",
        "os_desc/b_vendor_code": "0xcd",
        "os_desc/qw_sign": "MSFT100",
        "configs/c.1/MaxPower": "500",
        "configs/c.1/bmAttributes": "0x80",
    }
    assert expected.items() <= got.items()
    assert "max_speed" not in got


@pytest.mark.parametrize("network", [Network.NCM, Network.ECM])
def test_mtp_is_the_first_interface_of_a_composite_device(network: Network) -> None:
    settings = replace(SETTINGS, network=network)
    mtp, net, windows = links(settings)
    assert (mtp, windows) == ("configs/c.1/ffs.mtp", "os_desc/c.1")
    assert net == f"configs/c.1/{network}.usb0"
    got = values(settings)
    names = ("bDeviceClass", "bDeviceSubClass", "bDeviceProtocol")
    assert [got[name] for name in names] == ["0xef", "0x02", "0x01"]
    assert got[f"functions/{network}.usb0/host_addr"] == "02:00:00:00:00:01"
    assert got[f"functions/{network}.usb0/dev_addr"] == "02:00:00:00:00:02"


def test_windows_10_binds_ncm_by_its_id() -> None:
    path = "functions/ncm.usb0/os_desc/interface.ncm/compatible_id"
    assert values(replace(SETTINGS, network=Network.NCM))[path] == "WINNCM"
    assert path not in values(replace(SETTINGS, network=Network.ECM))


def test_the_release_number_tells_layouts_apart_and_nothing_else() -> None:
    releases = [values(replace(SETTINGS, network=each))["bcdDevice"] for each in Network]
    assert len(set(releases)) == len(releases)
    assert all(set(release.removeprefix("0x")) <= set("0123456789") for release in releases)
    assert values(replace(SETTINGS, serial_number="X"))["bcdDevice"] == releases[0]


def test_power_and_speed() -> None:
    got = values(replace(SETTINGS, max_power=100, self_powered=True, max_speed="full-speed"))
    assert got["configs/c.1/MaxPower"] == "100"
    assert got["configs/c.1/bmAttributes"] == "0xc0"
    assert got["max_speed"] == "full-speed"


@pytest.mark.parametrize("network", list(Network))
def test_the_reverse_undoes_each_directory_and_link_in_reverse_order(network: Network) -> None:
    steps = plan(replace(SETTINGS, network=network))
    made = [step.path for step in steps if not isinstance(step, Write)]
    undone = reverse(steps)
    assert [step.path for step in undone] == made[::-1]
    kinds = {MakeDirectory: RemoveDirectory, Link: Unlink}
    assert [type(step) for step in undone] == [
        kinds[type(step)] for step in reversed(steps) if not isinstance(step, Write)
    ]


def test_directories_are_made_before_what_lies_in_them() -> None:
    made = {"."}
    builtin = {"os_desc", "os_desc/interface.ncm", "functions/ncm.usb0/os_desc/interface.ncm"}
    for step in plan(replace(SETTINGS, network=Network.NCM)):
        parent = step.path.rpartition("/")[0] or "."
        known = made | builtin | {"configs", "functions", "strings", "configs/c.1/strings"}
        assert parent in known, step
        if isinstance(step, Link):
            assert step.target in made
        if isinstance(step, MakeDirectory):
            made.add(step.path)


def test_steps_read_as_a_transcript() -> None:
    lines = [str(step) for step in plan(SETTINGS)]
    assert lines[0] == "MKDIR ."
    assert "WRITE idVendor 0x1d6b" in lines
    assert "LINK configs/c.1/ffs.mtp -> functions/ffs.mtp" in lines
    assert next(str(step) for step in reverse(plan(SETTINGS))) == "UNLINK os_desc/c.1"
