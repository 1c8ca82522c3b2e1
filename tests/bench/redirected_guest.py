# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: measures the devices that QEMU has plugged in, one JSON file.

python -m tests.bench.redirected_guest OUTPUT [--quick]
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.client import KIB, MIB, RawClient
from tests.bench.libmtp import Libmtp, LibmtpError
from tests.bench.redirected import FOLDERS, LARGE, USB_MTP
from tests.bench.rows import OURS, PUMP, Row, dump

DEVICES = {OURS: "1d6b:0104", USB_MTP: "46f4:0004"}
_PUMP = "1d6b:0101"
_SMALL, _SMALL_FILES = 4 * KIB, 300
_ALL = 0xFFFFFFFF
_PATIENCE = 120.0
_RAW, _LIBMTP = "raw requests", "libmtp"

#: What was done, by which client, and the seconds that it took; None where it failed.
Sample = tuple[str, str, float | None]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured: repeats, objects asked for one by one, bytes, small files."""

    repeats: int
    listed: int
    uploaded: int
    files: int


_WHOLE = Extent(3, max(FOLDERS), LARGE, _SMALL_FILES)
_QUICK = Extent(1, 200, LARGE // 10, 30)


def main() -> None:
    """Measure, and write what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    for each in (*DEVICES.values(), _PUMP):
        _wait_for(each)
    extent = _QUICK if arguments.quick else _WHOLE
    rows: dict[tuple[str, str], Row] = {}
    order: list[tuple[str, str]] = []
    for repeat in range(extent.repeats):
        for who, what, case, seconds in _once(extent, repeat):
            print(f"{who}: {what}, {case}: {seconds:.3f} s")
            order += [(what, case)] if who == OURS else []
            rows.setdefault((what, case), Row(what, case, "s")).add(who, seconds)
    machine = {
        "guest": "QEMU, emulated (TCG), 2 processors, 3 GiB, qemu-xhci",
        "guest's kernel": platform.release(),
        "repeats": extent.repeats,
    }
    arguments.output.write_text(dump([rows[each] for each in dict.fromkeys(order)], **machine))


def _once(extent: Extent, repeat: int) -> Iterator[tuple[str, str, str, float]]:
    """Measure everyone once, way by way, so that what else the machine does hits all."""
    ways: list[Callable[[str, Extent, str], Iterator[Sample]]] = [_raw, _by_libmtp]
    for way in ways:
        measured = {who: way(who, extent, f"{repeat}-{way.__name__}") for who in DEVICES}
        if way is _raw:
            measured[PUMP] = _pumped(extent)
        while measured:
            for who, samples in list(measured.items()):
                sample = next(samples, None)
                if sample is None:
                    del measured[who]
                elif (seconds := sample[2]) is not None:
                    yield who, sample[0], sample[1], seconds
                elif who == OURS:
                    raise LibmtpError(f"{sample[0]}, {sample[1]}")


# By raw requests


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


def _raw(who: str, extent: Extent, name: str) -> Iterator[Sample]:
    device = Device(DEVICES[who])
    client, root = device.client, device.root
    for count in FOLDERS:
        listed = client.handles(device.storage, root[str(count)]).seconds
        most = min(count, extent.listed)
        yield _listing(count), _RAW, listed + client.each("1008,@", count=most).seconds
        at_once = client.operate(0x9805, root[str(count)], 0, _ALL, 0, 1)
        if at_once.ok:
            yield f"{_listing(count)}, by one request", _RAW, at_once.seconds
    for chunk in (MIB, 512 * KIB, 16 * KIB):
        yield _down(chunk), _RAW, client.get(root["large.bin"], chunk).seconds
    for chunk in (512 * KIB, 16 * KIB):
        words = (device.storage, extent.uploaded, f"{name}-{chunk}")
        yield _up(extent, chunk), _RAW, client.put(*words, parent=root["up"], chunk=chunk)[1]
    client.forget()
    small = client.put_many(device.storage, _SMALL, extent.files, name, root["up"])
    yield _files(extent, "uploaded"), _RAW, small.seconds
    yield _files(extent, "downloaded"), _RAW, client.each("1009,@").seconds
    client.operate(0x1003)
    client.close()


def _pumped(extent: Extent) -> Iterator[Sample]:
    """Measure the pump: a handle is the number of bytes that it is to send, and so on."""
    client = RawClient(_PUMP)
    for count in FOLDERS:
        listed = client.handles(0, count)
        most = min(count, extent.listed)
        yield _listing(count), _RAW, listed.seconds + client.each("1008,@", count=most).seconds
    for chunk in (MIB, 512 * KIB, 16 * KIB):
        yield _down(chunk), _RAW, client.get(LARGE, chunk).seconds
    for chunk in (512 * KIB, 16 * KIB):
        yield _up(extent, chunk), _RAW, client.put(0, extent.uploaded, "up", chunk=chunk)[1]
    client.forget()
    small = client.put_many(0, _SMALL, extent.files, "up", 0)
    yield _files(extent, "uploaded"), _RAW, small.seconds
    yield _files(extent, "downloaded"), _RAW, client.each("1009,@").seconds
    client.close()


def _listing(count: int) -> str:
    return f"{count:,} objects listed"


def _down(chunk: int) -> str:
    return f"100 MiB downloaded, by {chunk // KIB} KiB"


def _up(extent: Extent, chunk: int) -> str:
    """QEMU 7.2 aborts where its usb-mtp gets more than 512 KiB at once."""
    return f"{extent.uploaded // MIB} MiB uploaded, by {chunk // KIB} KiB"


def _files(extent: Extent, verb: str) -> str:
    return f"{extent.files} files of 4 KiB {verb}"


# By libmtp


def _by_libmtp(who: str, extent: Extent, name: str) -> Iterator[Sample]:
    """As mtp-tools do, which ask for all objects at first, and as gvfs and jmtpfs, which do not."""
    folder = Path(tempfile.mkdtemp())
    device = Libmtp(DEVICES[who], cached=False)
    root = device.list()
    yield _listing(FOLDERS[0]), f"{_LIBMTP}, as gvfs", _took(lambda: device.list(root["2000"]))
    source, got = folder / "source", folder / "got"
    yield "100 MiB downloaded", _LIBMTP, _took(lambda: device.get(root["large.bin"], got))
    source.write_bytes(bytes(extent.uploaded))
    up = root["up"]
    seconds = _took(lambda: device.put(source, up, name))
    yield f"{extent.uploaded // MIB} MiB uploaded", _LIBMTP, seconds
    source.write_bytes(bytes(_SMALL))
    handles: list[int] = []
    names = [f"{name}-{number}" for number in range(extent.files)]
    seconds = _took(lambda: handles.extend(device.put(source, up, each) for each in names))
    yield _files(extent, "uploaded"), _LIBMTP, seconds
    seconds = _took(lambda: _get_all(device, handles, got))
    yield _files(extent, "downloaded"), _LIBMTP, seconds
    device.close()
    everything = Libmtp(DEVICES[who], cached=True)
    yield f"all {sum(FOLDERS):,} objects listed", f"{_LIBMTP}, as mtp-tools", everything.seconds
    everything.close()


def _get_all(device: Libmtp, handles: list[int], target: Path) -> None:
    if not handles:
        raise LibmtpError("there is nothing to download")
    for each in handles:
        device.get(each, target)


def _took(action: Callable[[], object]) -> float | None:
    start = time.monotonic()
    try:
        action()
    except LibmtpError as error:
        print(error)
        return None
    return time.monotonic() - start


def _wait_for(vendor_product: str) -> None:
    vendor, product = vendor_product.split(":")
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for each in Path("/sys/bus/usb/devices").glob("*/idProduct"):
            found = (each.with_name("idVendor").read_text().strip(), each.read_text().strip())
            if found == (vendor, product):
                return
        time.sleep(0.2)
    raise TimeoutError(vendor_product)


if __name__ == "__main__":
    main()
