# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots an image in QEMU from its own partitions, with its own kernel, RAM disk and init.

What tests it comes from outside: a unit by a credential on the command line, a script (inside.py)
as a tar in the card's unused first megabytes, the PC's disk by another road. The console brings
back what the script says.
"""

import base64
import gzip
import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from image.boards import Board
from image.boot_files import command_line
from image.programs import ask, find_program
from tests.image.disk import Disk
from tests.image.hardware import HARDWARE
from tests.image.pc import Pc

#: As short as can be: the kernel's command line has 1024 characters on an ARMv6.
_UNIT = """\
[Unit]
DefaultDependencies=no
After=local-fs.target
Conflicts=shutdown.target
[Service]
Type=exec
Environment=HOME=/root
ExecStart=/bin/sh -c "dd if={card} bs=1M skip=1 count=3|tar xC /run;exec sh /run/orders/start"
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyAMA0
TimeoutStartSec=infinity
"""
#: Where dd of the unit looks.
_ORDERS = 1 << 20
_START = """\
for each in /run/orders/*.ko*; do [ ! -e "$each" ] || insmod "$each"; done
until [ -b {pc} ]; do sleep 0.2; done
mkdir -p /run/pc
mount {pc} /run/pc
exec python3 /run/orders/inside.py {phase}
"""
#: Seconds of this machine, however busy it is; inside.py has limits in the image's own time.
_BOOT = 3600.0


class Machine:
    """A start of an image; a context, at whose end the power is cut. `model`: on another board."""

    def __init__(self, board: Board, disk: Disk, pc: Pc, phase: str, *, model: str = "") -> None:
        self._hardware = HARDWARE[board.name]
        self._disk = disk
        self._pc = pc
        self._folder = disk.scratch
        self._console = disk.scratch / f"console-{phase}"
        self._process: subprocess.Popen[bytes] | None = None
        self._prepare(board, phase)
        self._tree = self._device_tree(model or self._hardware.model)

    def _prepare(self, board: Board, phase: str) -> None:
        kernel = self._disk.boot_file(board.kernel_file)
        packed = kernel.startswith(b"\x1f\x8b")
        (self._folder / "kernel").write_bytes(gzip.decompress(kernel) if packed else kernel)
        (self._folder / "initrd").write_bytes(self._disk.boot_file("initrd.img"))
        self._disk.write_before(_ORDERS, self._orders(phase))

    def _device_tree(self, model: str) -> tuple[str, ...]:
        """Words for QEMU: a device tree with that model, or none, for QEMU's own."""
        if not model:
            return ()
        path = self._folder / "tree.dtb"
        if self._hardware.tree:
            path.write_bytes(self._disk.boot_file(self._hardware.tree))
        else:
            name, machine, *words = self._hardware.machine
            silent = ("-display", "none", "-nic", "none")
            ask(self._hardware.program, name, f"{machine},dumpdtb={path}", *words, *silent)
        ask("fdtput", "-t", "s", path, "/", "model", model)
        return "-dtb", str(path)

    def _orders(self, phase: str) -> bytes:
        start = _START.format(pc=self._hardware.pc_device, phase=phase)
        files = {
            "start": start.encode(),
            "inside.py": Path(__file__).with_name("inside.py").read_bytes(),
            **{each.name: each.read_bytes() for each in self._pc.modules},
        }
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as orders:
            for name, content in files.items():
                entry = tarfile.TarInfo(f"orders/{name}")
                entry.size = len(content)
                orders.addfile(entry, io.BytesIO(content))
        return packed.getvalue()

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

    def _line(self) -> str:
        unit = _UNIT.format(card=self._hardware.card_device).encode()
        credential = f"systemd.extra-unit.t.service:{base64.b64encode(unit).decode()}"
        line = command_line(
            "console=ttyAMA0 systemd.wants=t.service "
            f"systemd.set_credential_binary={credential} {self._hardware.line}"
        ).strip()
        assert len(line) < 1024
        return line

    def _argv(self) -> list[str]:
        hardware = self._hardware
        return [
            *("setpriv", "--pdeathsig", "KILL", find_program(hardware.program), *hardware.machine),
            # Time is what the guest has done, half a billion instructions a second as on an ARMv6,
            # however busy this machine is. So no time limit of a unit is met by chance.
            *("-accel", "tcg,thread=single", "-icount", "shift=1"),
            *("-display", "none", "-monitor", "none", "-nic", "none"),
            *("-no-reboot", "-serial", f"file:{self._console}", "-append", self._line()),
            *("-kernel", str(self._folder / "kernel"), "-initrd", str(self._folder / "initrd")),
            *(each.replace("FILE", str(self._disk.path)) for each in hardware.card),
            *("-drive", f"file={self._pc.disk},format=raw,snapshot=on,if=none,id=pc"),
            *("-device", f"{hardware.pc},drive=pc"),
            *self._tree,
        ]
