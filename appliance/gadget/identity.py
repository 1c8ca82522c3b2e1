# SPDX-License-Identifier: GPL-3.0-or-later
"""Who this device is: names and numbers that stay the same from boot to boot.

A PC remembers the device by its serial number and its network by the addresses. The serial number
is the board's; where the board has none it is derived from the machine's id, never that id itself.
The responder, whose unit sees nothing in /proc but its processes, is to find the same one as root.
"""

from contextlib import suppress
from importlib import import_module
from pathlib import Path

from appliance import __version__
from appliance.mtp.device_ports import DeviceIdentity
from appliance.values import dataclass

MANUFACTURER = "MTP Appliance project"
MODEL = "MTP Appliance"
_DEVICE_TREE = Path("sys/firmware/devicetree/base/serial-number")
_CPU_INFO = Path("proc/cpuinfo")
_MACHINE_ID = Path("etc/machine-id")
_HOST_NAME = Path("proc/sys/kernel/hostname")
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class NetworkAddresses:
    """The MAC addresses of the two ends of the USB network."""

    host: str
    device: str


def device_identity(root: Path = Path("/")) -> DeviceIdentity:
    """Say who this device is; `root` is a prefix, for tests."""
    return DeviceIdentity(MANUFACTURER, MODEL, __version__, serial_number(root))


def serial_number(root: Path = Path("/")) -> str:
    """Find the board's serial number, or derive one."""
    board = _read(root / _DEVICE_TREE) or _cpu_serial(root)
    if board.strip("0"):
        return board
    machine = _read(root / _MACHINE_ID) or _read(root / _HOST_NAME)
    return _derive(f"serial {machine}").hex()[:_DIGITS].upper()


def network_addresses(serial: str) -> NetworkAddresses:
    """Derive two addresses, locally administered and not multicast, from a serial number."""
    return NetworkAddresses(_address(f"host {serial}"), _address(f"device {serial}"))


def _address(name: str) -> str:
    octets = bytearray(_derive(name)[:6])
    octets[0] = octets[0] & 0xFC | 0x02
    return octets.hex(":")


def _derive(text: str) -> bytes:
    return _sha256(f"mtp-appliance {text}".encode())


def _sha256(data: bytes) -> bytes:
    """Hash by Python's own module: the public one loads OpenSSL, 4 MB of memory, for nothing."""
    for name in ("_sha2", "_sha256", "hashlib"):  # of 3.12 and later, of 3.11, of any
        with suppress(ImportError):
            digest: bytes = import_module(name).sha256(data).digest()
            return digest
    raise ImportError("no SHA-256 here")


def _cpu_serial(root: Path) -> str:
    for line in _read(root / _CPU_INFO).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "Serial":
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip(" \t\r\n\0")
    except OSError:
        return ""
