# SPDX-License-Identifier: GPL-3.0-or-later
"""libmtp itself, by its C interface: what most programs on a Linux desktop ask a device by."""

import ctypes
import time
from ctypes import (  # fmt: skip
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_int,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)
from pathlib import Path
from typing import NoReturn

_ROOT = 0xFFFFFFFF
_STORAGE = 0x00010001


class _Entry(Structure):
    _fields_ = (
        ("vendor", c_char_p),
        ("vendor_id", c_uint16),
        ("product", c_char_p),
        ("product_id", c_uint16),
        ("flags", c_uint32),
    )


class _RawDevice(Structure):
    _fields_ = (("entry", _Entry), ("bus", c_uint32), ("number", c_uint8))


class _File(Structure):
    pass


_File._fields_ = (
    ("item_id", c_uint32),
    ("parent_id", c_uint32),
    ("storage_id", c_uint32),
    ("filename", c_char_p),
    ("filesize", c_uint64),
    ("modified", c_uint64),
    ("filetype", c_int),
    ("next", POINTER(_File)),
)


class LibmtpError(Exception):
    """libmtp says no."""


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libmtp.so.9")
    for name, result in (
        ("LIBMTP_Open_Raw_Device", c_void_p),
        ("LIBMTP_Open_Raw_Device_Uncached", c_void_p),
        ("LIBMTP_new_file_t", POINTER(_File)),
        ("LIBMTP_Get_Files_And_Folders", POINTER(_File)),
    ):
        getattr(library, name).restype = result
    library.LIBMTP_Init()
    return library


class Libmtp:
    """A device that libmtp has opened, found by its VENDOR:PRODUCT in hexadecimal.

    `cached`: it asks for all objects when it opens it, as mtp-tools do; else when they are looked
    for, as gvfs and jmtpfs do. `seconds` is how long that took.
    """

    def __init__(self, vendor_product: str, *, cached: bool) -> None:
        self._library = _library()
        raw = self._find(vendor_product)
        name = "LIBMTP_Open_Raw_Device" + ("" if cached else "_Uncached")
        start = time.monotonic()
        self._device = c_void_p(getattr(self._library, name)(byref(raw)))
        self.seconds = time.monotonic() - start
        if not self._device:
            raise LibmtpError(f"{vendor_product} cannot be opened")

    def _find(self, vendor_product: str) -> _RawDevice:
        found, count = POINTER(_RawDevice)(), c_int()
        raw: _RawDevice
        self._library.LIBMTP_Detect_Raw_Devices(byref(found), byref(count))
        for raw in found[: count.value]:
            if f"{raw.entry.vendor_id:04x}:{raw.entry.product_id:04x}" == vendor_product:
                return raw
        raise LibmtpError(f"{vendor_product} is not there")

    def close(self) -> None:
        """Let go of the device."""
        self._library.LIBMTP_Release_Device(self._device)

    def list(self, folder: int = _ROOT) -> dict[str, int]:
        """List a folder: names and handles."""
        each = self._library.LIBMTP_Get_Files_And_Folders(self._device, _STORAGE, c_uint32(folder))
        listed = {}
        while each:
            listed[each.contents.filename.decode()] = each.contents.item_id
            each = each.contents.next
        return listed

    def get(self, handle: int, target: Path) -> None:
        """Download a file."""
        path = str(target).encode()
        if self._library.LIBMTP_Get_File_To_File(self._device, c_uint32(handle), path, None, None):
            self._fail(f"{target} is not downloaded")

    def put(self, source: Path, folder: int, name: str) -> int:
        """Upload a file; its handle."""
        file = self._library.LIBMTP_new_file_t()
        file.contents.parent_id, file.contents.storage_id = folder, _STORAGE
        file.contents.filename, file.contents.filesize = name.encode(), source.stat().st_size
        path = str(source).encode()
        if self._library.LIBMTP_Send_File_From_File(self._device, path, file, None, None):
            self._fail(f"{source} is not uploaded")
        return int(file.contents.item_id)

    def _fail(self, what: str) -> NoReturn:
        """Have libmtp print what it did not like."""
        self._library.LIBMTP_Dump_Errorstack(self._device)
        self._library.LIBMTP_Clear_Errorstack(self._device)
        raise LibmtpError(what)
