# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: does what the host asks, a process for each task, until it is switched off."""

import json
import subprocess
import sys
import time
from pathlib import Path

HOST = Path("/run/host")


def main() -> None:
    """Serve."""
    subprocess.run(["modprobe", "xhci_pci"], check=True)
    with (HOST / "boots").open("a") as boots:
        boots.write(".")
    begun = {each.name for each in HOST.glob("said-*")}
    running: dict[str, subprocess.Popen[bytes]] = {}
    while True:
        for task in HOST.glob("task-*[0-9]"):
            number = task.name.removeprefix("task-")
            if f"said-{number}" not in begun:
                begun.add(f"said-{number}")
                running[number] = start(number, json.loads(task.read_text()))
        for number, process in list(running.items()):
            if process.poll() is not None:
                del running[number]
                (HOST / "new").write_text(str(process.returncode))
                (HOST / "new").rename(HOST / f"done-{number}")
        time.sleep(0.05)


def start(number: str, words: list[str]) -> subprocess.Popen[bytes]:
    """Begin a task."""
    argv = [sys.executable, "-u", "-m", "tests.usbredir.pc", *words]
    with (HOST / f"said-{number}").open("wb") as said:
        return subprocess.Popen(argv, stdout=said, stderr=subprocess.STDOUT)


if __name__ == "__main__":
    main()
