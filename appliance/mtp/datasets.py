# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets: the structures that operations send and receive.

Each `encode` and `decode` gives its table of fields and the section of MTP 1.1 that defines it.
"""

import struct
from collections.abc import Sequence

from appliance.mtp.codes import (
    AccessCapability,
    AssociationType,
    FilesystemType,
    FormatCode,
    ProtectionStatus,
    StorageType,
)
from appliance.mtp.wire import (
    Reader,
    WireError,
    Writer,
    decode_date,
    encode_date,
    encode_string,
)
from appliance.values import dataclass

#: ObjectCompressedSize of an object of 4 GiB - 1 and more.
SIZE_UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """DeviceInfo (section 5.1.1).

    | field                     | type    |
    |---------------------------|---------|
    | StandardVersion           | UINT16  |
    | MTPVendorExtensionID      | UINT32  |
    | MTPVersion                | UINT16  |
    | MTPExtensions             | string  |
    | FunctionalMode            | UINT16  |
    | OperationsSupported       | AUINT16 |
    | EventsSupported           | AUINT16 |
    | DevicePropertiesSupported | AUINT16 |
    | CaptureFormats            | AUINT16 |
    | PlaybackFormats           | AUINT16 |
    | Manufacturer              | string  |
    | Model                     | string  |
    | DeviceVersion             | string  |
    | SerialNumber              | string  |
    """

    operations: Sequence[int]
    events: Sequence[int]
    device_properties: Sequence[int]
    playback_formats: Sequence[int]
    manufacturer: str
    model: str
    device_version: str
    serial_number: str
    standard_version: int = 100
    vendor_extension_id: int = 6
    vendor_extension_version: int = 100
    #: One space after the colon, a semicolon at the end: clients split it so. Without
    #: "android.com", which makes libmtp reset the whole device whenever it lets go of it.
    extensions: str = "microsoft.com: 1.0;"
    functional_mode: int = 0
    capture_formats: Sequence[int] = ()

    def encode(self) -> bytes:
        """Build the dataset."""
        writer = Writer()
        writer.u16(self.standard_version).u32(self.vendor_extension_id)
        writer.u16(self.vendor_extension_version).string(self.extensions)
        writer.u16(self.functional_mode)
        writer.u16_array(self.operations).u16_array(self.events)
        writer.u16_array(self.device_properties)
        writer.u16_array(self.capture_formats).u16_array(self.playback_formats)
        writer.string(self.manufacturer).string(self.model)
        writer.string(self.device_version).string(self.serial_number)
        return bytes(writer)


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """StorageInfo (section 5.2.2); sizes in bytes.

    | field              | type   |
    |--------------------|--------|
    | StorageType        | UINT16 |
    | FilesystemType     | UINT16 |
    | AccessCapability   | UINT16 |
    | MaxCapacity        | UINT64 |
    | FreeSpaceInBytes   | UINT64 |
    | FreeSpaceInObjects | UINT32 |
    | StorageDescription | string |
    | VolumeIdentifier   | string |
    """

    capacity: int
    free: int
    read_only: bool
    description: str
    volume_identifier: str = ""

    def encode(self) -> bytes:
        """Build the dataset. Free objects are not counted: 0xFFFFFFFF."""
        access = AccessCapability.READ_WRITE
        if self.read_only:
            access = AccessCapability.READ_ONLY_WITHOUT_DELETION
        writer = Writer()
        writer.u16(StorageType.FIXED_RAM).u16(FilesystemType.GENERIC_HIERARCHICAL).u16(access)
        writer.u64(self.capacity).u64(self.free).u32(0xFFFFFFFF)
        writer.string(self.description).string(self.volume_identifier)
        return bytes(writer)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """What ObjectInfo says of an object's thumbnail: size in bytes, width and height in pixels."""

    format: int = 0
    size: int = 0
    width: int = 0
    height: int = 0


NO_THUMBNAIL = Thumbnail()
#: What is said before it is made: the box that it fits into, and a size as such pictures have it.
#: A widespread client does not ask for a thumbnail of no bytes.
SOME_THUMBNAIL = Thumbnail(FormatCode.JFIF, 10_000, 160, 120)


#: What of ObjectInfo has a fixed place; made in one go, as it is asked for most of all.
_OBJECT_INFO = struct.Struct("<IHHIHIII12xIH8x")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """ObjectInfo (section 5.3.1); times in Unix seconds, None where unknown.

    | field               | type   |                                |
    |---------------------|--------|--------------------------------|
    | StorageID           | UINT32 |                                |
    | ObjectFormat        | UINT16 |                                |
    | ProtectionStatus    | UINT16 |                                |
    | ObjectCompressedSize| UINT32 | 0xFFFFFFFF: 4 GiB - 1 and more |
    | ThumbFormat         | UINT16 | 0: no thumbnail                |
    | ThumbCompressedSize | UINT32 | an estimate                    |
    | ThumbPixWidth       | UINT32 | at most                        |
    | ThumbPixHeight      | UINT32 | at most                        |
    | ImagePixWidth       | UINT32 | 0                              |
    | ImagePixHeight      | UINT32 | 0                              |
    | ImageBitDepth       | UINT32 | 0                              |
    | ParentObject        | UINT32 | 0: in the storage's root       |
    | AssociationType     | UINT16 |                                |
    | AssociationDesc     | UINT32 | 0                              |
    | SequenceNumber      | UINT32 | 0                              |
    | Filename            | string |                                |
    | CaptureDate         | string |                                |
    | ModificationDate    | string |                                |
    | Keywords            | string |                                |
    """

    storage_id: int
    format: FormatCode
    size: int
    parent: int
    name: str
    protection: ProtectionStatus = ProtectionStatus.NONE
    created: float | None = None
    modified: float | None = None
    association: int = AssociationType.UNDEFINED
    thumbnail: Thumbnail = NO_THUMBNAIL

    def encode(self) -> bytes:
        """Build the dataset."""
        thumbnail = self.thumbnail
        fixed = _OBJECT_INFO.pack(
            self.storage_id,
            self.format,
            self.protection,
            min(self.size, SIZE_UNKNOWN),
            thumbnail.format,
            thumbnail.size,
            thumbnail.width,
            thumbnail.height,
            self.parent,
            self.association,
        )
        strings = (self.name, _date(self.created), _date(self.modified), "")
        return fixed + b"".join(map(encode_string, strings))

    @classmethod
    def decode(cls, data: bytes | bytearray) -> "ObjectInfo":
        """Read the dataset; clients may leave out what follows the file name.

        A date that is none counts as unknown: it is no reason to lose a file.
        """
        reader = Reader(data)
        storage_id, form, protection = reader.u32(), reader.u16(), reader.u16()
        size = reader.u32()
        reader.take(2 + 6 * 4)
        parent, association = reader.u32(), reader.u16()
        reader.take(8)
        name = reader.string()
        created, modified = (_lenient_date(reader) for _ in range(2))
        return cls(
            storage_id=storage_id,
            format=FormatCode(form),
            protection=ProtectionStatus(protection),
            size=size,
            parent=parent,
            association=association,
            name=name,
            created=created,
            modified=modified,
        )


def _date(timestamp: float | None) -> str:
    return "" if timestamp is None else encode_date(timestamp)


def _lenient_date(reader: Reader) -> float | None:
    if not reader.rest:
        return None
    text = reader.string()
    try:
        return decode_date(text)
    except WireError:
        return None
