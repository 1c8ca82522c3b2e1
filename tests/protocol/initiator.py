# SPDX-License-Identifier: GPL-3.0-or-later
"""An initiator's vocabulary for tests: what it asks, and what it makes of the answers."""

from dataclasses import dataclass

from appliance.mtp.codes import ALL, EventCode, FormatCode, OperationCode, ResponseCode
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.prop_lists import decode_prop_list
from appliance.mtp.wire import Reader, Value, encode_string
from tests.fakes.client import Answer, Client

ROOT = 0xFFFFFFFF
STORAGE = 0x00010001
Op = OperationCode


@dataclass(frozen=True, slots=True)
class StorageAnswer:
    """StorageInfo as an initiator reads it; sizes in bytes."""

    access: int
    capacity: int
    free: int
    description: str


class Initiator:
    """Operations by name. Those that must work fail the test where they are refused."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        """Run any operation."""
        return self._client.call(code, *parameters, data=data)

    def refused(self, code: int, *parameters: int, data: bytes | None = None) -> ResponseCode:
        """Run an operation that is to be refused; the response code."""
        answer = self.call(code, *parameters, data=data)
        assert answer.code != ResponseCode.OK, "answered OK"
        return ResponseCode(answer.code)

    def ask(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        """Run an operation that must succeed."""
        answer = self.call(code, *parameters, data=data)
        assert answer.code == ResponseCode.OK, f"{ResponseCode(answer.code)!s}"
        return answer

    def data(self, code: int, *parameters: int) -> bytes:
        """Run an operation that must succeed with data."""
        answer = self.ask(code, *parameters)
        assert answer.data is not None, "no data phase"
        return answer.data

    def event(self) -> tuple[int, ...]:
        """Wait for the next event: its code and parameters; changes of free space do not count."""
        heard = self._client.event()
        while heard.code == EventCode.STORAGE_INFO_CHANGED:
            heard = self._client.event()
        return heard.code, *heard.parameters

    def another(self) -> "Initiator":
        """Another initiator of the same responder, with a session of its own."""
        return Initiator(self._client.another()).open()

    def prop_list(
        self, handle: int, *, form: int = 0, prop: int = ALL, group: int = 0, depth: int = 0
    ) -> dict[int, dict[int, Value]]:
        """GetObjectPropList, read to its last byte: values by handle and property."""
        found: dict[int, dict[int, Value]] = {}
        data = self.data(Op.GET_OBJECT_PROP_LIST, handle, form, prop, group, depth)
        for element in decode_prop_list(data):
            values = found.setdefault(element.handle, {})
            assert element.code not in values, "told twice"
            values[element.code] = element.value
        return found

    def open(self, session_id: int = 1) -> "Initiator":
        """Open a session."""
        self.ask(Op.OPEN_SESSION, session_id)
        return self

    def supported(self) -> set[int]:
        """Operations that DeviceInfo lists."""
        reader = Reader(self.data(Op.GET_DEVICE_INFO))
        reader.take(8)
        reader.string()
        reader.u16()
        return set(reader.array(reader.u16))

    def storage_ids(self) -> list[int]:
        """GetStorageIDs."""
        reader = Reader(self.data(Op.GET_STORAGE_IDS))
        return list(reader.array(reader.u32))

    def handles(self, parent: int = ROOT, *, storage: int = ROOT, form: int = 0) -> list[int]:
        """Handles by GetObjectHandles."""
        reader = Reader(self.data(Op.GET_OBJECT_HANDLES, storage, form, parent))
        found = list(reader.array(reader.u32))
        assert reader.rest == 0
        return found

    def info(self, handle: int) -> ObjectInfo:
        """ObjectInfo."""
        return ObjectInfo.decode(self.data(Op.GET_OBJECT_INFO, handle))

    def names(self, parent: int = ROOT, *, storage: int = ROOT) -> dict[str, int]:
        """What lies in a folder: names and handles."""
        listed = [(self.info(each).name, each) for each in self.handles(parent, storage=storage)]
        assert len(dict(listed)) == len(listed), "two objects of one name"
        return dict(listed)

    def storage(self, storage_id: int = STORAGE) -> StorageAnswer:
        """StorageInfo."""
        reader = Reader(self.data(Op.GET_STORAGE_INFO, storage_id))
        reader.take(4)
        access, capacity, free = reader.u16(), reader.u64(), reader.u64()
        reader.u32()
        return StorageAnswer(access, capacity, free, reader.string())

    def announce(
        self, name: str, size: int, *, parent: int = ROOT, storage: int = STORAGE, **fields: float
    ) -> Answer:
        """SendObjectInfo of a file, whatever the answer."""
        info = ObjectInfo(0, FormatCode.UNDEFINED, size, 0, name, modified=fields.get("modified"))
        return self.call(Op.SEND_OBJECT_INFO, storage, parent, data=info.encode())

    def put(self, name: str, content: bytes, *, parent: int = ROOT, storage: int = STORAGE) -> int:
        """Upload a file; its handle."""
        answer = self.announce(name, len(content), parent=parent, storage=storage)
        assert answer.code == ResponseCode.OK, f"{ResponseCode(answer.code)!s}"
        self.ask(Op.SEND_OBJECT, data=content)
        return answer.parameters[2]

    def mkdir(self, name: str, *, parent: int = ROOT, storage: int = STORAGE) -> Answer:
        """SendObjectInfo of a folder, whatever the answer."""
        info = ObjectInfo(0, FormatCode.ASSOCIATION, 0, 0, name, association=1)
        return self.call(Op.SEND_OBJECT_INFO, storage, parent, data=info.encode())

    def rename(self, handle: int, name: str) -> Answer:
        """SetObjectPropValue of the file name, whatever the answer."""
        return self.call(Op.SET_OBJECT_PROP_VALUE, handle, 0xDC07, data=encode_string(name))
