# SPDX-License-Identifier: GPL-3.0-or-later
"""An initiator that lists once, and from then on believes what it is told by events."""

from queue import Empty

from appliance.mtp.codes import ALL, EventCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from tests.fakes.client import Answer, Client, Heard
from tests.protocol.initiator import Initiator

#: Handle: storage, parent, name, and size.
Table = dict[int, tuple[int, int, str, int]]
#: What leaves all as it is; after any other operation a session knows what it has done itself.
_ASKS = {
    *(Op.GET_STORAGE_IDS, Op.GET_STORAGE_INFO, Op.GET_NUM_OBJECTS, Op.GET_OBJECT_HANDLES),
    *(Op.GET_OBJECT_INFO, Op.GET_OBJECT, Op.GET_THUMB, Op.GET_PARTIAL_OBJECT),
    *(Op.GET_PARTIAL_OBJECT_64, Op.GET_OBJECT_PROP_VALUE, Op.GET_OBJECT_PROP_LIST),
    *(Op.GET_OBJECT_REFERENCES, Op.GET_DEVICE_PROP_VALUE),
}


class Hearing(Initiator):
    """Keeps `table` as GNOME Files does: changed by events alone, and by what it did itself."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.client = client
        self.table: Table = {}
        #: Whether it has done something since it last knew all.
        self.has_acted = True

    def call(self, code: int, *parameters: int, data: bytes | None = None) -> Answer:
        self.has_acted |= code not in _ASKS
        return super().call(code, *parameters, data=data)

    def agree(self, wanted: Table, edited: set[int]) -> None:
        """Hear events until they say what must be so; AssertionError where no more come.

        How long an edited file is, is told when its edit ends.
        """
        if self.has_acted:
            self.table, self.has_acted = dict(wanted), False
        while lines := self._differences(wanted, edited):
            try:
                self._take(self.client.event())
            except (Empty, TimeoutError):
                raise AssertionError("told otherwise: " + "; ".join(lines)) from None

    def hear_out(self, handle: int) -> None:
        """Hear all up to the coming of an object."""
        heard = Heard(0)
        while heard != Heard(EventCode.OBJECT_ADDED, (handle,)):
            heard = self.client.event()
            self._take(heard)

    def _take(self, event: Heard) -> None:
        number = event.parameters[0] if event.parameters else 0
        if event.code in (EventCode.OBJECT_ADDED, EventCode.OBJECT_INFO_CHANGED):
            self._look_at(number)
        elif event.code == EventCode.OBJECT_REMOVED:
            self._drop(number)
        elif event.code == EventCode.STORE_REMOVED:
            self.table = {each: of for each, of in self.table.items() if of[0] != number}
        elif event.code == EventCode.STORE_ADDED:
            self._list(number, ALL)

    def _look_at(self, handle: int) -> None:
        """Read what an object is now, and what lies in it; it may be gone by now."""
        answer = super().call(Op.GET_OBJECT_INFO, handle)
        if not answer.ok:
            self._drop(handle)
            return
        info = ObjectInfo.decode(answer.data or b"")
        self.table[handle] = info.storage_id, info.parent, info.name, info.size
        if info.association:
            self._list(info.storage_id, handle)

    def _list(self, storage: int, folder: int) -> None:
        data = super().call(Op.GET_OBJECT_HANDLES, storage, 0, folder).data or b""
        for at in range(4, len(data), 4):
            self._look_at(int.from_bytes(data[at : at + 4], "little"))

    def _drop(self, handle: int) -> None:
        """Forget an object, and what lies in it."""
        self.table.pop(handle, None)
        for each in [each for each, of in self.table.items() if of[1] == handle]:
            self._drop(each)

    def _differences(self, wanted: Table, edited: set[int]) -> list[str]:
        if self.table == wanted:
            return []
        lines = []
        for handle in sorted(self.table.keys() | wanted.keys()):
            known, right = self.table.get(handle), wanted.get(handle)
            if known and right and handle in edited:
                known = *known[:3], right[3]
            if known != right:
                lines.append(f"{handle:X} is {known}, not {right}")
        return lines
