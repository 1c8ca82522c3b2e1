# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a recorded client against a responder, with the responder's own handles."""

from collections.abc import Callable

from appliance.mtp.codes import DataType, FormatCode, OperationCode, ResponseCode
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import Reader, Writer, encode_string
from tests.fakes.client import Answer, Client
from tests.protocol.traces import SHARE, Step

Op = OperationCode

#: Operations whose first parameter is a handle, and those with a parent: at which position.
_HANDLE_FIRST = {
    Op.GET_OBJECT_INFO, Op.GET_OBJECT, Op.GET_THUMB, Op.DELETE_OBJECT, Op.MOVE_OBJECT,
    Op.COPY_OBJECT, Op.GET_PARTIAL_OBJECT, Op.GET_OBJECT_PROP_VALUE, Op.SET_OBJECT_PROP_VALUE,
    Op.GET_OBJECT_PROP_LIST, Op.GET_PARTIAL_OBJECT_64, Op.SEND_PARTIAL_OBJECT,
    Op.TRUNCATE_OBJECT, Op.BEGIN_EDIT_OBJECT, Op.END_EDIT_OBJECT,
}  # fmt: skip
_PARENT_AT = {
    Op.GET_OBJECT_HANDLES: 2, Op.MOVE_OBJECT: 2, Op.COPY_OBJECT: 2,
    Op.SEND_OBJECT_INFO: 1, Op.SEND_OBJECT_PROP_LIST: 1,
}  # fmt: skip
_PROPERTY_AT = {
    Op.GET_DEVICE_PROP_DESC: 0, Op.GET_DEVICE_PROP_VALUE: 0,
    Op.GET_OBJECT_PROP_DESC: 0, Op.GET_OBJECT_PROP_VALUE: 1,
}  # fmt: skip
_CREATES = {Op.SEND_OBJECT_INFO, Op.SEND_OBJECT_PROP_LIST}


class Replay:
    """One recording against one connection.

    What a client did by an operation that this responder does not advertise, it would have done
    another way; the replay does what that client does then.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._handles: dict[int, int] = {}
        self.supported: frozenset[int] = frozenset()
        self._properties: frozenset[int] = frozenset()

    def learn_device(self) -> None:
        """Find out what the device says that it has."""
        reader = Reader(self._call(Op.GET_DEVICE_INFO).data or b"")
        reader.take(8)
        reader.string()
        reader.u16()
        operations, _events, device_properties = (reader.array(reader.u16) for _ in range(3))
        self.supported = frozenset(operations)
        reader = Reader(self._call(Op.GET_OBJECT_PROPS_SUPPORTED, 0x3000).data or b"")
        self._properties = frozenset(device_properties + reader.array(reader.u16))

    def is_about_something_else(self, step: Step) -> bool:
        """Whether a client would not do this step here, as it is about a property not listed."""
        at = _PROPERTY_AT.get(Op(step.code))
        return at is not None and step.parameters[at] not in self._properties

    def learn_share(self) -> None:
        """Find out the handles of what the recording begins with."""
        folders = {"": 0xFFFFFFFF}
        for recorded, path, size in SHARE:
            parent, _, name = path.rpartition("/")
            handle = self._find(folders[parent], name)
            self._handles[recorded] = handle
            if size is None:
                folders[path] = handle

    def _find(self, parent: int, name: str) -> int:
        reader = Reader(self._call(Op.GET_OBJECT_HANDLES, 0xFFFFFFFF, 0, parent).data or b"")
        for handle in reader.array(reader.u32):
            info = ObjectInfo.decode(self._call(Op.GET_OBJECT_INFO, handle).data or b"")
            if info.name == name:
                return handle
        raise AssertionError(f"{name} is not listed")

    def _call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        return self._client.call(code, *parameters, data=data)

    def play(self, step: Step) -> Answer | None:
        """Do one step; None where a client would not do it with this responder."""
        if self.is_about_something_else(step):
            return None
        substitute = self._substitutes().get(step.code)
        if step.code not in self.supported:
            return substitute(step) if substitute else None
        answer = self._call(step.code, *self._parameters(step), data=self._data(step))
        if step.code in _CREATES and answer.code == ResponseCode.OK:
            self._handles[step.answer[2]] = answer.parameters[2]
        return answer

    def _substitutes(self) -> dict[int, Callable[[Step], Answer]]:
        return {Op.SEND_OBJECT_PROP_LIST: self._send_info, Op.SET_OBJECT_PROP_LIST: self._rename}

    def _send_info(self, step: Step) -> Answer:
        parameters = (step.parameters[0], self._handle(step.parameters[1]))
        answer = self._call(Op.SEND_OBJECT_INFO, *parameters, data=_object_info(step))
        self._handles[step.answer[2]] = answer.parameters[2]
        return answer

    def _rename(self, step: Step) -> Answer:
        name = encode_string(step.name)
        return self._call(Op.SET_OBJECT_PROP_VALUE, self._newest(), 0xDC07, data=name)

    def _handle(self, recorded: int) -> int:
        return self._handles.get(recorded, recorded)

    def _parameters(self, step: Step) -> list[int]:
        parameters = list(step.parameters)
        code = Op(step.code)
        if code in _HANDLE_FIRST:
            parameters[0] = self._handle(parameters[0])
        if code in _PARENT_AT:
            parameters[_PARENT_AT[code]] = self._handle(parameters[_PARENT_AT[code]])
        return parameters

    def _data(self, step: Step) -> bytes | None:
        if step.sent is None:
            return None
        if step.code == Op.SEND_OBJECT_INFO:
            return _object_info(step)
        if step.code == Op.SET_OBJECT_PROP_VALUE:
            return encode_string(f"{step.line:x}".ljust((step.sent - 3) // 2, "r"))
        if step.code == Op.SEND_OBJECT_PROP_LIST:
            return _name_list(0, step.name)
        if step.code == Op.SET_OBJECT_PROP_LIST:
            return _name_list(self._newest(), step.name)
        return bytes(step.sent)

    def _newest(self) -> int:
        """Find what a recording means that names its object in the dataset only: the last made."""
        return self._handles[max(self._handles)]


def _name_list(handle: int, name: str) -> bytes:
    """An ObjectPropList that gives a file name."""
    writer = Writer().u32(1).u32(handle).u16(0xDC07).u16(DataType.STRING)
    return bytes(writer.string(name))


def _object_info(step: Step) -> bytes:
    return ObjectInfo(0, FormatCode(step.format), step.size, 0, step.name).encode()
