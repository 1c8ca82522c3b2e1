# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoint 0 of a redirected device: requests of USB 2.0 chapter 9, of Windows, and of the class.

What on a gadget the kernel answers is answered here. Pure, but for what `Function` does.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from appliance.transports import usb_descriptors as descriptors
from appliance.transports.usb_class import ClassRequest, Setup

log = logging.getLogger(__name__)

_TO_HOST = 0x80
#: The last bits of bmRequestType.
_DEVICE, _INTERFACE, _ENDPOINT = 0, 1, 2
_STANDARD, _VENDOR = 0, 0x40
_GET_STATUS, _CLEAR_FEATURE, _SET_FEATURE, _GET_DESCRIPTOR = 0, 1, 3, 6
_HALT = 0
_SELF_POWERED = 1
_BULK = (descriptors.BULK_IN, descriptors.BULK_OUT)
_ENDPOINTS = (*_BULK, descriptors.INTERRUPT_IN)


class Function(Protocol):
    """What the class requests are about."""

    def cancel(self, data: bytes) -> None:
        """Give up a transaction."""
        ...

    def reset(self) -> None:
        """Return to the state after plugging in."""
        ...

    def status(self, halted: list[int]) -> bytes:
        """Tell the device status."""
        ...

    def last_event(self) -> bytes:
        """Tell the extended data of the last event."""
        ...


class Endpoint0:
    """Answers control transfers."""

    def __init__(self, description: descriptors.Description, function: Function) -> None:
        self._description = description
        self._function = function
        self.halted: set[int] = set()

    def answer(self, setup: Setup, data: bytes) -> bytes | None:
        """Give what goes to the host, at most what it asked for; None for a stall."""
        answer: bytes | None = None
        if setup.class_request is not None:
            answer = self._class(setup.class_request, data)
        elif setup.request_type & 0x60 == _VENDOR:
            is_ours = setup.request == descriptors.VENDOR_CODE and setup.request_type & _TO_HOST
            answer = descriptors.compatible_ids(setup.index) if is_ours else None
        elif setup.request_type & 0x60 == _STANDARD:
            answer = self._standard(setup)
        return None if answer is None else answer[: setup.length]

    def _class(self, request: ClassRequest, data: bytes) -> bytes:
        match request:
            case ClassRequest.CANCEL:
                self._function.cancel(data)
            case ClassRequest.RESET:
                log.info("RESET")
                self._function.reset()
            case ClassRequest.GET_DEVICE_STATUS:
                return self._function.status(sorted(self.halted & set(_BULK)))
            case ClassRequest.GET_EXTENDED_EVENT_DATA:
                return self._function.last_event()
        return b""

    def _standard(self, setup: Setup) -> bytes | None:
        table: dict[tuple[bool, int], Callable[[Setup], bytes | None]] = {
            (True, _GET_STATUS): self._get_status,
            (True, _GET_DESCRIPTOR): self._get_descriptor,
            (False, _CLEAR_FEATURE): self._clear_feature,
            (False, _SET_FEATURE): self._set_feature,
        }
        action = table.get((bool(setup.request_type & _TO_HOST), setup.request))
        return None if action is None else action(setup)

    def _get_status(self, setup: Setup) -> bytes | None:
        recipient = setup.request_type & 0x1F
        if recipient == _DEVICE:
            return bytes([_SELF_POWERED, 0])
        if recipient == _INTERFACE and not setup.index:
            return bytes(2)
        if recipient == _ENDPOINT and setup.index in (0, 0x80, *_ENDPOINTS):
            return bytes([setup.index in self.halted, 0])
        return None

    def _get_descriptor(self, setup: Setup) -> bytes | None:
        kind, index = setup.value >> 8, setup.value & 0xFF
        match kind:
            case 1 if not index:
                return descriptors.device(self._description)
            case 2 if not index:
                return descriptors.configuration()
            case 3:
                return descriptors.string(self._description, index)
        return None

    def _clear_feature(self, setup: Setup) -> bytes | None:
        if not self._is_halt(setup):
            return None
        self.halted.discard(setup.index)
        return b""

    def _set_feature(self, setup: Setup) -> bytes | None:
        if not self._is_halt(setup):
            return None
        self.halted.add(setup.index)
        return b""

    def _is_halt(self, setup: Setup) -> bool:
        to_endpoint = setup.request_type & 0x1F == _ENDPOINT
        return to_endpoint and setup.value == _HALT and setup.index in _ENDPOINTS
