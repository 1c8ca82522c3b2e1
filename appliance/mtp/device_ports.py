# SPDX-License-Identifier: GPL-3.0-or-later
"""What the protocol needs from the world: a device to speak for.

`appliance.settings`, `appliance.gadget` and `appliance.services` provide it; tests their own. Every
method raises `MtpError` with the response code that the initiator is to be told, nothing else.
"""

from typing import Protocol

from appliance.values import dataclass


class DeviceState(Protocol):
    """What belongs to the device rather than to its storages; what can be set is kept."""

    @property
    def friendly_name(self) -> str:
        """The name that a person gave the device, or its default."""
        ...

    def set_friendly_name(self, name: str | None) -> None:
        """Keep a name; None returns to the default. Raises MtpError where it cannot be kept."""
        ...

    @property
    def synchronization_partner(self) -> str:
        """Who synchronizes with the device, in its own words; "" for nobody."""
        ...

    def set_synchronization_partner(self, partner: str | None) -> None:
        """Keep a partner; None returns to nobody. Raises MtpError where it cannot be kept."""
        ...


class Host(Protocol):
    """The machine that the responder runs on."""

    def now(self) -> float:
        """Tell the time (Unix seconds)."""
        ...

    @property
    def may_set_clock(self) -> bool:
        """Whether `set_clock` can work: permitted, and no better source of time is there."""
        ...

    def set_clock(self, timestamp: float) -> None:
        """Set the clock (Unix seconds). Raises MtpError where that cannot be."""
        ...

    def battery_level(self) -> int | None:
        """Charge of the battery in percent; None where there is no battery."""
        ...

    def icon(self) -> bytes:
        """The picture of the device, in the ICO format."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What does not change while the responder runs."""

    manufacturer: str
    model: str
    version: str
    serial_number: str
