# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests at once over one folder; reset, unplugged, killed in a transfer; migrated."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.usbredir.machines import Machine
from tests.vm.image import find_program
from tests.vm.redirected import CONTROLLER, Monitor, device, served, until

pytestmark = pytest.mark.boots

_LARGE = 256 << 20


@dataclass(frozen=True, slots=True)
class Site:
    """A host that serves a folder, and its machines."""

    share: Path
    socket: Path
    state: Path
    machines: tuple[Machine, ...]

    def log(self) -> str:
        """Give what the responder has logged."""
        return (self.state / "log").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve to two guests, booted at once."""
    folder = tmp_path_factory.mktemp("usbredir")
    share, socket, state = folder / "share", folder / "share.sock", folder / "state"
    with served(share, socket, state, "-v") as process, contextlib.ExitStack() as stack:
        machines = []
        for _ in range(2):
            machines.append(Machine(socket))
            stack.callback(machines[-1].close)
        (share / "here.txt").write_text("here")
        for each in machines:
            each.ready()
        yield Site(share, socket, state, tuple(machines))
        assert process.poll() is None, (state / "log").read_text()


def test_what_one_does_and_what_the_host_does_the_other_hears(site: Site) -> None:
    one, two = site.machines
    listening = two.begin("listen", "from-host.txt")
    two.wait_for(listening, "listening")
    assert "here.txt" in one.run("list").split()
    assert one.run("put", "from-one.bin", "100000").split()[-1] == "0x2001"
    two.wait_for(listening, "OBJECT_ADDED from-one.bin")
    (site.share / "from-host.txt").touch()
    assert "OBJECT_ADDED from-host.txt" in two.wait(listening)
    assert (site.share / "from-one.bin").stat().st_size == 100000
    assert "from-host.txt" in one.run("tools")


def begin(site: Site, machine: Machine, way: str) -> None:
    """Have a machine begin a transfer, and wait until it is under way."""
    if way == "get":
        with (site.share / "large.bin").open("wb") as file:
            file.truncate(_LARGE)
        task = machine.begin("get", "large.bin")
    else:
        task = machine.begin("put", "up.bin", str(_LARGE))
    machine.wait_for(task, "under way")


def nothing_remains(site: Site) -> None:
    """See that an upload that was broken off has left nothing."""
    staged = ".mtp-appliance/[0-9]*-*/*"
    until(lambda: not list(site.share.glob(staged)), "nothing is staged")
    assert not (site.share / "up.bin").exists()


@pytest.mark.parametrize("way", ["get", "put"])
def test_a_reset_in_the_middle(site: Site, way: str) -> None:
    machine = site.machines[0]
    begin(site, machine, way)
    boots = len((machine.folder / "boots").read_text())
    machine.monitor.ask("system_reset")
    nothing_remains(site)
    assert "here.txt" in site.machines[1].run("tools")
    machine.ready(boots)
    assert "here.txt" in machine.run("tools")


@pytest.mark.parametrize("way", ["get", "put"])
def test_unplugged_in_the_middle(site: Site, way: str) -> None:
    """From a guest that runs on; plugged in again, it works as before."""
    machine = site.machines[0]
    begin(site, machine, way)
    machine.monitor.human("device_del share")
    nothing_remains(site)
    assert "here.txt" in site.machines[1].run("tools")
    enabled = site.log().count("ENABLE")
    machine.monitor.human(f"chardev-add socket,id=after-{way},path={site.socket}")
    machine.monitor.human(f"device_add usb-redir,id=share,chardev=after-{way},bus=xhci.0")
    until(lambda: site.log().count("ENABLE") > enabled, "it is plugged in again")
    assert "here.txt" in machine.run("tools")


def test_killed_in_the_middle(site: Site) -> None:
    """Kill one QEMU in a download, one in an upload: the other, then the next, work at once."""
    one, two = site.machines
    begin(site, one, "get")
    one.kill()
    assert "here.txt" in two.run("tools")
    begin(site, two, "put")
    two.kill()
    nothing_remains(site)
    next_one = Machine(site.socket)
    try:
        next_one.ready()
        assert next_one.run("get", "large.bin").split() == ["under", "way", str(_LARGE), "0x2001"]
        assert next_one.run("put", "up.bin", "100000").split()[-1] == "0x2001"
    finally:
        next_one.close()
    assert (site.share / "up.bin").read_bytes() == bytes(100000)


def test_migrated(tmp_path: Path) -> None:
    """Two machines without a system, whose firmware looks at the device as each system does."""
    with (
        served(tmp_path / "share", tmp_path / "share.sock", tmp_path / "state", "-v"),
        contextlib.ExitStack() as stack,
    ):
        source = _bare(tmp_path, "source", stack)
        until(lambda: "CONNECTED" in _log(tmp_path), "the source has the device")
        until(lambda: "Speed 480" in source.human("info usb"), "it is plugged in")
        target = _bare(tmp_path, "target", stack, "-incoming", f"unix:{tmp_path / 'way'}")
        source.ask("migrate", uri=f"unix:{tmp_path / 'way'}")
        until(lambda: source.ask("query-migrate")["status"] == "completed", "it is migrated")
        source.ask("quit")
        target.ask("system_reset")
        until(lambda: "MIGRATED" in _log(tmp_path), "the target has spoken")
        until(lambda: "Speed 480" in target.human("info usb"), "it is plugged in anew")


def test_unplugged_plugged_in_and_served_anew(tmp_path: Path) -> None:
    """By the lines that docs/qemu.md has for a machine that runs."""
    socket = tmp_path / "share.sock"

    def is_plugged() -> bool:
        return "Speed 480" in machine.human("info usb")

    with contextlib.ExitStack() as stack:
        with served(tmp_path / "share", socket, tmp_path / "state"):
            machine = _bare(tmp_path, "machine", stack)
            until(is_plugged, "it is plugged in")
            machine.human("device_del share")
            until(lambda: "GONE" in _log(tmp_path), "it is unplugged")
            assert not is_plugged()
            machine.human(f"chardev-add socket,id=share,path={socket},reconnect=1")
            machine.human("device_add usb-redir,id=share,chardev=share")
            until(is_plugged, "it is plugged in again")
        until(lambda: not is_plugged(), "the responder has ended")
        with served(tmp_path / "share", socket, tmp_path / "state"):
            until(is_plugged, "QEMU has connected again")


def _log(folder: Path) -> str:
    return (folder / "state" / "log").read_text()


def _bare(folder: Path, name: str, stack: contextlib.ExitStack, *options: str) -> Monitor:
    """Start a machine with nothing but firmware and the device."""
    argv = ["setpriv", "--pdeathsig", "KILL", find_program("qemu-system-x86_64"), "-M", "q35"]
    argv += ["-accel", "tcg", "-m", "64", "-display", "none", "-nic", "none"]
    argv += ["-qmp", f"unix:{folder / name},server=on,wait=off", *CONTROLLER]
    process = subprocess.Popen([*argv, *device(folder / "share.sock"), *options])
    stack.callback(process.wait)
    stack.callback(process.kill)
    monitor = Monitor(folder / name)
    stack.callback(monitor.close)
    return monitor
