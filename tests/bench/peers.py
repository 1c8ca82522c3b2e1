# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is measured, each on a virtual cable of its own: ours, Debian's uMTP-Responder, a bare pump.

A process that dies is noticed by the client, which gets no answer.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.build import program
from tests.bench.rows import PUMP, STORING

PATIENCE = 90.0
_GADGETS = Path("/sys/kernel/config/usb_gadget")
_CONFIG = """
storage "{ram}" "Card" "rw"
storage "{disk}" "Disk" "rw"
manufacturer "Viveris"
product "uMTP-Responder"
serial "1"
mtp_extensions "microsoft.com: 1.0; android.com: 1.0;"
usb_vendor_id 0x1D6B
usb_product_id 0x{product}
usb_class 0x6
usb_subclass 0x1
usb_protocol 0x1
usb_dev_version 0x3008
usb_functionfs_mode 0x1
usb_dev_path "{mount}/ep0"
usb_epin_path "{mount}/ep1"
usb_epout_path "{mount}/ep2"
usb_epint_path "{mount}/ep3"
usb_max_packet_size 0x200
"""


@dataclass(slots=True)
class Peer:
    """A responder on its cable: `ram` and `disk` are the folders that it serves."""

    name: str
    device: str
    process: subprocess.Popen[bytes]
    ram: Path
    disk: Path
    seconds_to_ready: float
    settings: Path | None = None

    def memory(self, field: str = "VmHWM") -> int:
        """Bytes that its process has in memory, or had at most."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
        raise LookupError(field)

    def processor(self) -> float:
        """Seconds of processor time that it has used, the kernel's work for it included."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def ours(folder: Path, disk: Path, cable: int, write_safety: str = "safe") -> Iterator[Peer]:
    """Serve by this project, with settings as on the appliance but for the USB network."""
    ram, kept, state = _folders("ours", folder, disk)
    settings = state / "settings.toml"
    settings.write_text(
        f'version = 1\nwrite_safety = "{write_safety}"\n[network]\nfunction = "none"\n'
        f'[[storages]]\nname = "Card"\npath = "{ram}"\n'
        f'[[storages]]\nname = "Disk"\npath = "{kept}"\n'
    )
    argv = [sys.executable, "-m", "appliance", "serve", "--settings", str(settings), "-q"]
    argv += ["--usb", "--udc", f"dummy_udc.{cable}", "--state-dir", str(state)]
    with _running(argv, state / "log") as (process, start):
        assert process.stdout is not None
        while b"Ready over USB" not in (line := process.stdout.readline()):
            assert line, (state / "log").read_text()
        ready = time.monotonic() - start
        _wait(lambda: _is_on_bus("1d6b:0104"), state / "log")
        yield Peer("ours", "1d6b:0104", process, ram, kept, ready, settings)


@contextlib.contextmanager
def umtp(folder: Path, disk: Path, cable: int) -> Iterator[Peer]:
    """Serve by Debian's uMTP-Responder. It reads one file of settings, at a place of its own."""
    ram, kept, state = _folders("umtp", folder, disk)
    with _functionfs("umtp", "0100") as mount:
        text = _CONFIG.format(ram=ram, disk=kept, mount=mount, product="0100")
        Path("/etc/umtprd/umtprd.conf").write_text(text)
        with _running(["umtprd"], state / "log") as (process, start):
            _wait((mount / "ep3").exists, state / "log")
            ready = time.monotonic() - start
            with _bound("umtp", cable):
                _wait(lambda: _is_on_bus("1d6b:0100"), state / "log")
                yield Peer("umtp", "1d6b:0100", process, ram, kept, ready)


@contextlib.contextmanager
def pump(request: int, cable: int, store: Path | None = None) -> Iterator[Peer]:
    """Move bytes from and to memory by requests of `request` bytes; or to a file in `store`."""
    state = Path(tempfile.mkdtemp())
    name, product = (PUMP, "0101") if store is None else (STORING, "0102")
    with _functionfs(name, product) as mount:
        argv = [str(program("pump")), str(mount), str(request)]
        if store is not None:
            argv.append(str(store / "pumped"))
        with _running(argv, state / "log") as (process, start):
            assert process.stdout is not None
            assert process.stdout.readline(), (state / "log").read_text()
            ready = time.monotonic() - start
            with _bound(name, cable):
                _wait(lambda: _is_on_bus(f"1d6b:{product}"), state / "log")
                yield Peer(name, f"1d6b:{product}", process, state, state, ready)


def _folders(name: str, folder: Path, disk: Path) -> tuple[Path, Path, Path]:
    for each in (ram := folder / name, kept := disk / name):
        each.mkdir(parents=True, exist_ok=True)
    return ram, kept, Path(tempfile.mkdtemp(prefix=f"{name}-"))


@contextlib.contextmanager
def _running(argv: list[str], log: Path) -> Iterator[tuple["subprocess.Popen[bytes]", float]]:
    start = time.monotonic()
    with (
        log.open("wb") as words,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=words) as process,
    ):
        try:
            yield process, start
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


@contextlib.contextmanager
def _functionfs(name: str, product: str) -> Iterator[Path]:
    """Make a gadget with one FunctionFS function, which is mounted for the block."""
    gadget, mount = _GADGETS / name, Path(f"/dev/ffs-{name}")
    for each in ("strings/0x409", "configs/c.1", f"functions/ffs.{name}"):
        (gadget / each).mkdir(parents=True)
    (gadget / "idVendor").write_text("0x1d6b")
    (gadget / "idProduct").write_text(f"0x{product}")
    for each in ("manufacturer", "product", "serialnumber"):
        (gadget / "strings/0x409" / each).write_text(name)
    (gadget / "configs/c.1/f").symlink_to(gadget / f"functions/ffs.{name}")
    mount.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "functionfs", name, str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)
        (gadget / "configs/c.1/f").unlink()
        for each in (f"functions/ffs.{name}", "configs/c.1", "strings/0x409", "."):
            (gadget / each).rmdir()


@contextlib.contextmanager
def _bound(name: str, cable: int) -> Iterator[None]:
    udc = _GADGETS / name / "UDC"
    udc.write_text(f"dummy_udc.{cable}")
    try:
        yield
    finally:
        udc.write_text("\n")


def _is_on_bus(device: str) -> bool:
    found = subprocess.run(["lsusb", "-d", device], capture_output=True, check=False)
    return found.returncode == 0


def _wait(done: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
