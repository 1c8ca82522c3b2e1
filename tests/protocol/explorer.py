# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripted PCs: what Windows Explorer and macOS's Image Capture send, in their order.

Neither runs here. The sequences are those that responders' logs and the vendors' documents tell of;
what comes back is read to its last byte, as their drivers do.
"""

from dataclasses import dataclass, field

from appliance.mtp.codes import ALL, AssociationType, DataType, FormatCode, OperationCode
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.prop_lists import decode_prop_list
from appliance.mtp.wire import Reader, Value, Writer, decode_value, encode_string
from tests.protocol.initiator import ROOT, Initiator

Op = OperationCode
_MANY = 1 << 20


@dataclass(slots=True)
class DeviceInfo:
    """DeviceInfo with all its fields."""

    standard: int
    vendor: int
    version: int
    extensions: str
    mode: int
    operations: tuple[int, ...]
    events: tuple[int, ...]
    properties: tuple[int, ...]
    capture: tuple[int, ...]
    formats: tuple[int, ...]
    manufacturer: str
    model: str
    device_version: str
    serial_number: str


def read_device_info(data: bytes) -> DeviceInfo:
    reader = Reader(data)
    standard, vendor, version = reader.u16(), reader.u32(), reader.u16()
    extensions, mode = reader.string(), reader.u16()
    operations, events, properties, capture, formats = (reader.array(reader.u16) for _ in range(5))
    manufacturer, model, device_version, serial_number = (reader.string() for _ in range(4))
    info = DeviceInfo(
        standard,
        vendor,
        version,
        extensions,
        mode,
        operations,
        events,
        properties,
        capture,
        formats,
        manufacturer,
        model,
        device_version,
        serial_number,
    )
    assert reader.rest == 0
    return info


@dataclass(slots=True)
class Description:
    """A property's description."""

    code: int
    data_type: DataType
    settable: bool
    default: Value
    current: Value | None = None


def _form(reader: Reader, data_type: DataType) -> None:
    flag = reader.u8()
    if flag == 1:
        for _ in range(3):
            decode_value(reader, data_type)
    elif flag == 2:
        for _ in range(reader.u16()):
            decode_value(reader, data_type)
    elif flag == 6:
        reader.u32()
    else:
        assert flag in (0, 3), f"form {flag}"
    assert reader.rest == 0


def read_object_prop_desc(data: bytes) -> Description:
    reader = Reader(data)
    code, data_type, settable = reader.u16(), DataType(reader.u16()), reader.u8()
    assert settable in (0, 1)
    description = Description(code, data_type, settable == 1, decode_value(reader, data_type))
    reader.u32()
    _form(reader, data_type)
    return description


def read_device_prop_desc(data: bytes) -> Description:
    reader = Reader(data)
    code, data_type, settable = reader.u16(), DataType(reader.u16()), reader.u8()
    default, current = (decode_value(reader, data_type) for _ in range(2))
    _form(reader, data_type)
    return Description(code, data_type, settable == 1, default, current)


@dataclass(slots=True)
class Explorer:
    """Windows: connects once and never closes its session."""

    pc: Initiator
    info: DeviceInfo = field(init=False)
    storages: tuple[int, ...] = ()
    properties: dict[int, dict[int, Description]] = field(default_factory=dict)

    def connect(self) -> None:
        self.info = read_device_info(self.pc.data(Op.GET_DEVICE_INFO))
        self.pc.open(1)
        reader = Reader(self.pc.data(Op.GET_STORAGE_IDS))
        self.storages = reader.array(reader.u32)
        for each in self.storages:
            self.pc.storage(each)
        for code in self.info.properties:
            self._device_property(code)
        for form in self.info.formats:
            self._format(form)

    def _device_property(self, code: int) -> None:
        description = read_device_prop_desc(self.pc.data(Op.GET_DEVICE_PROP_DESC, code))
        reader = Reader(self.pc.data(Op.GET_DEVICE_PROP_VALUE, code))
        value = decode_value(reader, description.data_type)
        assert reader.rest == 0
        assert code == 0x5011 or value == description.current
        if code == 0xD406:
            name = "Windows/10.0.26200 MTPClassDriver/10.0.26200.0"
            self.pc.ask(Op.SET_DEVICE_PROP_VALUE, code, data=encode_string(name))

    def _format(self, form: int) -> None:
        reader = Reader(self.pc.data(Op.GET_OBJECT_PROPS_SUPPORTED, form))
        self.properties[form] = {
            code: read_object_prop_desc(self.pc.data(Op.GET_OBJECT_PROP_DESC, code, form))
            for code in reader.array(reader.u16)
        }

    def browse(self, folder: int = ROOT) -> dict[str, int]:
        """Open a folder: each object with all its properties."""
        storage = self.storages[0]
        reader = Reader(self.pc.data(Op.GET_OBJECT_HANDLES, storage, 0, folder))
        found = {}
        for handle in reader.array(reader.u32):
            values = self.look_at(handle)
            found[str(values[0xDC07])] = handle
        return found

    def look_at(self, handle: int) -> dict[int, Value]:
        elements = decode_prop_list(self.pc.data(Op.GET_OBJECT_PROP_LIST, handle, 0, ALL, 0, 0))
        assert {each.handle for each in elements} == {handle}
        return {each.code: each.value for each in elements}

    def copy_out(self, handle: int) -> bytes:
        return self.pc.data(Op.GET_OBJECT, handle)

    def copy_in(self, name: str, content: bytes, folder: int = ROOT) -> int:
        """Copy a file to the device by its properties, dates with fractions as Windows has them."""
        dates = ((0xDC08, "20240102T030405.0"), (0xDC09, "20240506T070809.0"))
        texts = ((0xDC07, name), (0xDC44, name), *dates)
        writer = Writer().u32(len(texts))
        for code, text in texts:
            writer.u32(0).u16(code).u16(DataType.STRING).string(text)
        place = (self.storages[0], folder, FormatCode.UNDEFINED, 0, len(content))
        answer = self.pc.ask(Op.SEND_OBJECT_PROP_LIST, *place, data=bytes(writer))
        assert len(answer.parameters) >= 3
        self.pc.ask(Op.SEND_OBJECT, data=content)
        return answer.parameters[2]

    def copy_in_as_before(self, name: str, content: bytes, folder: int = ROOT) -> int:
        """Copy a file to the device by SendObjectInfo, and look whether it is there."""
        info = ObjectInfo(
            self.storages[0],
            FormatCode.UNDEFINED,
            len(content),
            folder,
            name,
            created=1.7e9,
            modified=1.6e9,
        )
        place = (self.storages[0], folder)
        handle = self.pc.ask(Op.SEND_OBJECT_INFO, *place, data=info.encode()).parameters[2]
        self.pc.ask(Op.SEND_OBJECT, data=content)
        size = Reader(self.pc.data(Op.GET_OBJECT_PROP_VALUE, handle, 0xDC04)).u64()
        assert size == len(content)
        return handle

    def sees(self, handle: int) -> dict[int, Value]:
        """Look at an object that an event told of: its properties' descriptions, then their values.

        Windows asks for descriptions of the object's own format again.
        """
        values = self.look_at(handle)
        for code in values:
            self.pc.data(Op.GET_OBJECT_PROP_DESC, code, int(str(values[0xDC02])))
        return values

    def new_folder(self, name: str, folder: int = ROOT) -> int:
        info = ObjectInfo(
            self.storages[0],
            FormatCode.ASSOCIATION,
            0,
            folder,
            name,
            association=AssociationType.GENERIC_FOLDER,
            created=1.7e9,
            modified=1.7e9,
        )
        place = (self.storages[0], folder)
        return self.pc.ask(Op.SEND_OBJECT_INFO, *place, data=info.encode()).parameters[2]

    def rename(self, handle: int, name: str) -> None:
        self.pc.ask(Op.SET_OBJECT_PROP_VALUE, handle, 0xDC07, data=encode_string(name))

    def move(self, handle: int, folder: int) -> None:
        self.pc.ask(Op.MOVE_OBJECT, handle, self.storages[0], folder)

    def delete(self, handle: int) -> None:
        self.pc.ask(Op.DELETE_OBJECT, handle, 0)


@dataclass(slots=True)
class ImageCapture:
    """macOS: asks who it is before the session, lists everything at once, reads by parts."""

    pc: Initiator
    objects: dict[int, ObjectInfo] = field(default_factory=dict)

    def connect(self) -> DeviceInfo:
        info = read_device_info(self.pc.data(Op.GET_DEVICE_INFO))
        self.pc.open(0x10001)
        reader = Reader(self.pc.data(Op.GET_STORAGE_IDS))
        for each in reader.array(reader.u32):
            self.pc.storage(each)
        for handle in self.pc.handles(0):
            self.objects[handle] = self.pc.info(handle)
        return info

    def images(self) -> dict[str, int]:
        return {
            info.name: handle
            for handle, info in self.objects.items()
            if info.format & 0xFF00 == FormatCode.UNDEFINED_IMAGE
        }

    def thumbnail(self, handle: int) -> bytes:
        """Ask for the small image that stands in the list."""
        return self.pc.data(Op.GET_THUMB, handle)

    def download(self, handle: int, piece: int = _MANY) -> bytes:
        """Read an object by parts until it is whole."""
        content = b""
        while len(content) < self.objects[handle].size:
            answer = self.pc.ask(Op.GET_PARTIAL_OBJECT, handle, len(content), piece)
            assert answer.data
            content += answer.data
        return content
