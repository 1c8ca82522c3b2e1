# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside QEMU's usb-mtp, in one guest on one controller: python -m tests.bench.redirected.

Both serve the same files from memory, and one raw client measures both in turn.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.client import KIB, MIB, RawClient
from tests.vm import image
from tests.vm.redirected import RedirectedGuest

DEVICES = {"usbredir": "1d6b:0104", "usb-mtp": "46f4:0004"}
_FOLDERS = (2_000, 10_000)
_LARGE, _SMALL, _SMALL_FILES = 100 * MIB, 4 * KIB, 300
_ALL = 0xFFFFFFFF

Samples = dict[str, dict[str, list[float]]]


def main() -> None:
    """Measure from the host; or, in the guest, the part that is done there."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.redirected", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--in-guest", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_guest is not None:
        samples = _measure(quick=arguments.quick)
        arguments.in_guest.write_text(json.dumps(samples))
        return
    print(table(_run(quick=arguments.quick)))


def _run(*, quick: bool) -> Samples:
    """Boot a guest with both devices; what it measured."""
    tempfile.tempdir = "/dev/shm"
    guest = RedirectedGuest(image.get())
    beside = guest.folder / "beside"
    for share in (guest.folder / "share", beside):
        _fill(share)
    guest.devices = (
        *guest.devices,
        *("-device", f"usb-mtp,rootdir={beside},readonly=off,bus=xhci.0"),
    )
    results = Path("/run/host/results.json")
    words = ["python3", "-u", "-m", "tests.bench.redirected", "--in-guest", str(results)]
    guest.start(shlex.join([*words, *(["--quick"] if quick else [])]))
    try:
        with guest.output.open() as output:
            while guest.running():
                print(output.read(), end="", file=sys.stderr, flush=True)
                time.sleep(0.2)
        if guest.status():
            raise image.GuestError(guest.last_words())
        samples: Samples = json.loads((guest.folder / "results.json").read_text())
        return samples
    finally:
        guest.stop()


def _fill(share: Path) -> None:
    for count in _FOLDERS:
        folder = share / str(count)
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"photo {number:05}.jpg").touch()
    (share / "up").mkdir()
    (share / "large.bin").write_bytes(os.urandom(MIB) * (_LARGE // MIB))


def table(samples: Samples) -> str:
    """Lay out what was measured: medians, and how many times as fast the road is."""
    lines = ["| what | usbredir | QEMU's usb-mtp | times as fast |", "|---|---|---|---|"]
    for what, by_device in samples.items():
        medians = {device: statistics.median(times) for device, times in by_device.items()}
        ours, theirs = medians["usbredir"], medians.get("usb-mtp")
        ratio = "" if theirs is None else f"{theirs / ours:.2f}"
        other = "cannot" if theirs is None else f"{theirs:.3f} s"
        lines.append(f"| {what} | {ours:.3f} s | {other} | {ratio} |")
    return "\n".join(lines)


# In the guest


class Device:
    """One of the two, with the objects in its root."""

    def __init__(self, vendor_product: str) -> None:
        self.client = RawClient(vendor_product)
        self.client.open_session()
        (self.storage, *_) = self.client.storages()
        self.client.handles(self.storage)
        self.root = {self._name(handle): handle for handle in self.client.remembered()}

    def _name(self, handle: int) -> str:
        self.client.operate(0x1008, handle)
        data = self.client.data()
        return data[53 : 53 + 2 * data[52]].decode("utf-16-le").rstrip("\0")

    def list_each(self, count: int, most: int) -> float:
        """List a folder, and ask for each object in it."""
        listed = self.client.handles(self.storage, self.root[str(count)])
        return listed.seconds + self.client.each("1008,@", count=most).seconds

    def list_at_once(self, count: int) -> float:
        """List a folder with all that is known of what is in it."""
        answer = self.client.operate(0x9805, self.root[str(count)], 0, _ALL, 0, 1)
        return answer.seconds if answer.ok else 0.0

    def get(self, chunk: int) -> float:
        """Download the large file."""
        return self.client.get(self.root["large.bin"], chunk).seconds

    def put(self, size: int, chunk: int, name: str) -> float:
        """Upload a large file."""
        up = self.root["up"]
        return self.client.put(self.storage, size, name, parent=up, chunk=chunk)[1]

    def small(self, name: str, count: int) -> Iterator[float]:
        """Upload small files, then download them."""
        self.client.forget()
        up = self.root["up"]
        yield self.client.put_many(self.storage, _SMALL, count, name, up).seconds
        yield self.client.each("1009,@").seconds


def _measure(*, quick: bool) -> Samples:
    samples: Samples = {}
    repeats = 1 if quick else 3
    for each in DEVICES.values():
        _wait_for(each)
    devices = {name: Device(each) for name, each in DEVICES.items()}
    for repeat in range(repeats):
        for name, device in devices.items():
            for what, seconds in _once(device, repeat, quick=quick):
                if seconds:
                    print(name, what, f"{seconds:.3f}")
                    samples.setdefault(what, {}).setdefault(name, []).append(seconds)
    return samples


def _once(device: Device, repeat: int, *, quick: bool) -> Iterator[tuple[str, float]]:
    for count in _FOLDERS:
        what = f"{count:,} objects listed"
        yield (
            f"{what}, one by one (GetObjectInfo)",
            device.list_each(count, 200 if quick else count),
        )
        yield f"{what}, at once (GetObjectPropList)", device.list_at_once(count)
    for chunk in (MIB, 16 * KIB):
        yield f"100 MiB downloaded, by {chunk // KIB} KiB", device.get(chunk)
    size = _LARGE // 10 if quick else _LARGE
    # QEMU aborts where its usb-mtp gets more than 512 KiB at once.
    seconds = device.put(size, 16 * KIB, f"large-{repeat}.bin")
    yield f"{size // MIB} MiB uploaded, by 16 KiB", seconds
    count = 30 if quick else _SMALL_FILES
    times = device.small(f"small-{repeat}-", count)
    for what, seconds in zip(("uploaded", "downloaded"), times, strict=True):
        yield f"{count} files of 4 KiB {what}", seconds


def _wait_for(vendor_product: str) -> None:
    vendor, product = vendor_product.split(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for each in Path("/sys/bus/usb/devices").glob("*/idProduct"):
            found = (each.with_name("idVendor").read_text().strip(), each.read_text().strip())
            if found == (vendor, product):
                return
        time.sleep(0.2)
    raise TimeoutError(vendor_product)


if __name__ == "__main__":
    main()
