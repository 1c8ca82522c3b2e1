# SPDX-License-Identifier: GPL-3.0-or-later
"""A responder on folders, with a device that forgets when it ends."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.mtp.device import Device
from appliance.mtp.device_ports import DeviceIdentity
from appliance.mtp.responder import Responder
from appliance.storage import Catalogue, Folder

IDENTITY = DeviceIdentity("Maker", "Model", "1.0", "0123456789")


class ForgetfulState:
    """The device's state, in memory."""

    def __init__(self) -> None:
        self.friendly_name = ""
        self.synchronization_partner = ""

    def set_friendly_name(self, name: str | None) -> None:
        self.friendly_name = name or ""

    def set_synchronization_partner(self, partner: str | None) -> None:
        self.synchronization_partner = partner or ""


class TestHost:
    """A machine without a battery, whose clock may be set if a test says so."""

    __test__ = False

    def __init__(self, *, may_set_clock: bool = False, battery: int | None = None) -> None:
        self.may_set_clock = may_set_clock
        self.battery = battery
        self.time = 1_700_000_000.0

    def now(self) -> float:
        return self.time

    def set_clock(self, timestamp: float) -> None:
        self.time = timestamp

    def battery_level(self) -> int | None:
        return self.battery

    def icon(self) -> bytes:
        return b"\0\0\1\0icon"


@contextmanager
def responder_for(
    folders: Iterable[Path], *, read_only: Iterable[Path] = (), allow_format: bool = False
) -> Iterator[Responder]:
    """Serve folders under their own names."""
    fixed = set(read_only)
    declared = [Folder(each, each.name, read_only=each in fixed) for each in folders]
    with Catalogue(declared, watch=True, renew=True, allow_format=allow_format) as catalogue:
        yield Responder(Device(IDENTITY, ForgetfulState(), TestHost()), catalogue)
