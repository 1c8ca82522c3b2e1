# SPDX-License-Identifier: GPL-3.0-or-later
"""A PC's side of the cable without any driver: raw bulk and control transfers by libusb.

Nothing is done for the test that a client would do on its own: no retry, no draining, no reset.
"""

import contextlib
import fcntl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import usb.core
import usb.util

VENDOR, PRODUCT = 0x1D6B, 0x0104
OK = 0x2001
_PATIENCE = 180.0
_TIMEOUT = 10_000
#: Seconds that libmtp waits for an answer when it starts (libusb1-glue.c, USB_START_TIMEOUT).
_START = 5.0
_CHUNK = 1 << 20
#: ioctls of usbfs (linux/usbdevice_fs.h): a device that is open may not sleep, or may.
_FORBID_SUSPEND, _ALLOW_SUSPEND = 0x5521, 0x5522


class Stalled(Exception):  # noqa: N818 - an answer of the device, no failure of the test
    """The device stalled an endpoint."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A transaction as the host saw it; `length` is the data header's field."""

    code: int
    parameters: tuple[int, ...]
    transaction_id: int
    data: bytes | None = None
    length: int | None = None


def command(code: int, transaction_id: int, *parameters: int) -> bytes:
    """Build a command container."""
    size = 12 + 4 * len(parameters)
    return struct.pack(f"<IHHI{len(parameters)}I", size, 1, code, transaction_id, *parameters)


def data_header(code: int, transaction_id: int, length: int) -> bytes:
    """Build a data container's header; `length` is the field's value."""
    return struct.pack("<IHHI", length, 2, code, transaction_id)


class Host:
    """One program on the PC that has claimed the MTP interface."""

    def __init__(self, timeout: int = _TIMEOUT) -> None:
        """Claim it; `timeout` is for each transfer (ms)."""
        self.timeout = timeout
        #: Seconds until it was answered, where it began as libmtp does.
        self.waited = 0.0
        self.device = wait_for_device()
        self.interface = self.device.get_active_configuration()[(0, 0)]
        self.bulk_in, self.bulk_out, self.interrupt = list(self.interface)
        self.packet_size = int(self.bulk_in.wMaxPacketSize)
        self.transaction_id = 0
        usb.util.claim_interface(self.device, 0)

    def die(self) -> None:
        """End as a killed program does: the kernel takes its transfers back, and says nothing."""
        usb.util.dispose_resources(self.device)

    # Bulk

    def write(self, data: bytes) -> None:
        """Make one request of the host's; no zero-length packet but for no data."""
        self.bulk_out.write(data, self.timeout)

    def read(self, size: int = _CHUNK, timeout: int | None = None) -> bytes:
        """Make one request; it ends full or by a short packet."""
        return bytes(self.bulk_in.read(size, timeout or self.timeout))

    def read_transfer(self, chunk: int = _CHUNK) -> bytes:
        """Read up to a short packet."""
        parts = [self.read(chunk)]
        while len(parts[-1]) == chunk:
            parts.append(self.read(chunk))
        return b"".join(parts)

    def silent(self, milliseconds: int = 300) -> bool:
        """Whether the device sends nothing for a while."""
        try:
            self.bulk_in.read(self.packet_size, milliseconds)
        except usb.core.USBTimeoutError:
            return True
        return False

    # Transactions

    def send_command(self, code: int, *parameters: int) -> int:
        """Send a command; its transaction id."""
        self.transaction_id += 1
        self.write(command(code, self.transaction_id, *parameters))
        return self.transaction_id

    def response(self) -> Answer:
        """Read a response."""
        return parse_response(self.read(512))

    def ask(self, code: int, *parameters: int) -> Answer:
        """Run an operation without data, or with data to the host."""
        self.send_command(code, *parameters)
        first = self.read_transfer()
        length, kind = struct.unpack_from("<IH", first)
        if kind == 3:
            return parse_response(first)
        answer = self.response()
        return Answer(answer.code, answer.parameters, answer.transaction_id, first[12:], length)

    def send(
        self,
        code: int,
        *parameters: int,
        data: bytes,
        split: bool = False,
        zero: bool = True,
        chunk: int = _CHUNK,
        length: int | None = None,
    ) -> Answer:
        """Run an operation with data from the host, in the shape that is asked for."""
        self.send_command(code, *parameters)
        head = data_header(code, self.transaction_id, 12 + len(data) if length is None else length)
        self.send_data(head, data, split=split, zero=zero, chunk=chunk)
        return self.response()

    def send_data(
        self, head: bytes, data: bytes, *, split: bool, zero: bool, chunk: int = _CHUNK
    ) -> None:
        """Send a data phase."""
        if split and data:
            self.write(head)
            whole = data
        else:
            whole = head + data
        for start in range(0, len(whole), chunk):
            self.write(whole[start : start + chunk])
        if zero and len(whole) % self.packet_size == 0:
            self.write(b"")

    def open(self) -> "Host":
        """Open a session; harmless where one is open."""
        answer = self.ask(0x1002, 1)
        assert answer.code in {OK, 0x201E}, hex(answer.code)
        return self

    # Control

    def control(self, request_type: int, request: int, data: bytes | int = b"") -> bytes:
        """Make a class request to the interface: bytes to send, or a count to ask for."""
        try:
            got = self.device.ctrl_transfer(request_type, request, 0, 0, data, 5000)
        except usb.core.USBError as error:
            if error.errno == 32:
                raise Stalled from error
            raise
        return bytes(got) if isinstance(data, int) else b""

    def status(self, length: int = 4) -> bytes:
        """GetDeviceStatus."""
        return self.control(0xA1, 0x67, length)

    def cancel(self, transaction_id: int) -> None:
        """Cancel."""
        self.control(0x21, 0x64, struct.pack("<HI", 0x4001, transaction_id))

    def wait_until_ready(self) -> None:
        """Poll the status after a cancel, as clients do."""
        deadline = time.monotonic() + _PATIENCE
        while self.status()[2:4] != b"\x01\x20":
            assert time.monotonic() < deadline, "busy for ever"
            time.sleep(0.02)

    def drain(self) -> int:
        """Read what is left in the IN pipe until it is silent; how many bytes that was."""
        count = 0
        with contextlib.suppress(usb.core.USBTimeoutError):
            while True:
                count += len(self.read(_CHUNK, 300))
        return count


def parse_response(data: bytes) -> Answer:
    """Read a response container."""
    size, kind, code, transaction_id = struct.unpack_from("<IHHI", data)
    assert kind == 3, f"container type {kind}: {data[:32].hex()}"
    assert size == len(data), f"{size} bytes said, {len(data)} came"
    parameters = struct.unpack_from(f"<{(size - 12) // 4}I", data, 12)
    return Answer(code, parameters, transaction_id)


def wait_for_device() -> usb.core.Device:
    """Wait until the PC has configured the device."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        device = usb.core.find(idVendor=VENDOR, idProduct=PRODUCT)
        # pyusb says "not implemented" of a device that goes away while it is asked.
        with contextlib.suppress(usb.core.USBError, NotImplementedError):
            if device is not None and device.get_active_configuration() is not None:
                return device
        time.sleep(0.1)
    raise TimeoutError("the device did not appear on the bus")


def wait_until_gone() -> None:
    """Wait until the PC has seen that the device is unplugged."""
    deadline = time.monotonic() + _PATIENCE
    while usb.core.find(idVendor=VENDOR, idProduct=PRODUCT) is not None:
        assert time.monotonic() < deadline, "it stays on the bus"
        time.sleep(0.02)


@contextlib.contextmanager
def program() -> Iterator[Host]:
    """Run a program on the PC with a session of its own."""
    host = Host()
    try:
        yield host.open()
    finally:
        host.die()


def next_client() -> Host:
    """Begin as libmtp does: what is no response to its OpenSession is read away.

    It has to come before libmtp would give up.
    """
    host = Host(int(_START * 1000))
    deadline = time.monotonic() + _START
    host.write(command(0x1002, 0, 1))
    while not _is_response_to(host.read(16384), 0):
        assert time.monotonic() < deadline, f"no response within {_START:.0f} s"
    host.waited = time.monotonic() - deadline + _START
    host.timeout = _TIMEOUT
    return host


def _is_response_to(data: bytes, transaction_id: int) -> bool:
    tail = data[len(data) - len(data) % 512 :]
    if len(tail) not in {12, 16}:
        return False
    size, kind, _, tid = struct.unpack_from("<IHHI", tail)
    return (size, kind, tid) == (len(tail), 3, transaction_id)


def sysfs_folder(host: Host) -> Path:
    """Where the kernel shows the device."""
    ports = ".".join(map(str, host.device.port_numbers))
    return Path(f"/sys/bus/usb/devices/{host.device.bus}-{ports}")


@contextlib.contextmanager
def may_sleep(host: Host) -> Iterator[None]:
    """Let the device sleep although a program has it open; it is awake when the block ends."""
    node = Path(f"/dev/bus/usb/{host.device.bus:03}/{host.device.address:03}")
    opened = next(int(each.name) for each in Path("/proc/self/fd").iterdir() if _is(each, node))
    fcntl.ioctl(opened, _ALLOW_SUSPEND)
    try:
        yield
    finally:
        fcntl.ioctl(opened, _FORBID_SUSPEND)


def _is(link: Path, path: Path) -> bool:
    try:
        return link.readlink() == path
    except FileNotFoundError:  # of the listing itself
        return False
