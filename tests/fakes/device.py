# SPDX-License-Identifier: GPL-3.0-or-later
"""A responder on folders, with a device that forgets when it ends."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.mtp.device import Device
from appliance.mtp.ports import DeviceIdentity
from appliance.mtp.responder import Responder
from appliance.storage import Catalogue, Folder

IDENTITY = DeviceIdentity("Maker", "Model", "1.0", "0123456789")


class ForgetfulState:
    """The device's state, in memory."""

    def __init__(self) -> None:
        self.friendly_name = ""

    def set_friendly_name(self, name: str | None) -> None:
        self.friendly_name = name or ""


@contextmanager
def responder_for(
    folders: Iterable[Path], *, read_only: Iterable[Path] = ()
) -> Iterator[Responder]:
    """Serve folders under their own names."""
    fixed = set(read_only)
    declared = [Folder(each, each.name, read_only=each in fixed) for each in folders]
    with Catalogue(declared) as catalogue:
        yield Responder(Device(IDENTITY, ForgetfulState()), catalogue)
