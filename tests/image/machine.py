# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots an image in QEMU from its own partitions, with its own kernel, RAM disk and init.

What tests it comes from outside: a unit by a credential of the firmware's, the PC's disk, and the
script (inside.py) as a raw tar on a third one. The console brings back what the script says.
"""

import gzip
import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from image.boot_files import command_line
from image.programs import find_program
from tests.image.disk import Disk

_UNIT = """\
[Unit]
Description=What tests the image
DefaultDependencies=no
After=local-fs.target
Conflicts=shutdown.target
[Service]
Type=exec
Environment=HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
ExecStartPre=/bin/mkdir -p /run/pc /run/orders
ExecStartPre=/bin/mount /dev/vdb /run/pc
ExecStartPre=/bin/tar -C /run/orders -xf /dev/vdc
ExecStart=/usr/bin/python3 /run/orders/inside.py {phase}
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyAMA0
TimeoutStartSec=infinity
"""
#: Seconds of this machine, however busy it is; inside.py has limits in the image's own time.
_BOOT = 3600.0


class Machine:
    """A start of an image; a context, at whose end the power is cut."""

    def __init__(
        self, disk: Disk, pc: Path, folder: Path, phase: str, device_tree: Path | None = None
    ) -> None:
        self._disk = disk
        self._folder = folder
        self._console = folder / f"console-{phase}"
        self._device_tree = device_tree
        self._prepare(phase)
        self._pc = pc
        self._process: subprocess.Popen[bytes] | None = None

    def _prepare(self, phase: str) -> None:
        kernel = self._disk.boot_file("kernel8.img")
        (self._folder / "kernel").write_bytes(gzip.decompress(kernel))
        (self._folder / "initrd").write_bytes(self._disk.boot_file("initrd.img"))
        (self._folder / "unit").write_text(_UNIT.format(phase=phase))
        script = Path(__file__).with_name("inside.py").read_bytes()
        with tarfile.open(self._folder / "orders", "w", bufsize=1 << 20) as orders:
            entry = tarfile.TarInfo("inside.py")
            entry.size = len(script)
            orders.addfile(entry, io.BytesIO(script))

    def __enter__(self) -> "Machine":
        with (self._folder / "qemu").open("wb") as words:
            self._process = subprocess.Popen(self._argv(), stdin=subprocess.DEVNULL, stderr=words)
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()

    def cut_power(self) -> None:
        """Kill QEMU; what the image has not brought to its disk is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def results(self, until: str = "done") -> dict[str, Any]:
        """Give what the script says, up to a thing of that name or the machine's end."""
        found: dict[str, Any] = {}
        for each in self._lines():
            found |= each
            if until in found:
                return found
        raise AssertionError(
            f"the image ended before {until!r}: {found.get('error')}\n{self.last_words()}"
        )

    def _lines(self) -> Iterator[dict[str, Any]]:
        position = 0
        deadline = time.monotonic() + _BOOT
        while time.monotonic() < deadline:
            alive = self._process is not None and self._process.poll() is None
            text = self._console.read_text(errors="replace") if self._console.exists() else ""
            whole = text.rfind("\n") + 1
            for line in text[position:whole].splitlines():
                if "RESULT {" in line:
                    yield json.loads(line.partition("RESULT ")[2])
            position = max(position, whole)
            if not alive:
                return
            time.sleep(0.2)

    def wait_for_end(self) -> None:
        """Wait until it has switched itself off."""
        assert self._process is not None
        self._process.wait(timeout=_BOOT)

    def last_words(self, lines: int = 120) -> str:
        """Give the end of the console, and what QEMU itself says."""
        found = []
        for path in (self._folder / "qemu", self._console):
            text = path.read_text(errors="replace") if path.exists() else ""
            found.append("\n".join(text.splitlines()[-lines:]))
        return "\n".join(found)

    def _argv(self) -> list[str]:
        line = command_line("console=ttyAMA0 systemd.wants=t.service").strip()
        # No longer name fits.
        credential = "opt/io.systemd.credentials/systemd.extra-unit.t.service"
        argv = [
            *("setpriv", "--pdeathsig", "KILL", find_program("qemu-system-aarch64")),
            *("-M", "virt", "-cpu", "cortex-a53", "-smp", "1", "-m", "512"),
            # Time is what the guest has done, half a billion instructions a second as on an ARMv6,
            # however busy this machine is. So no time limit of a unit is met by chance.
            *("-accel", "tcg,thread=single", "-icount", "shift=1"),
            *("-display", "none", "-monitor", "none", "-nic", "none"),
            *("-no-reboot", "-serial", f"file:{self._console}", "-append", line),
            *("-kernel", str(self._folder / "kernel"), "-initrd", str(self._folder / "initrd")),
            *("-fw_cfg", f"name={credential},file={self._folder / 'unit'}"),
            *self._drive(self._disk.path, "file"),
            *self._drive(self._pc, "pc", "snapshot=on"),
            *self._drive(self._folder / "orders", "orders", "snapshot=on"),
        ]
        return argv + (["-dtb", str(self._device_tree)] if self._device_tree else [])

    @staticmethod
    def _drive(path: Path, name: str, *options: str) -> tuple[str, ...]:
        words = ",".join((f"file={path},if=none,id={name},format=raw", *options))
        return ("-drive", words, "-device", f"virtio-blk-pci,drive={name}")
