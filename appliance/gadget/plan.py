# SPDX-License-Identifier: GPL-3.0-or-later
"""The gadget as a list of steps in configfs, and the steps that undo them. Pure.

MTP is linked first, so that it is interface 0: several programs look no further. The network
function, if there is one, comes after it.

Paths are relative to the gadget's own directory. Spec: Linux, Documentation/usb/gadget_configfs.
"""

from collections.abc import Iterator, Sequence
from zlib import crc32

from appliance.enums import StrEnum
from appliance.values import dataclass

FUNCTION = "ffs.mtp"
#: The name under which FunctionFS is mounted: the part after the dot.
FUNCTION_SOURCE = "mtp"
_CONFIG = "configs/c.1"
_ENGLISH = "strings/0x409"
#: Changes whenever the function's own descriptors do; part of the digest.
_DESCRIPTORS_VERSION = 1
#: bDeviceClass, bDeviceSubClass, bDeviceProtocol of a device with interface associations.
_COMPOSITE = (0xEF, 0x02, 0x01)
_BY_INTERFACE = (0, 0, 0)
_VENDOR_CODE = 0xCD
#: By what Windows finds its own driver: compatible id, and sub-compatible id where it asks for one.
_WINDOWS_IDS = {"ncm": ("WINNCM", ""), "rndis": ("RNDIS", "5162001")}


class Network(StrEnum):
    """The network function beside MTP."""

    NONE = "none"
    NCM = "ncm"
    ECM = "ecm"
    RNDIS = "rndis"


@dataclass(frozen=True, slots=True)
class GadgetSettings:
    """What a gadget is. `max_power` is in mA; `max_speed` is a name the kernel knows, or empty."""

    serial_number: str
    manufacturer: str
    product: str
    vendor_id: int = 0x1D6B
    product_id: int = 0x0104
    max_power: int = 500
    self_powered: bool = False
    network: Network = Network.NONE
    host_address: str = ""
    device_address: str = ""
    max_speed: str = ""


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a directory, which makes the kernel's object of that kind."""

    path: str

    def __str__(self) -> str:
        return f"MKDIR {self.path}"


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """Remove a directory with the attributes in it."""

    path: str

    def __str__(self) -> str:
        return f"RMDIR {self.path}"


@dataclass(frozen=True, slots=True)
class Write:
    """Set an attribute."""

    path: str
    value: str

    def __str__(self) -> str:
        return f"WRITE {self.path} {self.value}"


@dataclass(frozen=True, slots=True)
class Link:
    """Put `target`, a path relative to the gadget, into a configuration."""

    path: str
    target: str

    def __str__(self) -> str:
        return f"LINK {self.path} -> {self.target}"


@dataclass(frozen=True, slots=True)
class Unlink:
    """Take something out of a configuration."""

    path: str

    def __str__(self) -> str:
        return f"UNLINK {self.path}"


Step = MakeDirectory | Write | Link
Undo = RemoveDirectory | Unlink


def plan(settings: GadgetSettings) -> tuple[Step, ...]:
    """Lay out the steps that make the gadget, in order."""
    steps = list(_functions(settings))
    release = _digest(settings, steps)
    return (
        MakeDirectory("."),
        *_device(settings, release),
        *_windows(),
        *_configuration(settings),
        *steps,
        Link("os_desc/c.1", _CONFIG),
    )


def reverse(steps: Sequence[Step]) -> tuple[Undo, ...]:
    """Lay out what undoes `steps`; a value that was written goes with its directory."""
    undo: list[Undo] = []
    for step in reversed(steps):
        if isinstance(step, Link):
            undo.append(Unlink(step.path))
        elif isinstance(step, MakeDirectory):
            undo.append(RemoveDirectory(step.path))
    return tuple(undo)


def _device(settings: GadgetSettings, release: int) -> Iterator[Step]:
    composite = settings.network != Network.NONE
    yield Write("idVendor", f"0x{settings.vendor_id:04x}")
    yield Write("idProduct", f"0x{settings.product_id:04x}")
    yield Write("bcdDevice", f"0x{release:04x}")
    yield Write("bcdUSB", "0x0200")
    names = ("bDeviceClass", "bDeviceSubClass", "bDeviceProtocol")
    for name, value in zip(names, _COMPOSITE if composite else _BY_INTERFACE, strict=True):
        yield Write(name, f"0x{value:02x}")
    if settings.max_speed:
        yield Write("max_speed", settings.max_speed)
    yield MakeDirectory(_ENGLISH)
    yield Write(f"{_ENGLISH}/serialnumber", settings.serial_number)
    yield Write(f"{_ENGLISH}/manufacturer", settings.manufacturer)
    yield Write(f"{_ENGLISH}/product", settings.product)


def _windows() -> Iterator[Step]:
    """Microsoft's OS descriptors 1.0: they name the driver of each function."""
    yield Write("os_desc/use", "1")
    yield Write("os_desc/b_vendor_code", f"0x{_VENDOR_CODE:02x}")
    yield Write("os_desc/qw_sign", "MSFT100")


def _configuration(settings: GadgetSettings) -> Iterator[Step]:
    yield MakeDirectory(_CONFIG)
    yield Write(f"{_CONFIG}/MaxPower", str(settings.max_power))
    yield Write(f"{_CONFIG}/bmAttributes", "0xc0" if settings.self_powered else "0x80")
    yield MakeDirectory(f"{_CONFIG}/{_ENGLISH}")
    yield Write(f"{_CONFIG}/{_ENGLISH}/configuration", settings.product)


def _functions(settings: GadgetSettings) -> Iterator[Step]:
    yield MakeDirectory(f"functions/{FUNCTION}")
    yield Link(f"{_CONFIG}/{FUNCTION}", f"functions/{FUNCTION}")
    if settings.network != Network.NONE:
        yield from _network(settings)


def _network(settings: GadgetSettings) -> Iterator[Step]:
    name = f"{settings.network}.usb0"
    function = f"functions/{name}"
    yield MakeDirectory(function)
    if settings.host_address:
        yield Write(f"{function}/host_addr", settings.host_address)
    if settings.device_address:
        yield Write(f"{function}/dev_addr", settings.device_address)
    compatible, sub_compatible = _WINDOWS_IDS.get(settings.network, ("", ""))
    windows = f"{function}/os_desc/interface.{settings.network}"
    if compatible:
        yield Write(f"{windows}/compatible_id", compatible)
    if sub_compatible:
        yield Write(f"{windows}/sub_compatible_id", sub_compatible)
    yield Link(f"{_CONFIG}/{name}", function)


def _digest(settings: GadgetSettings, functions: Sequence[Step]) -> int:
    """Number this make-up of functions: bcdDevice, which Windows caches descriptors by.

    Four decimal digits, as binary coded decimals are to be.
    """
    links = [step.target for step in functions if isinstance(step, Link)]
    text = f"{_DESCRIPTORS_VERSION} {settings.network} {' '.join(links)}"
    return int(f"{crc32(text.encode()) % 10000:04d}", 16)
