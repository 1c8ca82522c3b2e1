# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the guest in QEMU, by emulation only: hardware virtualisation is not asked for.

Host and guest share a folder: `command` is what the guest runs, `output` what it prints, `status`
its exit status, `console` what the kernel says, `qemu` what QEMU itself says.
"""

import enum
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.vm.image import PROJECT, GuestError, Image, find_program

_MEMORY = 3072
#: KVM is left out: loaded into an emulated processor, it has ended the kernel.
_KERNEL_OPTIONS = (
    "root=/dev/vda rw init=/usr/local/sbin/guest-init console=ttyS0 quiet loglevel=4 panic=-1 "
    "oops=panic sysctl.kernel.hung_task_panic=1 mitigations=off nokaslr random.trust_cpu=on "
    "net.ifnames=0 modprobe.blacklist=kvm_amd,kvm_intel"
)


class Kind(enum.StrEnum):
    """What the guest boots as; the same disk serves for both."""

    #: As little as the kernel's side needs; tests start the responder themselves.
    PLAIN = "plain"
    #: The appliance as systemd starts it, with `overlay/` installed.
    APPLIANCE = "appliance"
    #: As the plain one, but a PC alone: the host serves its device (`tests.vm.redirected`).
    REDIRECTED = "redirected"


class Guest:
    """One run of the virtual Pi. Its disk forgets what is written when it ends."""

    def __init__(self, image: Image, kind: Kind = Kind.PLAIN, card: Path | None = None) -> None:
        """Prepare a run; `card` is the socket of a disk by NBD, which keeps what is written."""
        self._image = image
        self._card = card
        self._kind = kind
        #: More options for QEMU, and whether a reset does not end it.
        self.devices: Sequence[str] = ()
        self.reboots = False
        self.folder = Path(tempfile.mkdtemp(prefix="virtual-pi-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def console(self) -> Path:
        """The console's log."""
        return self.folder / "console"

    @property
    def output(self) -> Path:
        """What the command prints."""
        return self.folder / "output"

    def start(self, command: str) -> None:
        """Boot, and run a shell command line in the project's folder."""
        (self.folder / "command").write_text(command + "\n")
        self.output.touch()
        argv = self._argv("-display", "none", "-serial", f"file:{self.console}")
        with (self.folder / "qemu").open("wb") as words:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=words)

    def shell(self) -> int:
        """Boot, and give the terminal to a shell in the guest; QEMU's exit status.

        Ctrl-C is the guest's. Ctrl-A X ends a guest that hangs.
        """
        (self.folder / "shell").touch()
        terminal = ("-chardev", "stdio,id=terminal,mux=on,signal=off")
        return subprocess.call(
            self._argv("-display", "none", *terminal, "-serial", "chardev:terminal")
        )

    def running(self) -> bool:
        """Whether the guest has not switched itself off."""
        return self._process is not None and self._process.poll() is None

    def status(self) -> int:
        """Give the command's exit status, after the end."""
        try:
            return int((self.folder / "status").read_text())
        except (OSError, ValueError):
            raise GuestError(f"the guest died; its console:\n{self.last_words()}") from None

    def last_words(self, lines: int = 40) -> str:
        """Give the end of the console's log and of what the command printed."""
        parts = []
        for path in (self.folder / "qemu", self.console, self.output):
            text = path.read_text(errors="replace") if path.exists() else ""
            tail = "\n".join(text.splitlines()[-lines:])
            parts.append(f"--- {path}\n{tail}")
        return "\n".join(parts)

    def kill(self) -> None:
        """Take its power away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, *, keep: bool = False) -> None:
        """Switch off; `keep`: leave the logs."""
        self.kill()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _argv(self, *console: str) -> list[str]:
        return [
            # The guest ends with whoever has started it, killed or not.
            *("setpriv", "--pdeathsig", "KILL"),
            *(find_program("qemu-system-x86_64"), "-M", "q35", "-accel", "tcg,thread=multi"),
            *("-cpu", "max", "-smp", "2", "-m", str(_MEMORY), "-nic", "none"),
            *(() if self.reboots else ("-no-reboot",)),
            *("-monitor", "none", "-kernel", str(self._image.kernel)),
            *(
                "-initrd",
                str(self._image.initrd),
                "-append",
                f"{_KERNEL_OPTIONS} virtual-pi={self._kind}",
            ),
            "-drive",
            f"file={self._image.disk},if=virtio,format=raw,snapshot=on,cache=unsafe",
            *self._second_disk(),
            *self._share("project", PROJECT, "readonly=on"),
            *self._share("run", self.folder),
            *console,
            *self.devices,
        ]

    def _second_disk(self) -> tuple[str, ...]:
        if self._card is None:
            return ()
        where = f"file.driver=nbd,file.server.type=unix,file.server.path={self._card}"
        return ("-drive", f"{where},if=virtio,format=raw,cache=writeback")

    @staticmethod
    def _share(tag: str, path: Path, *options: str) -> tuple[str, str]:
        words = (f"local,path={path},mount_tag={tag},security_model=none", *options)
        return "-virtfs", ",".join(words)
