# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast it is; nothing is asserted about time, for the machine is an emulated one."""

import time
from pathlib import Path

import pytest

from appliance.mtp.codes import OperationCode as Op
from tests.usb.appliance import Appliance
from tests.usb.host import OK, Host
from tests.usb.mtp import announce, find, pattern

pytestmark = pytest.mark.guest

SIZE = 100 << 20


def peak_memory(pid: int) -> int:
    """VmHWM in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise LookupError("VmHWM")


def test_throughput(host: Host, share: Path, appliance_device: Appliance) -> None:
    (share / "big").write_bytes(pattern(SIZE))
    handle = find(host, "big")
    start = time.monotonic()
    host.send_command(Op.GET_OBJECT, handle)
    left = 12 + SIZE
    while left > 0:
        left -= len(host.read())
    assert host.response().code == OK
    down = SIZE / 1e6 / (time.monotonic() - start)
    announce(host, "up", SIZE)
    data = pattern(SIZE)
    start = time.monotonic()
    assert host.send(Op.SEND_OBJECT, data=data).code == OK
    up = SIZE / 1e6 / (time.monotonic() - start)
    start = time.monotonic()
    for _ in range(200):
        host.ask(Op.GET_OBJECT_INFO, handle)
    each = (time.monotonic() - start) / 200 * 1000
    memory = peak_memory(appliance_device.process.pid)
    print(f"\ndown {down:.1f} MB/s, up {up:.1f} MB/s, GetObjectInfo {each:.2f} ms, {memory} KiB")
    assert memory < 64 * 1024
