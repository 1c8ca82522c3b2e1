# SPDX-License-Identifier: GPL-3.0-or-later
"""A busy client that does what else can be asked, breaks off uploads, and is two at once."""

import random
from collections.abc import Callable

from appliance.mtp.codes import ALL, DataType, FormatCode
from appliance.mtp.codes import OperationCode as Op
from appliance.mtp.datasets import ObjectInfo
from appliance.mtp.wire import Writer, encode_string
from tests.fakes.client import Client
from tests.torture.breaking_off import break_off
from tests.torture.busy import NAMES, STORAGES, Busy, content

_NAME = 0xDC07
_PICTURES = ("a.jpg", "b.jpg")
_OF_EACH_KIND = (
    *((name, FormatCode.UNDEFINED) for name in ("a", "edit a", "edit b")),
    ("a.jpg", FormatCode.EXIF_JPEG),
)
_ENOUGH = 20
#: How often it takes everything away that there is.
_CLEARING = 0.004


class Unruly(Busy):
    """Two sessions of one client; `check` as in `Busy`."""

    def __init__(
        self, client: Client, chance: random.Random, check: Callable[[bytes | None], None]
    ) -> None:
        self._clients = [client.another(), client]
        for each in self._clients[:-1]:
            each.call(Op.OPEN_SESSION, 2)
        super().__init__(client, chance, check)

    def act(self) -> None:
        """Do something, in one of the sessions."""
        self._client = self._chance.choice(self._clients)
        if self._chance.random() < _CLEARING:
            self._clear()
        elif self._chance.random() < 0.6:
            super().act()
        else:
            self._chance.choice(self._MORE)(self)

    def look_around(self) -> None:
        """Know what there is to work with; where that is little, bring some."""
        super().look_around()
        while len(self._names) < _ENOUGH and self._brings():
            pass

    def _brings(self) -> bool:
        """Make a folder, and put a file of each kind somewhere; False where one is refused."""
        before = len(self._names)
        self._make_folder()
        for name, form in _OF_EACH_KIND:
            info = ObjectInfo(0, form, 20, 0, name)
            announced = self.call(Op.SEND_OBJECT_INFO, *self._where(), data=info.encode())
            if announced.ok and self.call(Op.SEND_OBJECT, data=content(20)).ok:
                self._names[announced.parameters[2]] = name
        return len(self._names) > before + 2

    # Acts

    def _thumbnail(self) -> None:
        pictures = [each for each, name in self._names.items() if name in _PICTURES]
        self.call(Op.GET_THUMB, self._chance.choice(pictures) if pictures else self._some())

    def _picture(self) -> None:
        info = ObjectInfo(0, FormatCode.EXIF_JPEG, 20, 0, self._chance.choice(_PICTURES))
        if self.call(Op.SEND_OBJECT_INFO, *self._where(), data=info.encode()).ok:
            self.call(Op.SEND_OBJECT, data=content(20))

    def _read_far(self) -> None:
        self.call(Op.GET_PARTIAL_OBJECT_64, self._some(), 1, 0, 1000)

    def _list_all(self) -> None:
        self.call(Op.GET_OBJECT_PROP_LIST, self._some(), 0, ALL, 0, ALL)
        self.call(Op.GET_NUM_OBJECTS, self._chance.choice(STORAGES), 0, self._some())

    def _upload_by_list(self) -> None:
        name, (storage, parent) = self._name(), self._where()
        where = (storage, parent, FormatCode.UNDEFINED, 0, 500)
        if self.call(Op.SEND_OBJECT_PROP_LIST, *where, data=_named(0, name)).ok:
            self.call(Op.SEND_OBJECT, data=content(500))

    def _rename_by_list(self) -> None:
        handle = self._some()
        if self._names.get(handle) in NAMES[:4]:
            name = self._chance.choice(NAMES[:4])
            self.call(Op.SET_OBJECT_PROP_LIST, data=_named(handle, name))

    def _torn(self) -> None:
        info = ObjectInfo(0, FormatCode.UNDEFINED, 70_000, 0, self._name())
        if self.call(Op.SEND_OBJECT_INFO, *self._where(), data=info.encode()).ok:
            self.call(Op.SEND_OBJECT, data=content(70_000)[: self._chance.choice((0, 30_000))])

    def _cancelled(self) -> None:
        info = ObjectInfo(0, FormatCode.UNDEFINED, 200_000, 0, self._name())
        if self.call(Op.SEND_OBJECT_INFO, *self._where(), data=info.encode()).ok:
            break_off(self._client, Op.SEND_OBJECT, content(200_000)[:150_000], 200_000)

    def _clear(self) -> None:
        """Delete all, or format; then there are folders again to work in."""
        storage = self._chance.choice(STORAGES)
        if self._chance.random() < 0.5:
            self.call(Op.FORMAT_STORE, storage, 0)
        else:
            self.call(Op.DELETE_OBJECT, ALL)
        for _ in range(3):
            self._make_folder()
            self._upload()

    _MORE = (
        *(_thumbnail, _thumbnail, _picture, _read_far, _list_all, _upload_by_list),
        *(_upload_by_list, _rename_by_list, _torn, _cancelled),
        *(
            Busy._copy,
            Busy._copy,
            Busy._move,
            Busy._edit,
            Busy._edit,
            Busy._change,
            Busy._make_folder,
        ),
    )


def _named(handle: int, name: str) -> bytes:
    """Make a list of one property: the name."""
    head = Writer().u32(1).u32(handle).u16(_NAME).u16(DataType.STRING)
    return bytes(head.raw(encode_string(name)))
