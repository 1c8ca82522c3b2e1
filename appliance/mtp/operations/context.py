# SPDX-License-Identifier: GPL-3.0-or-later
"""What every operation is given, and the pieces that several of them share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance.mtp.audience import Audience, events_of
from appliance.mtp.codes import ALL, DataType, EventCode, ResponseCode
from appliance.mtp.device import Device
from appliance.mtp.errors import MtpError
from appliance.mtp.monitor import NOBODY, Visit
from appliance.mtp.ports import Change, ChangeKind, Entry, ObjectStore
from appliance.mtp.session import Session
from appliance.mtp.transaction import BytesSource, Event, Reply, Request, Sink
from appliance.mtp.wire import Reader, Value, WireError, decode_value
from appliance.values import dataclass, field

#: No dataset that an initiator sends is larger; what is, is none.
MAX_DATASET_SIZE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Context:
    """The world as one initiator's operations see it."""

    device: Device
    store: ObjectStore
    session: Session
    audience: Audience = field(default_factory=Audience)
    visit: Visit = field(default_factory=lambda: Visit(NOBODY, ""))

    def tell_others(self, kind: ChangeKind, number: int) -> None:
        """Tell the other initiators what this one has done to an object, by whatever handle."""
        for event in events_of(Change(kind, self.store.current(number))):
            self._tell(event)

    def tell_others_of(self, code: EventCode, *parameters: int) -> None:
        """Tell the other initiators by an event that stands for no change of objects."""
        self._tell(Event(code, parameters))

    def _tell(self, event: Event) -> None:
        self.audience.tell(event, except_for=self.session)
        self.session.owe(event)

    def tell_all_of(self, code: EventCode, *parameters: int) -> None:
        """Tell every initiator, this one too."""
        self.audience.tell(Event(code, parameters))

    @contextmanager
    def telling_if_full(self, storage_id: int) -> Iterator[None]:
        """Tell every initiator of a storage that has no room for what the block does."""
        try:
            yield
        except MtpError as error:
            if error.code is ResponseCode.STORE_FULL:
                self.tell_all_of(EventCode.STORE_FULL, storage_id)
            raise


def always(context: Context) -> bool:
    """Be an operation that is there for everyone."""
    return True


@dataclass(frozen=True, slots=True)
class Operation:
    """How one operation is run.

    `needs`: so many parameters must be sent, as one that is not would count as 0 and do harm.
    `brings_content`: it is the one that an announced upload waits for. `offered`: whether the
    operation is there for this device; where it is not, it is neither listed nor run.
    """

    run: Callable[[Context, Request], Reply | Sink]
    needs_session: bool = True
    needs: int = 0
    brings_content: bool = False
    offered: Callable[[Context], bool] = always


def data_reply(data: bytes, *parameters: int) -> Reply:
    """Reply with a dataset."""
    return Reply(parameters=parameters, source=BytesSource(data))


class DatasetSink:
    """Collects a dataset and hands it on when it is whole."""

    expected: int | None = None

    def __init__(self, handle: Callable[[bytes], Reply], *, too_large: ResponseCode) -> None:
        self._handle = handle
        self._too_large = too_large
        self._data = bytearray()

    def write(self, data: memoryview) -> None:
        """Take a part of the dataset."""
        if len(self._data) + len(data) > MAX_DATASET_SIZE:
            raise MtpError(self._too_large, f"more than {MAX_DATASET_SIZE} bytes")
        self._data += data

    def finish(self) -> Reply:
        """Hand the dataset on."""
        return self._handle(bytes(self._data))

    def abort(self) -> None:
        """Forget the dataset."""
        self._data.clear()


def decode_only(data_type: DataType, data: bytes, *, refusal: ResponseCode) -> Value:
    """Read a dataset that is one value and nothing else; `refusal` where it is not."""
    reader = Reader(data)
    try:
        value = decode_value(reader, data_type)
    except WireError as error:
        raise MtpError(refusal, str(error)) from None
    if reader.rest:
        raise MtpError(refusal, f"{reader.rest} bytes too many")
    return value


def is_root(parent: int) -> bool:
    """Whether a parent parameter means a storage's root: clients send either number."""
    return parent in (0, ALL)


def destination(context: Context, storage_id: int, parent: int) -> tuple[int, int]:
    """Resolve where something is to go: storage and parent, which is 0 for the root.

    Storage 0 and 0xFFFFFFFF are the parent's storage, or else the first that can be written to.
    """
    if not is_root(parent):
        folder = _folder(context, parent)
        if storage_id not in (0, ALL, folder.storage_id):
            raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, "lies in another storage")
        return folder.storage_id, parent
    if storage_id not in (0, ALL):
        return storage_id, 0
    return _default_storage(context), 0


def _default_storage(context: Context) -> int:
    """Choose the first storage that can be written to; one whose disk is missing cannot."""
    found = None
    for each in context.store.storage_ids():
        try:
            is_read_only = context.store.storage(each).read_only
        except MtpError:
            continue
        if not is_read_only:
            return each
        found = found or each
    if found is None:
        raise MtpError(ResponseCode.STORE_NOT_AVAILABLE)
    return found


def _folder(context: Context, parent: int) -> Entry:
    try:
        entry = context.store.entry(parent)
    except MtpError:
        raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, f"no object {parent:X}") from None
    if not entry.is_folder:
        raise MtpError(ResponseCode.INVALID_PARENT_OBJECT, f"object {parent:X} is a file")
    return entry
