# SPDX-License-Identifier: GPL-3.0-or-later
"""The real responder in the guest, plugged into the guest's own USB host by dummy_hcd."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.usb.host import Host, program, wait_for_device, wait_until_gone

UDC = "dummy_udc.0"
_PATIENCE = 180.0
_SPEEDS = {
    "full": ("is_high_speed=0", "is_super_speed=0"),
    "high": ("is_high_speed=1", "is_super_speed=0"),
    "super": ("is_high_speed=1", "is_super_speed=1"),
}


@dataclass(slots=True)
class Appliance:
    """A running responder that serves `share` as the storage "Card"."""

    share: Path
    log_file: Path
    process: subprocess.Popen[bytes]

    def log(self) -> str:
        """Give what it has logged."""
        return self.log_file.read_text()

    def wait_for_log(self, word: str, since: int = 0) -> None:
        """Wait until it has logged `word` after the first `since` characters."""
        deadline = time.monotonic() + _PATIENCE
        while word not in self.log()[since:]:
            assert time.monotonic() < deadline, f"no {word!r} in:\n{self.log()}"
            time.sleep(0.05)

    def program(self) -> contextlib.AbstractContextManager[Host]:
        """Run a program on the PC."""
        return program()

    def gadget(self) -> Path:
        """Give its gadget's folder in configfs."""
        (folder,) = (
            udc.parent
            for udc in Path("/sys/kernel/config/usb_gadget").glob("*/UDC")
            if udc.read_text().strip() in {UDC, ""}
        )
        return folder

    def unbind(self) -> None:
        """Pull the cable, and wait until the PC has noticed."""
        (self.gadget() / "UDC").write_text("\n")
        wait_until_gone()

    def bind(self) -> None:
        """Plug the cable in."""
        (self.gadget() / "UDC").write_text(UDC)
        wait_for_device()

    def sleep(self, power: Path) -> None:
        """Let the bus sleep, and wake it; `power` is the device's folder of that name in sysfs."""
        since = len(self.log())
        (power / "autosuspend_delay_ms").write_text("0")
        (power / "control").write_text("auto")
        try:
            self.wait_for_log("SUSPEND", since)
        finally:
            (power / "control").write_text("on")
        self.wait_for_log("RESUME", since)

    def holds(self) -> tuple[int, int]:
        """Count the descriptors and threads that it has now."""
        process = Path(f"/proc/{self.process.pid}")
        return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))

    def wait_until_holds(self, most: tuple[int, int]) -> None:
        """Wait until it has no more descriptors and threads than that; some end a little later."""
        deadline = time.monotonic() + _PATIENCE
        while any(has > may for has, may in zip(self.holds(), most, strict=True)):
            held = f"descriptors and threads: {self.holds()}, not {most}"
            assert time.monotonic() < deadline, held
            time.sleep(0.05)

    def leftovers(self) -> list[str]:
        """Give the names of all files in the share that no PC sees: hidden and staged ones."""
        return sorted(path.name for path in self.share.glob(".*/**/*") if path.is_file())


def load_controller(speed: str) -> None:
    """Give the guest a USB bus of that speed: full, high or super."""
    subprocess.run(["modprobe", "-r", "dummy_hcd"], check=False)
    subprocess.run(["modprobe", "dummy_hcd", *_SPEEDS[speed]], check=True)


@contextlib.contextmanager
def plugged_in(share: Path, state: Path, *options: str) -> Iterator[Appliance]:
    """Serve `share` over USB until the block ends; the device is there when it begins."""
    log_file = state / "log"
    argv = [sys.executable, "-m", "appliance", "serve", "--usb", f"Card={share}"]
    argv += ["--state-dir", str(state), "-v", *options]
    with (
        log_file.open("wb") as log,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), log_file.read_text()
            wait_for_device()
            yield Appliance(share, log_file, process)
            assert process.poll() is None, f"it ended by itself:\n{log_file.read_text()}"
        finally:
            process.terminate()
            process.wait(_PATIENCE)
    shutil.rmtree(state / "share", ignore_errors=True)
